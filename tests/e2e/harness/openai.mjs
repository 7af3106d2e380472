// A stand-in for OpenAI's Realtime API: `POST /v1/realtime/calls` with offer and session in one form, `…/hangup`, and at the other end of the connection
// a page of Chromium that hears by loudness, "speaks" with a tone, and sends the server events of the vendor's types (GA names) in the vendor's order.
import { spawn } from "node:child_process";
import http from "node:http";
import path from "node:path";
import { PYTHON } from "./pipecat.mjs";

export async function startOpenAi(browser) {
  const calls = [];
  let words = "what are your opening hours";
  let answer = "We are open from nine to five.";
  // A hang-up may come when the test is over already.
  const server = http.createServer((request, response) => serve(request, response).catch(() => response.destroy()));
  const serve = async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    if (request.url === "/") return response.writeHead(200, { "content-type": "text/html" }).end("<title>stand-in</title>");
    const refuse = (status, message) => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error: { message, type: "invalid_request_error" } }));
    if (request.headers.authorization !== "Bearer sk-realtime") return refuse(401, "Incorrect API key provided");
    const hangup = /^\/v1\/realtime\/calls\/(rtc_\w+)\/hangup$/.exec(request.url);
    const known = hangup && calls.find((call) => call.id === hangup[1]);
    if (known) {
      known.ended = true;
      await page.evaluate((id) => window.standIn.end(id), known.id);
      return response.writeHead(200).end();
    }
    if (request.method !== "POST" || request.url !== "/v1/realtime/calls") return refuse(404, "not found");
    const parts = form(request.headers["content-type"], body);
    const call = { id: `rtc_${calls.length + 1}`, session: JSON.parse(parts.session), offer: parts.sdp };
    calls.push(call);
    const sdp = await page.evaluate((given) => window.standIn.answer(given), { id: call.id, offer: call.offer, session: call.session, words, answer });
    response.writeHead(201, { "content-type": "application/sdp", location: `/v1/realtime/calls/${call.id}` }).end(sdp);
  };
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${server.address().port}`;
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate(standIn);
  return {
    calls,
    env: { OPENAI_REALTIME_BASE_URL: `${url}/v1`, OPENAI_REALTIME_API_KEY: "sk-realtime", OPENAI_REALTIME_MODEL: "gpt-realtime" },
    /** What the next visitor is understood to say, and what is answered. */
    script(said, answered) { [words, answer] = [said, answered]; },
    /** What the vendor's own types say to the session and to every event of a call; `received` are the frames that the page got. */
    async judged(id, received) {
      const call = calls.find((one) => one.id === id);
      const client = await page.evaluate((name) => window.standIn.heard(name), id);
      const server = received.map((frame) => JSON.parse(frame)).filter((event) => event.event_id);
      const child = spawn(PYTHON, [path.resolve(import.meta.dirname, "../engine/openai_types.py")], { stdio: ["pipe", "pipe", "inherit"] });
      child.stdin.end(JSON.stringify({ session: call.session, client, server }));
      let said = "";
      for await (const piece of child.stdout) said += piece;
      return { client, server, said: said.trim() };
    },
    /** The engine is gone, without a word. */
    async vanish(id) { await page.evaluate((name) => window.standIn.end(name), id); },
    async close() {
      await context.close();
      await new Promise((done) => { server.close(done); server.closeAllConnections(); });
    },
  };
}

function form(kind, body) {
  const boundary = /boundary=(.+)$/.exec(kind)[1];
  const parts = {};
  for (const part of body.split(`--${boundary}`)) {
    const name = /name="(\w+)"/.exec(part)?.[1];
    if (name) parts[name] = part.slice(part.indexOf("\r\n\r\n") + 4, -2);
  }
  return parts;
}

/** Runs in the stand-in's own page. */
async function standIn() {
  const calls = new Map();
  // With a microphone granted, Chromium offers its addresses as they are.
  await navigator.mediaDevices.getUserMedia({ audio: true });
  const audio = new AudioContext();
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  window.standIn = {
    async answer({ id, offer, session, words, answer }) {
      const peer = new RTCPeerConnection();
      const mouth = audio.createMediaStreamDestination();
      peer.addTrack(mouth.stream.getTracks()[0], mouth.stream);
      const call = { id, peer, heard: [], channel: undefined, speaking: undefined, session, count: 0 };
      calls.set(id, call);
      let ids = 0;
      const send = (type, fields = {}) => {
        if (call.channel?.readyState === "open") call.channel.send(JSON.stringify({ type, event_id: `event_${++ids}`, ...fields }));
      };
      peer.ondatachannel = ({ channel }) => {
        call.channel = channel;
        const ready = () => send("session.created", { session });
        if (channel.readyState === "open") ready(); else channel.onopen = ready;
        channel.onmessage = ({ data }) => {
          const event = JSON.parse(data);
          call.heard.push(event);
          take(event);
        };
      };
      const stop = (reason) => {
        if (!call.speaking) return;
        const { tone, response, item } = call.speaking;
        call.speaking = undefined;
        tone.stop();
        send("output_audio_buffer.cleared", { response_id: response });
        send("conversation.item.truncated", { item_id: item, content_index: 0, audio_end_ms: 500 });
        send("response.done", { response: { id: response, object: "realtime.response", status: "cancelled", status_details: { type: "cancelled", reason }, output: [], usage: null } });
      };
      const respond = async (text) => {
        const [response, item] = [`resp_${++call.count}`, `item_a${call.count}`];
        const tone = audio.createOscillator();
        tone.connect(mouth);
        call.speaking = { tone, response, item };
        const mine = () => call.speaking?.response === response;
        send("response.created", { response: { id: response, object: "realtime.response", status: "in_progress", output: [] } });
        send("response.output_item.added", { response_id: response, output_index: 0, item: { id: item, object: "realtime.item", type: "message", status: "in_progress", role: "assistant", content: [] } });
        send("conversation.item.added", { previous_item_id: null, item: { id: item, object: "realtime.item", type: "message", status: "in_progress", role: "assistant", content: [] } });
        send("response.content_part.added", { response_id: response, item_id: item, output_index: 0, content_index: 0, part: { type: "audio", transcript: "" } });
        const at = { response_id: response, item_id: item, output_index: 0, content_index: 0 };
        const pieces = text.match(/\S+\s*/g);
        send("response.output_audio_transcript.delta", { ...at, delta: pieces[0] });
        tone.start();
        send("output_audio_buffer.started", { response_id: response });
        for (const piece of pieces.slice(1)) {
          await wait(10);
          if (mine()) send("response.output_audio_transcript.delta", { ...at, delta: piece });
        }
        if (!mine()) return;
        send("response.output_audio.done", at);
        send("response.output_audio_transcript.done", { ...at, transcript: text });
        send("response.done", { response: { id: response, object: "realtime.response", status: "completed", output: [], usage: { total_tokens: 10 } } });
        await wait(text.length * 60);
        if (!mine()) return;
        call.speaking = undefined;
        tone.stop();
        send("output_audio_buffer.stopped", { response_id: response });
      };
      const take = (event) => {
        switch (event.type) {
          case "conversation.item.create":
            call.typed = event.item.content[0].text;
            return send("conversation.item.added", { previous_item_id: null, item: { ...event.item, id: "item_t", object: "realtime.item", status: "completed" } });
          case "response.create":
            return respond(call.typed === "tell me a long story" ? "This is a long story. ".repeat(12).trim() : `You typed: ${call.typed}`);
          case "response.cancel":
          case "output_audio_buffer.clear":
            return stop("client_cancelled");
          default:
            return send("error", { error: { type: "invalid_request_error", code: "unknown_event", message: event.type, param: null, event_id: null } });
        }
      };
      peer.ontrack = ({ track }) => {
        // The widget offers its section before it has a track, so the offer names no stream.
        const stream = new MediaStream([track]);
        // Chromium gives a remote track no sound anywhere before an element plays it.
        const element = new Audio();
        element.muted = true;
        element.srcObject = stream;
        element.play();
        const ear = audio.createAnalyser();
        audio.createMediaStreamSource(stream).connect(ear);
        const wave = new Float32Array(ear.fftSize);
        let loud = 0;
        let quiet = 0;
        let speech = false;
        const timer = setInterval(async () => {
          if (peer.connectionState === "closed") return clearInterval(timer);
          ear.getFloatTimeDomainData(wave);
          const level = Math.max(...wave);
          [loud, quiet] = level > 0.05 ? [loud + 1, 0] : [0, quiet + 1];
          if (!speech && loud > 2) {
            speech = true;
            send("input_audio_buffer.speech_started", { audio_start_ms: 0, item_id: "item_u" });
            stop("turn_detected");
          } else if (speech && quiet > 14) {
            speech = false;
            send("input_audio_buffer.speech_stopped", { audio_end_ms: 1000, item_id: "item_u" });
            send("input_audio_buffer.committed", { previous_item_id: null, item_id: "item_u" });
            for (const delta of words.match(/\S+\s*/g)) send("conversation.item.input_audio_transcription.delta", { item_id: "item_u", content_index: 0, delta });
            send("conversation.item.input_audio_transcription.completed", { item_id: "item_u", content_index: 0, transcript: words, usage: { type: "duration", seconds: 2 } });
            await respond(answer);
          }
        }, 50);
      };
      await peer.setRemoteDescription({ type: "offer", sdp: offer });
      await peer.setLocalDescription(await peer.createAnswer());
      while (peer.iceGatheringState !== "complete") await wait(10);
      return peer.localDescription.sdp;
    },
    heard: (id) => calls.get(id).heard,
    end(id) { calls.get(id).peer.close(); },
  };
}
