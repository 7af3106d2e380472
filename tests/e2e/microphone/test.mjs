// The microphone and the page around it: how it is asked for, who else may take it, and that nothing goes on recording.
import { assert, test, until } from "../harness.mjs";
import { ANSWER, callUp, say, shows, spoken, tracks, voice, watched } from "../harness/call.mjs";
import { startPath } from "../harness/udp.mjs";

test("it is asked for with echo cancellation, noise suppression and gain control, after what the owner says about privacy", voice, async ({ tab, server }) => {
  await server.cli("branding", "update", "--privacy-notice", "Calls are written down.");
  const page = await (await tab({ before: [...[watched.before].flat(), askedUnder] })).load();
  await page.listen();
  await page.page.evaluate(() => window.karta("startVoice"));
  await page.event("voice:started");
  const asked = await page.page.evaluate(() => window.e2eAsked);
  assert.deepEqual(asked, [{ audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true }, video: undefined, told: true }]);
});

/** Runs in the page: what the microphone is asked for with, and whether the notice is on screen by then. */
function askedUnder() {
  Object.defineProperty(window, "e2eAsked", { value: [] });
  const media = Object.getPrototypeOf(navigator.mediaDevices);
  const { getUserMedia } = media;
  media.getUserMedia = function (constraints) {
    const { deviceId, ...audio } = constraints.audio;
    const note = document.querySelector("karta-root").shadowRoot.querySelector(".note");
    window.e2eAsked.push({ audio, video: constraints.video, told: note.textContent.includes("written down") && note.getBoundingClientRect().height > 0 });
    return getUserMedia.call(this, constraints);
  };
}

/** Runs in the page: one microphone, which Chromium names twice. */
function onlyOne() {
  const { enumerateDevices } = MediaDevices.prototype;
  MediaDevices.prototype.enumerateDevices = async function () {
    const [one] = (await enumerateDevices.call(this)).filter((device) => device.kind === "audioinput");
    return [["default", `Default - ${one.label}`], ["f00", one.label]].map(([deviceId, label]) => ({ kind: "audioinput", deviceId, label, groupId: one.groupId }));
  };
}

test("where there is one microphone there is no choice", voice, async ({ tab }) => {
  const page = await (await tab({ before: [watched.before, onlyOne] })).load();
  await callUp(page);
  const choice = page.panel.locator(".call select");
  await until(async () => (await choice.locator("option").count()) === 2, "the list");
  assert.ok(await choice.isHidden());
});

test("a phone call holds the microphone, and when it is over both voices are back", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.answers(ANSWER);
  await callUp(page);
  /** As a browser does when another call begins and ends: no page can make it so. */
  const held = (on) => page.page.evaluate((on) => {
    const [track] = window.e2eVoice.tracks;
    Object.defineProperty(track, "muted", { value: on, configurable: true });
    if (on) for (const sound of window.e2eVoice.sounds) sound.pause();
    track.dispatchEvent(new Event(on ? "mute" : "unmute"));
  }, on);
  await held(true);
  await shows(page, "muted");
  assert.match(await page.panel.locator(".call").textContent(), /paused/);
  await held(false);
  await shows(page, "listening");
  await until(() => page.page.evaluate(() => window.e2eVoice.sounds.at(-1).paused === false), "the sound to play again");
  await say(page);
  await page.sees("agent", ANSWER, ["done"], 60_000);
});

test("a tab that is frozen ends the call, and is connected when it thaws", voice, async ({ tab }) => {
  const page = await (await tab(watched)).load();
  await callUp(page);
  const at = await page.page.evaluate(() => {
    document.dispatchEvent(new Event("freeze"));
    return { tracks: window.e2eVoice.tracks.map((track) => track.readyState), peers: window.e2ePeers.map((peer) => peer.connectionState) };
  });
  assert.deepEqual(at, { tracks: ["ended"], peers: ["closed"] });
  await page.page.evaluate(() => document.dispatchEvent(new Event("resume")));
  await until(async () => (await page.probe()).channels === 2, "another channel");
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 1, "nobody is asked again");
});

test("a network that lets no media through is told of, and text goes on", { ...voice, waits: true }, async ({ tab, model, server }) => {
  const path = await startPath(server.udp);
  path.blocked = true;
  const page = await tab(watched);
  await path.lead(page.page);
  await page.load();
  await page.listen();
  await page.openPanel();
  await page.voice.click();
  await shows(page, "connecting");
  const { reason } = await page.event("voice:ended", undefined, 20_000);
  assert.equal(reason, "webrtc_unavailable");
  assert.deepEqual((await tracks(page)).map((track) => track.state), ["ended"]);
  model.answers("Typed is fine.");
  await page.say("Then I type");
  await page.sees("agent", "Typed is fine.");
  path.close();
});

test("a crash of ours in the middle of a call leaves nothing recording", voice, async ({ tab }) => {
  const page = await (await tab(watched)).load();
  await callUp(page);
  const states = await page.page.evaluate(() => {
    const { now } = performance;
    performance.now = () => {
      performance.now = now;
      throw new Error("a trap");
    };
    window.karta("close");
    return window.e2eVoice.tracks.map((track) => track.readyState);
  });
  assert.deepEqual(states, ["ended"]);
  assert.equal(page.takeComplaints(/internal: the widget restarts/).length, 1);
  await until(() => page.page.evaluate(() => window.e2eVoice.sounds.every((sound) => !sound.srcObject)), "silence");
  await page.panel.waitFor();
  await until(async () => (await page.probe()).channels === 2, "another channel");
  await callUp(page);
});

test("a page that the browser keeps comes back as it was, without the call", { ...voice, browser: { keepsPages: true } }, async ({ tab, model }) => {
  const page = await (await tab(watched)).load();
  model.answers(ANSWER);
  await callUp(page);
  await page.page.evaluate(() => {
    window.e2eKept = [];
    for (const type of ["pagehide", "pageshow"]) addEventListener(type, ({ persisted }) => window.e2eKept.push({ type, persisted, tracks: window.e2eVoice.tracks.map((track) => track.readyState), peers: window.e2ePeers.map((peer) => peer.connectionState) }));
  });
  await page.goto("/index.html?elsewhere");
  // Nothing is loaded: the page is shown again.
  await page.page.goBack({ waitUntil: "commit" });
  const kept = await until(() => page.page.evaluate(() => window.e2eKept?.length === 2 && window.e2eKept), "the same page, kept and shown again");
  assert.deepEqual(kept.map(({ type, persisted }) => ({ type, persisted })), [{ type: "pagehide", persisted: true }, { type: "pageshow", persisted: true }]);
  // Told after the widget's own listener, and before the page is frozen.
  assert.deepEqual([kept[0].tracks, kept[0].peers], [["ended"], ["closed"]], "no recording of who has left");
  assert.equal((await page.event("voice:ended")).reason, "page");
  await until(async () => (await page.probe()).channels === 2, "another channel");
  await page.say("I am back");
  await page.sees("agent", ANSWER, ["done"]);
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 1, "the microphone was asked for once");
  await page.voice.click();
  await until(async () => (await page.events("voice:started")).length === 2, "another call");
  await shows(page, "listening");
});
