// The other end of a call with the stand-in for OpenAI's Realtime API: runs in a page of its own. It hears by loudness, "speaks" with a tone, and follows
// the vendor's rules for WebRTC: one response at a time; text is written faster than it is spoken; the sound that is not played yet is on this side, so a
// visitor who speaks, or `output_audio_buffer.clear`, drops it and truncates the conversation to what was played.

/** Self-contained: it is sent to the page as text. */
export async function standIn() {
  /** So long takes a character of speech. */
  const PACE_MS = 60;
  const calls = new Map();
  // With a microphone granted, Chromium offers its addresses as they are.
  await navigator.mediaDevices.getUserMedia({ audio: true });
  const audio = new AudioContext();
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  class Call {
    constructor(given) {
      Object.assign(this, given);
      this.peer = new RTCPeerConnection();
      this.mouth = audio.createMediaStreamDestination();
      this.peer.addTrack(this.mouth.stream.getTracks()[0], this.mouth.stream);
      this.heard = [];
      this.sent = [];
      this.items = new Map();
      this.count = 0;
      this.peer.ondatachannel = ({ channel }) => this.open(channel);
      this.peer.ontrack = ({ track }) => this.listen(track);
    }

    async answered() {
      await this.peer.setRemoteDescription({ type: "offer", sdp: this.offer });
      await this.peer.setLocalDescription(await this.peer.createAnswer());
      while (this.peer.iceGatheringState !== "complete") await wait(10);
      return this.peer.localDescription.sdp;
    }

    open(channel) {
      this.channel = channel;
      const ready = () => this.send("session.created", { session: this.session });
      if (channel.readyState === "open") ready(); else channel.onopen = ready;
      channel.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        this.heard.push(event);
        this.take(event);
      };
    }

    send(type, fields = {}) {
      if (this.channel?.readyState !== "open") return;
      const event = { type, event_id: `event_${this.sent.length + 1}`, ...fields };
      this.sent.push({ at: Date.now(), event });
      this.channel.send(JSON.stringify(event));
    }

    refuse(event, code, message) {
      this.send("error", { error: { type: "invalid_request_error", code, message, param: null, event_id: event.event_id ?? null } });
    }

    take(event) {
      switch (event.type) {
        case "session.update":
          // A WebRTC session keeps what it was made with.
          this.session = { ...event.session, ...this.session };
          return this.send("session.updated", { session: this.session });
        case "conversation.item.create": {
          this.typed = event.item.content[0].text;
          return this.add({ ...event.item, id: event.item.id ?? `item_t${++this.count}`, object: "realtime.item", status: "completed" });
        }
        case "conversation.item.retrieve": {
          const item = this.items.get(event.item_id);
          return item ? this.send("conversation.item.retrieved", { item }) : this.refuse(event, "item_retrieve_invalid_item_id", "no such item");
        }
        case "response.create":
          if (this.response) return this.refuse(event, "conversation_already_has_active_response", "Conversation already has an active response in progress.");
          return this.respond(this.typed === "tell me a long story" ? "This is a long story. ".repeat(12).trim() : `You typed: ${this.typed}`);
        case "response.cancel":
          if (!this.response) return this.refuse(event, "response_cancel_not_active", "Cancellation failed: no active response found");
          return this.cancel("client_cancelled");
        case "output_audio_buffer.clear":
          return this.clear();
        default:
          return this.refuse(event, "unknown_event", `${event.type} is not for a client over WebRTC`);
      }
    }

    add(item) {
      const previous_item_id = [...this.items.keys()].at(-1) ?? null;
      this.items.set(item.id, item);
      this.send("conversation.item.added", { previous_item_id, item });
      if (item.status === "completed") this.send("conversation.item.done", { previous_item_id, item });
    }

    done(id, status, fields = {}) {
      this.response = undefined;
      const output = [...this.items.values()].filter((item) => item.id === id.replace("resp", "item"));
      this.send("response.done", { response: { id, object: "realtime.response", status, output, ...fields } });
    }

    /** What was written is spoken to its end, unless it is cleared too. */
    cancel(reason) {
      if (!this.response) return;
      const { id, item } = this.response;
      item.status = "incomplete";
      if (this.playing) this.playing.length = item.content[0].transcript.length * PACE_MS;
      this.done(id, "cancelled", { status_details: { type: "cancelled", reason } });
    }

    clear() {
      if (!this.playing) return;
      const { id, item, began, length, tone } = this.playing;
      this.playing = undefined;
      tone.stop();
      const audio_end_ms = Math.round(Math.min(performance.now() - began, length));
      this.send("output_audio_buffer.cleared", { response_id: id });
      // Which words were played, the vendor cannot tell: the text goes.
      item.content = [{ type: "output_audio" }];
      this.truncations = [...this.truncations ?? [], { id: item.id, audio_end_ms }];
      this.send("conversation.item.truncated", { item_id: item.id, content_index: 0, audio_end_ms });
    }

    async respond(text) {
      const id = `resp_${++this.count}`;
      const content = { type: "output_audio", transcript: "" };
      const item = { id: id.replace("resp", "item"), object: "realtime.item", type: "message", status: "in_progress", role: "assistant", content: [] };
      this.response = { id, item };
      const writes = () => this.response?.id === id;
      this.send("response.created", { response: { id, object: "realtime.response", status: "in_progress", output: [] } });
      this.send("response.output_item.added", { response_id: id, output_index: 0, item });
      this.add(item);
      item.content = [content];
      const at = { response_id: id, item_id: item.id, output_index: 0, content_index: 0 };
      this.send("response.content_part.added", { ...at, part: { type: "audio", transcript: "" } });
      for (const piece of text.match(/\S+\s*/g)) {
        if (!writes()) return;
        content.transcript += piece;
        this.send("response.output_audio_transcript.delta", { ...at, delta: piece });
        if (!this.playing) this.speak(id, item, text.length * PACE_MS);
        await wait(25);
      }
      if (!writes()) return;
      item.status = "completed";
      this.send("response.output_audio.done", at);
      this.send("response.output_audio_transcript.done", { ...at, transcript: text });
      this.send("response.content_part.done", { ...at, part: { type: "audio", transcript: text } });
      this.send("response.output_item.done", { response_id: id, output_index: 0, item });
      this.send("conversation.item.done", { previous_item_id: null, item });
      this.done(id, "completed", { usage: { total_tokens: 10, input_tokens: 4, output_tokens: 6 } });
    }

    async speak(id, item, length) {
      const tone = audio.createOscillator();
      tone.connect(this.mouth);
      tone.start();
      const playing = { id, item, tone, began: performance.now(), length };
      this.playing = playing;
      this.send("output_audio_buffer.started", { response_id: id });
      while (this.playing === playing && performance.now() - playing.began < playing.length) await wait(20);
      if (this.playing !== playing) return;
      this.playing = undefined;
      tone.stop();
      this.send("output_audio_buffer.stopped", { response_id: id });
    }

    listen(track) {
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
      const began = performance.now();
      let [loud, quiet, item] = [0, 0, undefined];
      const timer = setInterval(() => {
        if (this.peer.connectionState === "closed") return clearInterval(timer);
        ear.getFloatTimeDomainData(wave);
        [loud, quiet] = Math.max(...wave) > 0.05 ? [loud + 1, 0] : [0, quiet + 1];
        const ms = Math.round(performance.now() - began);
        if (!item && loud > 2) {
          item = `item_u${++this.count}`;
          this.send("input_audio_buffer.speech_started", { audio_start_ms: ms, item_id: item });
          this.cancel("turn_detected");
          this.clear();
        } else if (item && quiet > 14) {
          this.said(item, ms);
          item = undefined;
        }
      }, 50);
    }

    said(item_id, audio_end_ms) {
      const words = this.words;
      this.send("input_audio_buffer.speech_stopped", { audio_end_ms, item_id });
      this.send("input_audio_buffer.committed", { previous_item_id: [...this.items.keys()].at(-1) ?? null, item_id });
      const content = { type: "input_audio", transcript: null };
      this.add({ id: item_id, object: "realtime.item", type: "message", status: "completed", role: "user", content: [content] });
      content.transcript = words;
      for (const delta of words.match(/\S+\s*/g)) this.send("conversation.item.input_audio_transcription.delta", { item_id, content_index: 0, delta });
      this.send("conversation.item.input_audio_transcription.completed", { item_id, content_index: 0, transcript: words, usage: { type: "duration", seconds: 2 } });
      if (!this.response) this.respond(this.answer);
    }
  }

  window.standIn = {
    answer(given) {
      const call = new Call(given);
      calls.set(given.id, call);
      return call.answered();
    },
    /** What came from the client, what went to it, and how much of cut answers was played. */
    wire(id) {
      const { heard, sent, truncations = [] } = calls.get(id);
      return { heard, sent, truncations };
    },
    script(words, answer) { for (const call of calls.values()) Object.assign(call, { words, answer }); },
    end(id) { calls.get(id).peer.close(); },
  };
}
