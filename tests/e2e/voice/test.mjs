// Calls in a real browser with a recorded question as the microphone, against the machine's own speech engine (flite, pocketsphinx).
import path from "node:path";
import { assert, test, until } from "../harness.mjs";

const QUESTION = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");
const ASKED = "what are your opening hours";
const voice = { model: true, agentArgs: ["--voice", "local"], browser: { microphone: QUESTION } };

test("a question asked aloud becomes text, and is answered aloud", voice, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await page.listen();
  model.answers("We are open from eight to four.");
  await page.openPanel();
  await page.voice.click();
  await page.event("voice:started");
  await page.sees("user", ASKED, ["sent"], 30_000);
  await page.sees("agent", "We are open from eight to four.", ["streaming", "done"]);
  await page.sees("agent", "We are open from eight to four.", ["done"], 20_000);
});
