// A stand-in for any OpenAI-compatible model: POST /v1/chat/completions, streamed as `chat.completion.chunk` events in the shape that
// OpenAI publishes (API reference, "The chat completion chunk object"). The test decides what is said, and when.
import http from "node:http";

export async function startModel() {
  /** What an unheld call answers: a string, or (messages) => string. */
  let answer = (messages) => `You said: ${messages.at(-1).content}`;
  let held = false;
  const calls = [];
  const waiting = [];

  const server = http.createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
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
    fail(status, code) {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { message: "The model is not well.", type: "server_error", code } }));
    },
    breakOff() { response.destroy(); },
  };
  response.on("close", () => { call.closed = true; });
  return call;
}
