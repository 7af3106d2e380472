// A stand-in for any OpenAI-compatible model: POST /v1/chat/completions, streamed as `chat.completion.chunk` events in the shape that
// OpenAI publishes (API reference, "The chat completion chunk object"). The test decides what is said, and when.
import http from "node:http";

export async function startModel() {
  /** What an unheld call answers: a string, or (messages) => string. */
  let answer = (messages) => `You said: ${messages.at(-1).content}`;
  let held = false;
  const calls = [];
  const waiting = [];

  /** POST /v1/audio/transcriptions: word by word, the last one when the test lets it. */
  let words = "what are your opening hours";
  let letGo = Promise.resolve();
  const recognise = async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const send = (event) => response.write(`data: ${JSON.stringify(event)}\n\n`);
    const pieces = words.match(/\S+\s*/g) ?? [];
    for (const delta of pieces.slice(0, -1)) send({ type: "transcript.text.delta", delta });
    await letGo;
    send({ type: "transcript.text.done", text: words });
    response.end("data: [DONE]\n\n");
  };

  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (request.url === "/v1/audio/transcriptions") return recognise(response);
    if (request.url === "/v1/audio/speech") return speak(JSON.parse(text), response);
    if (request.method !== "POST" || request.url !== "/v1/chat/completions") {
      response.writeHead(404, { "content-type": "application/json" });
      return response.end(JSON.stringify({ error: { message: "not found", type: "invalid_request_error", code: null } }));
    }
    const call = stream(JSON.parse(text), request, response);
    calls.push(call);
    waiting.shift()?.(call);
    if (!held) {
      const words = (typeof answer === "function" ? answer(call.messages) : answer).match(/\S+\s*/g) ?? [];
      for (const word of words) call.write(word);
      call.end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  let taken = 0;
  return {
    baseUrl: `http://127.0.0.1:${server.address().port}/v1`,
    calls,
    answers(with_) { answer = with_; held = false; },
    hears(words_) { words = words_; },
    /** From now on the end of what is recognised waits; gives what ends that. */
    holdWords() {
      let go;
      letGo = new Promise((done) => { go = done; });
      return go;
    },
    /** From now on every call waits for the test's write() and end(). */
    hold() { held = true; },
    /** The next call that no one has taken yet. */
    async nextCall() {
      const index = taken++;
      return calls[index] ?? new Promise((done) => waiting.push(done));
    },
    close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

/** POST /v1/audio/speech: a tone of 60 ms for each letter, as bare samples at 24 kHz. */
function speak({ input }, response) {
  const samples = Int16Array.from({ length: input.length * 1440 }, (_, i) => 9000 * Math.sin(i / 12));
  response.writeHead(200, { "content-type": "audio/pcm" });
  response.end(Buffer.from(samples.buffer));
}

function stream(body, request, response) {
  const base = { id: `chatcmpl-${Math.random().toString(36).slice(2)}`, object: "chat.completion.chunk", created: Math.floor(Date.now() / 1000), model: body.model };
  const send = (fields) => { if (!response.destroyed) response.write(`data: ${JSON.stringify({ ...base, ...fields })}\n\n`); };
  const choice = (delta, finish_reason = null) => send({ choices: [{ index: 0, delta, logprobs: null, finish_reason }] });
  let started = false;
  const start = () => {
    if (started) return;
    started = true;
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    choice({ role: "assistant", content: "" });
  };
  const call = {
    body, messages: body.messages, authorization: request.headers.authorization, closed: false,
    /** When the request was whole, and when the first word was sent: on `performance.now()`. */
    askedAt: performance.now(), spokeAt: undefined,
    write(text) { start(); call.spokeAt ??= performance.now(); choice({ content: text }); },
    end() {
      start();
      choice({}, "stop");
      if (body.stream_options?.include_usage) send({ choices: [], usage: { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 } });
      response.end("data: [DONE]\n\n");
    },
    /** Wants a tool used, and ends; the arguments come in two pieces. */
    wants(name, args) {
      start();
      const text = JSON.stringify(args);
      const piece = (fields) => choice({ tool_calls: [{ index: 0, ...fields }] });
      piece({ id: "call_1", type: "function", function: { name, arguments: "" } });
      for (const part of [text.slice(0, 5), text.slice(5)]) piece({ function: { arguments: part } });
      choice({}, "tool_calls");
      response.end("data: [DONE]\n\n");
    },
    fail(status, code) {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "The model is not well.", type: "server_error", code } }));
    },
    breakOff() { response.destroy(); },
  };
  response.on("close", () => { call.closed = true; });
  return call;
}
