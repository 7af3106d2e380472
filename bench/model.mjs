// The stand-in model in a thread of its own: in the one that drives the browser, its answers would wait for that, and the wait would look like the server's.
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { startModel } from "../tests/e2e/harness/llm.mjs";

/** {baseUrl, answers(text): once it is taken, last(): the last call's {askedAt, spokeAt}, close()}. Times are of the thread's own clock: only their difference means something. */
export async function startModelAside() {
  const worker = new Worker(import.meta.filename);
  const next = () => new Promise((done) => { worker.once("message", done); });
  const ask = (order) => {
    const answer = next();
    worker.postMessage(order);
    return answer;
  };
  const baseUrl = await next();
  return { baseUrl, answers: (text) => ask({ text }), last: () => ask({}), close: () => worker.terminate() };
}

if (!isMainThread) {
  const model = await startModel();
  parentPort.on("message", ({ text }) => {
    if (text !== undefined) model.answers(text);
    const { askedAt, spokeAt } = model.calls.at(-1) ?? {};
    parentPort.postMessage({ askedAt, spokeAt });
  });
  parentPort.postMessage(model.baseUrl);
}
