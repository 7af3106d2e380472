// Calls in a real browser against the real server with the machine's own speech engine (flite and pocketsphinx, which ./build.sh test installs).
import { assert, test, until } from "../harness.mjs";
import { ANSWER, ASKED, FILE, LONG, PATIENCE, asked, banner, bar, callUp, energy, isAsked, recorded, say, shows, spoken, tracks, voice, watched } from "../harness/call.mjs";
import { microphone } from "../harness/microphone.mjs";
import { startPath } from "../harness/udp.mjs";

test("a question asked aloud becomes text, and the answer is heard", recorded, async ({ tab, model }) => {
  const page = await (await tab(watched)).load();
  model.answers(ANSWER);
  await callUp(page);
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 1);
  const line = await asked(page);
  await shows(page, "speaking");
  await until(async () => (await energy(page)) > 0.01, "audio energy to arrive");
  assert.ok(await page.page.evaluate(() => window.e2eVoice.sounds.some((sound) => !sound.paused && !sound.muted && sound.srcObject.active)), "and it is played");
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  await shows(page, "listening");
  const transcript = await page.events("transcript");
  assert.deepEqual(transcript.filter((e) => e.final).map(({ role, text }) => ({ role, text })), [{ role: "user", text: line.text }, { role: "agent", text: ANSWER }]);
  assert.ok(transcript.some((e) => e.role === "agent" && !e.final), "with captions before it");
  assert.deepEqual((await page.log()).map((e) => e.type), ["user.transcript", "session.status_running", "agent.message", "session.status_idle"]);
  assert.match(await bar(page).getByRole("timer").textContent(), /^\d:\d\d$/);
});

test("what is said is on screen while it is recognised", { ...voice, agentArgs: ["--voice", "openai"], env: { OPENAI_STT_MODEL: "ears", OPENAI_TTS_MODEL: "mouth" } }, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.answers(ANSWER);
  const go = model.holdWords();
  await callUp(page);
  await say(page);
  const caption = await page.sees("user", "what are your opening", ["streaming"], PATIENCE);
  assert.ok(!caption.text.includes("hours"));
  assert.ok((await page.events("transcript")).some((e) => e.role === "user" && !e.final && e.text.startsWith("what are")));
  go();
  await page.sees("user", ASKED, ["sent"]);
  await page.sees("agent", ANSWER, ["done"]);
  assert.equal((await page.said("user")).length, 1, "the caption became the line");
  const marked = await page.message.evaluateAll((rows) => rows.filter((row) => row.hasAttribute("data-spoken")).map((row) => row.querySelector(".live").textContent));
  assert.deepEqual(marked, ["You, spoken", "Assistant, spoken"]);
});

test("who speaks over the agent silences it at once, and only what was heard stays", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.answers(LONG);
  await callUp(page);
  await say(page);
  await shows(page, "speaking");
  await until(async () => (await energy(page)) > 0.01, "the agent to be heard");
  model.answers(ANSWER);
  await say(page);
  const cut = await until(async () => page.page.evaluate(() => {
    const at = window.e2eProbe.received.findIndex((frame) => frame.includes("voice.cut"));
    return at >= 0 && { at: window.e2eProbe.times[at], frame: JSON.parse(window.e2eProbe.received[at]) };
  }), "voice.cut", PATIENCE);
  const muted = await page.page.evaluate((at) => window.e2eVoice.muting.find((change) => change.value && change.at >= at - 1)?.at, cut.at);
  assert.ok(muted - cut.at < 50, `silent ${muted - cut.at} ms after the word of the server`);
  // The next answer is heard again, and the first ends where it was cut.
  await page.sees("agent", ANSWER, ["streaming", "done"], PATIENCE);
  await shows(page, "speaking");
  assert.equal(await page.page.evaluate(() => window.e2eVoice.sounds.at(-1).muted), false);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  const answers = (await page.log()).filter((e) => e.type === "agent.message");
  const heard = Buffer.from(LONG).subarray(0, cut.frame.heard).toString();
  assert.ok(cut.frame.heard > 0 && cut.frame.heard < LONG.length, `${cut.frame.heard} bytes were heard`);
  assert.deepEqual(answers.map((e) => [e.text.trim(), Boolean(e.interrupted)]), [[heard.trim(), true], [ANSWER, false]]);
  await page.sees("agent", heard.trim(), ["interrupted"]);
  assert.equal((await page.said("agent")).filter((m) => m.text.includes("quiet coffee")).length, 0, "what was not heard is not shown");
});

test("mute is silence here and there", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.answers(ANSWER);
  await callUp(page);
  const mute = page.panel.getByRole("button", { name: "Mute microphone" });
  await mute.click();
  assert.equal(await mute.getAttribute("aria-pressed"), "true");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: false }]);
  await shows(page, "muted");
  await say(page);
  await page.page.evaluate(() => window.karta("unmute"));
  await page.event("voice:muted", (e) => !e.muted);
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }]);
  await shows(page, "listening");
  assert.deepEqual((await page.events("transcript")), [], "what was said meanwhile is lost");
  await say(page);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  const said = (await page.log()).filter((e) => e.type === "user.transcript");
  assert.ok(said.length === 1 && isAsked(said[0].text), "one question was heard");
  const { sent } = await page.probe();
  assert.deepEqual(sent.map((f) => JSON.parse(f).type).filter((type) => /^voice\./.test(type)), ["voice.start", "voice.mute", "voice.unmute"]);
});

test("who says nothing sends next to nothing, and is understood afterwards", voice, async ({ tab, model }) => {
  const page = await (await tab({ before: microphone({ question: FILE }, { alive: true }) })).load();
  model.answers(ANSWER);
  await callUp(page);
  const silence = [];
  const sent = () => page.page.evaluate(async () => {
    for (const report of (await window.e2ePeers.at(-1).getStats()).values()) if (report.type === "outbound-rtp") return { at: report.timestamp, packets: report.packetsSent };
  });
  // Discontinuous transmission begins after a fifth of a second, and what the browser reports is up to a second old.
  const [first, last] = await until(async () => {
    silence.push(await sent());
    return silence.at(-1).at > silence[0].at + 4_000 && [silence.find((s) => s.at > silence[0].at + 1_000), silence.at(-1)];
  }, () => `three seconds of silence in ${JSON.stringify(silence)}`);
  const each = (last.packets - first.packets) / ((last.at - first.at) / 1_000);
  assert.ok(each < 10, `${each} packets a second, of 50 that speech has`);
  await say(page);
  await asked(page);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
});

test("the end turns the microphone off at once, and the conversation goes on as text", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  await callUp(page);
  const within = await page.page.evaluate(() => {
    const root = document.querySelector("karta-root").shadowRoot;
    const at = performance.now();
    root.querySelector(".hang").click();
    return { ms: performance.now() - at, states: window.e2eVoice.tracks.map((track) => track.readyState), senders: window.e2ePeers.at(-1).getSenders().map((sender) => sender.track?.readyState ?? "none") };
  });
  assert.deepEqual(within.states, ["ended"]);
  assert.ok(within.ms < 100, `${within.ms} ms`);
  assert.deepEqual((await page.event("voice:ended")).reason, "ended");
  assert.ok(await bar(page).isHidden());
  await until(() => page.page.evaluate(() => window.e2ePeers.at(-1).getSenders().every((sender) => !sender.track)), "a sender without a track");
  model.answers("In writing.");
  await page.say("And now?");
  await page.sees("agent", "In writing.");
  assert.equal((await page.probe()).channels, 1, "over the same connection");
  // And again, on the same connection.
  await page.voice.click();
  await until(async () => (await page.events("voice:started")).length === 2, "another call");
  assert.deepEqual((await tracks(page)).map((track) => track.state), ["ended", "live"]);
  // By order of the page as well.
  const ordered = await page.page.evaluate(() => {
    const at = performance.now();
    window.karta("endVoice");
    return { ms: performance.now() - at, state: window.e2eVoice.tracks[1].readyState };
  });
  assert.equal(ordered.state, "ended");
  assert.ok(ordered.ms < 100, `${ordered.ms} ms`);
});

test("a sentence is spoken while the model still writes the next", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.hold();
  await callUp(page);
  await say(page);
  const call = await model.nextCall();
  call.write("We are open from eight to four. ");
  await until(async () => (await energy(page)) > 0.01, "the first sentence to be heard", PATIENCE);
  await shows(page, "speaking");
  call.write("Dogs are welcome.");
  call.end();
  await page.sees("agent", "Dogs are welcome.", ["done"], PATIENCE);
});

test("what is typed in a call is answered aloud, and typing cuts", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  model.answers(LONG);
  await callUp(page);
  await page.say("Tell me everything");
  await shows(page, "speaking");
  await until(async () => (await energy(page)) > 0.01, "the answer to be heard");
  model.answers(ANSWER);
  await page.say("No, be brief");
  await until(async () => (await page.probe()).received.some((f) => f.includes("voice.cut")), "voice.cut", PATIENCE);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  assert.deepEqual((await page.said("user")).map((m) => m.text), ["Tell me everything", "No, be brief"]);
});

test("a conversation in writing goes on aloud, in the same session", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  await page.openPanel();
  model.answers("Good morning.");
  await page.say("Good morning");
  await page.sees("agent", "Good morning.");
  model.answers(ANSWER);
  await callUp(page);
  await say(page);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  const log = await page.log();
  const said = log.filter((e) => e.text).map((e) => [e.type, isAsked(e.text) ? ASKED : e.text]);
  assert.deepEqual(said, [["user.message", "Good morning"], ["agent.message", "Good morning."], ["user.transcript", ASKED], ["agent.message", ANSWER]]);
  assert.equal(page.posts("/sessions").length, 1);
  assert.equal(page.posts("/connect").length, 1, "the offer had room for the voice from the beginning");
  assert.ok(model.calls.at(-1).messages.some((m) => m.content === "Good morning"), "the agent knows what was written");
});

test("a reload in the middle of a call keeps the conversation and asks for no microphone", voice, async ({ tab, model, server }) => {
  const page = await (await tab(spoken)).load();
  model.answers(ANSWER);
  await callUp(page);
  await say(page);
  await asked(page);
  await page.load();
  await page.panel.waitFor();
  await asked(page);
  await page.sees("agent", ANSWER, ["done"], PATIENCE);
  assert.ok(await bar(page).isHidden());
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 0);
  await until(() => /method=DELETE path="[^"]*\/connect\/\{connection_id\}"/.test(server.log()), "the old connection to be ended");
  await callUp(page);
});

test("a page that is left ends the call, and is clean when it comes back", voice, async ({ tab }) => {
  const page = await (await tab(spoken)).load();
  await callUp(page);
  const at = await page.page.evaluate(() => {
    dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
    return { tracks: window.e2eVoice.tracks.map((track) => track.readyState), peers: window.e2ePeers.map((peer) => peer.connectionState), sounds: window.e2eVoice.sounds.filter((sound) => sound.srcObject).length };
  });
  assert.deepEqual(at, { tracks: ["ended"], peers: ["closed"], sounds: 0 });
  assert.equal((await page.events("voice:ended"))[0].reason, "page");
  await page.page.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  await until(async () => (await page.probe()).channels === 2, "another channel");
  assert.ok(await bar(page).isHidden() && await banner(page).isHidden());
  assert.equal(await page.page.evaluate(() => window.e2eVoice.count), 1);
});

test("a microphone that is unplugged ends the call with words", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  await callUp(page);
  await page.page.evaluate(() => window.e2eVoice.tracks[0].dispatchEvent(new Event("ended")));
  assert.equal((await page.event("voice:ended")).reason, "microphone_lost");
  assert.match(await banner(page).textContent(), /disconnected/);
  model.answers("Typed.");
  await page.say("I type");
  await page.sees("agent", "Typed.");
});

// ---- Refusals --------------------------------------------------------------------------------------------------------

/** One clear state, an event, and text goes on. */
async function refused(page, model, reason, words) {
  assert.equal((await page.event("voice:ended")).reason, reason);
  assert.equal((await page.event("error")).code, reason);
  await until(async () => words.test(await banner(page).textContent()), async () => `${words} in "${await banner(page).textContent()}"`);
  assert.ok(await bar(page).isHidden());
  model.answers("Typed is fine.");
  await page.say("Then I type");
  await page.sees("agent", "Typed is fine.");
  assert.ok(await banner(page).isHidden());
}

const press = async (page) => {
  await page.listen();
  await page.openPanel();
  await page.voice.click();
};
const order = async (page) => {
  await page.listen();
  await page.page.evaluate(() => window.karta("startVoice"));
  await page.panel.waitFor();
};

test("denied", { ...voice, browser: { flags: ["--use-fake-ui-for-media-stream=deny"] } }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await press(page);
  await refused(page, model, "microphone_denied", /blocked/);
});

test("no microphone", { ...voice, browser: { device: false } }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await press(page);
  await refused(page, model, "microphone_missing", /no microphone/);
});

test("a page whose policy forbids it", { ...voice, headers: () => ({ "permissions-policy": "microphone=()" }) }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await press(page);
  await refused(page, model, "microphone_forbidden", /does not allow the microphone/);
});

test("an insecure page", { ...voice, browser: { flags: ["--host-resolver-rules=MAP shop.test 127.0.0.1"] }, origins: (origin) => [origin.replace("127.0.0.1", "shop.test")] }, async ({ tab, model, site }) => {
  const page = await tab();
  page.origin = site.origin.replace("127.0.0.1", "shop.test");
  await page.load();
  assert.equal(await page.page.evaluate(() => window.isSecureContext), false);
  await order(page);
  assert.ok(await page.voice.isHidden(), "no button for what cannot be");
  await refused(page, model, "page_insecure", /https/);
});

test("WebRTC taken away", voice, async ({ tab, model }) => {
  const page = await (await tab({ before: () => { delete window.RTCPeerConnection; } })).load();
  await order(page);
  assert.ok(await page.voice.isHidden());
  await refused(page, model, "webrtc_unavailable", /lets no call through/);
});

test("an agent without a voice", { model: true }, async ({ tab, model }) => {
  const page = await (await tab()).load();
  await order(page);
  assert.ok(await page.voice.isHidden());
  await refused(page, model, "voice_unavailable", /not possible/);
});

test("a voice that is switched off meanwhile", voice, async ({ tab, model, server, agent }) => {
  const page = await (await tab(spoken)).load();
  await page.listen();
  await page.openPanel();
  await page.realtime();
  await server.cli("agents", "update", agent, "--voice", "off");
  await page.voice.click();
  await refused(page, model, "voice_unavailable", /not possible/);
  assert.deepEqual((await tracks(page)).map((track) => track.state), ["ended"]);
});

test("sound that the browser holds back is one tap away", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  await page.page.evaluate(() => { window.e2eVoice.refusePlay = true; });
  model.answers(ANSWER);
  await callUp(page);
  const tap = page.panel.getByRole("button", { name: "Tap to hear" });
  await tap.waitFor();
  await page.page.evaluate(() => { window.e2eVoice.refusePlay = false; });
  await tap.click();
  await until(() => page.page.evaluate(() => window.e2eVoice.sounds.some((sound) => !sound.paused)), "the sound to play");
  assert.ok(await banner(page).isHidden());
});

// ---- The network -----------------------------------------------------------------------------------------------------

/** The call is up, and a question is heard and answered. */
async function answers(page, model) {
  const before = (await page.said("agent")).length;
  model.answers(ANSWER);
  await say(page);
  await until(async () => {
    const all = await page.said("agent");
    return all.length > before && all.at(-1).text.includes(ANSWER) && all.at(-1).state === "done";
  }, async () => `an answer among ${JSON.stringify(await page.conversation())}`, PATIENCE);
}

/** From `since` on the network is good: the agent listens within three seconds. */
async function backSoon(page, since) {
  await until(async () => (await bar(page).getAttribute("data-state")) === "listening", "the agent to listen again");
  const ms = Date.now() - since;
  assert.ok(ms < 3000, `back after ${ms} ms`);
  assert.deepEqual(await page.events("voice:ended"), []);
  assert.equal((await page.events("voice:started")).length, 1, "the same call");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }]);
}

test("a path that breaks is restarted under the same connection", voice, async ({ tab, model }) => {
  const page = await (await tab(spoken)).load();
  await callUp(page);
  const name = () => page.page.evaluate(() => /a=ice-ufrag:(.*)/.exec(window.e2ePeers.at(-1).currentLocalDescription.sdp)[1]);
  const before = await name();
  // As the browser does when its network comes back.
  await page.page.evaluate(() => dispatchEvent(new Event("online")));
  await until(() => page.requests.some((r) => r.method === "PATCH"), "a restart");
  await until(async () => (await name()) !== before, "other credentials");
  await answers(page, model);
  assert.equal((await page.probe()).channels, 1);
  assert.ok(!(await page.probe()).sent.some((frame, i, all) => frame.includes("voice.start") && all.findIndex((f) => f.includes("voice.start")) !== i), "the call has noticed nothing");
});

test("packets that no longer pass: the call waits, and comes back by itself", { ...voice, waits: true }, async ({ tab, model, server }) => {
  const path = await startPath(server.udp);
  const page = await tab(spoken);
  await path.lead(page.page);
  await page.load();
  await callUp(page);
  await answers(page, model);
  path.blocked = true;
  await shows(page, "reconnecting");
  await until(() => page.requests.some((r) => r.method === "PATCH"), "a restart to be tried first");
  await until(() => page.posts("/connect").length > 1, "another connection to be tried");
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }], "the microphone is kept");
  path.blocked = false;
  await backSoon(page, Date.now());
  await answers(page, model);
  const log = await page.log();
  assert.deepEqual(log.filter((e) => e.text).map((e) => (isAsked(e.text) ? ASKED : e.text)), [ASKED, ANSWER, ASKED, ANSWER]);
  assert.equal(page.posts("/sessions").length, 1, "the same session");
  path.close();
});

test("a server that dies and comes back takes the call up again", { ...voice, network: true, waits: true }, async ({ tab, model, server }) => {
  const page = await (await tab(spoken)).load();
  await callUp(page);
  await server.kill();
  await shows(page, "reconnecting");
  await server.start();
  await backSoon(page, Date.now());
  await answers(page, model);
});

// ---- The screen ------------------------------------------------------------------------------------------------------

test("by keyboard alone, and the focus is never lost", voice, async ({ tab }) => {
  const page = await (await tab(spoken)).load();
  await page.listen();
  const focused = () => page.page.evaluate(() => {
    const element = document.querySelector("karta-root").shadowRoot.activeElement;
    return element?.getAttribute("aria-label") ?? element?.tagName ?? null;
  });
  const keys = page.page.keyboard;
  await page.launcher.focus();
  await keys.press("Enter");
  await page.panel.waitFor();
  await keys.press("Tab");
  assert.equal(await focused(), "Talk");
  await keys.press("Enter");
  await page.event("voice:started");
  assert.equal(await focused(), "Mute microphone");
  await keys.press("Space");
  await page.event("voice:muted", (e) => e.muted);
  await keys.press("Space");
  await page.event("voice:muted", (e) => !e.muted);
  // Escape closes the panel, not the call.
  await keys.press("Escape");
  await until(() => page.panel.isHidden(), "a closed panel");
  assert.match(await page.launcher.getAttribute("aria-label"), /call in progress/);
  assert.deepEqual(await tracks(page), [{ state: "live", enabled: true }]);
  await keys.press("Enter");
  await page.panel.waitFor();
  await keys.press("Shift+Tab");
  assert.equal(await focused(), "End call");
  await keys.press("Enter");
  assert.equal((await page.event("voice:ended")).reason, "ended");
  assert.equal(await focused(), "Talk");
  assert.doesNotMatch(await page.launcher.getAttribute("aria-label"), /call/);
});

test("another microphone takes over in the middle of the call", voice, async ({ tab }) => {
  const page = await (await tab(watched)).load();
  await callUp(page);
  const choice = page.panel.getByRole("combobox", { name: "Microphone" });
  await choice.waitFor({ state: "attached" });
  const names = await choice.locator("option").allTextContents();
  assert.ok(names.length > 1 && names.every(Boolean), names.join());
  await choice.selectOption({ index: names.length - 1 });
  await until(async () => (await tracks(page)).map((track) => track.state).join() === "ended,live", "the other track");
  await until(() => page.page.evaluate(() => window.e2ePeers.at(-1).getSenders().some((sender) => sender.track === window.e2eVoice.tracks[1])), "it to be sent");
  await until(async () => (await choice.evaluate((select) => select.selectedIndex)) === names.length - 1, "the list to say so");
  await shows(page, "listening");
  assert.deepEqual(await page.events("voice:ended"), []);
});

/** Goes on beside the test, which waits for it later, or fails before that and has no use for its end. */
function aside(promise) {
  promise.catch(() => {});
  return promise;
}

test("the meter moves with both voices, and not for who wants no motion", voice, async ({ visitor, model }) => {
  model.answers(ANSWER);
  const open = async (reducedMotion) => {
    const page = await (await (await visitor({ reducedMotion })).tab(spoken)).load();
    await callUp(page);
    return page;
  };
  /** What stands in the style, and what a visitor sees: how high the tallest bar is, from 0 to 1. */
  const measure = (page) => page.panel.locator(".meter").evaluate((meter) => ({
    level: Number(meter.style.getPropertyValue("--level")),
    height: Math.max(...[...meter.children].map((bar) => bar.getBoundingClientRect().height / meter.getBoundingClientRect().height)),
  }));
  const page = await open("no-preference");
  const height = async () => (await measure(page)).height;
  await until(async () => (await height()) < 0.25, "a meter that is still while nobody speaks");
  const saying = aside(say(page));
  await until(async () => (await height()) > 0.4, "the visitor on the meter");
  await saying;
  await until(async () => (await height()) < 0.25, "silence again");
  await shows(page, "speaking");
  await until(async () => (await height()) > 0.3, "the agent on the meter", PATIENCE);
  const still = await open("reduce");
  const before = await measure(still);
  const talking = aside(say(still));
  await until(async () => (await measure(still)).level > 0.3, "sound that a meter would show");
  assert.equal((await measure(still)).height, before.height);
  await talking;
});
