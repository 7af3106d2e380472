// Calls in a real browser: what their tests say, see and hear.
import path from "node:path";
import { until } from "../harness.mjs";
import { after, microphone } from "./microphone.mjs";

export const FILE = path.resolve(import.meta.dirname, "../../../fixtures/voice/opening-hours.wav");
export const ASKED = "what are your opening hours";
/** What the demonstration engine makes of synthetic speech: now and then a small word is wrong. */
export const isAsked = (text) => ASKED.split(" ").filter((word) => ` ${text} `.includes(` ${word} `)).length >= 4;
export const ANSWER = "We are open from eight to four.";
export const LONG = "We are open from eight to four on weekdays. On Saturday we open at nine. On Sunday we open at ten. Dogs are welcome, children as well. The best time for a quiet coffee is the early afternoon.";
/** A recogniser that shares the machine with other builds takes its time. */
export const PATIENCE = 60_000;
export const voice = { model: true, agentArgs: ["--voice", "local"], timeoutMs: 240_000 };
/** Chromium's own fake microphone, which plays a recording once. */
export const recorded = { ...voice, browser: { microphone: after(4, FILE) } };
/** A microphone that the test speaks into. */
export const spoken = { before: microphone({ question: FILE }) };
export const watched = { before: microphone() };

export const say = (page) => page.page.evaluate(() => window.e2eVoice.say("question"));
export const tracks = (page) => page.page.evaluate(() => window.e2eVoice.tracks.map((track) => ({ state: track.readyState, enabled: track.enabled })));
export const bar = (page) => page.panel.locator(".call");
export const shows = (page, state) => page.panel.locator(`.call[data-state="${state}"]`).waitFor({ timeout: PATIENCE });
/** The question is a line of the conversation; gives it. */
export const asked = (page) => until(async () => (await page.said("user")).find((m) => m.state === "sent" && isAsked(m.text)), async () => `the question among ${JSON.stringify(await page.conversation())}`, PATIENCE);
export const banner = (page) => page.panel.locator(".banner");

/** Starts a call by the button and waits until the agent listens. */
export async function callUp(page) {
  await page.listen();
  if (!(await page.panel.isVisible())) await page.openPanel();
  await page.voice.click();
  await page.event("voice:started");
  await shows(page, "listening");
}

/** What has arrived of the agent's voice, as the browser itself counts it. */
export const energy = (page) => page.page.evaluate(async () => {
  let sum = 0;
  for (const peer of window.e2ePeers) {
    if (peer.connectionState !== "closed") (await peer.getStats()).forEach((stat) => { if (stat.type === "inbound-rtp") sum += stat.totalAudioEnergy; });
  }
  return sum;
});
