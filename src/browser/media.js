// @ts-check
/**
 * The hands of a call (src/browser/media.rs): one microphone, one voice to be heard, a meter of both, and the list to choose another
 * microphone from. Decides nothing: when to ask, whom to connect and when to be silent is said by the engine. No promise of ours is left
 * unhandled, because the page would see it.
 */

/** Told of what happens, by the numbers of media.rs. @type {(news: number, mic: number) => void} */
let tell;
/** On screen: the meter, and the list of microphones. @type {HTMLElement} */
let meter;
/** @type {HTMLSelectElement} */
let choice;
/** The microphone that is asked for or live; 0: none. */
let wanted = 0;
let muted = false;
/** @type {MediaStreamTrack | undefined} */
let mic;
/** Of the peer that carries the call. @type {RTCRtpSender | undefined} */
let sender;
/** @type {HTMLAudioElement | undefined} */
let sound;
/** @type {AudioContext | undefined} */
let context;
/** Ears of the meter: the microphone's and the agent's. @type {AnalyserNode[]} */
let ears = [];
let timer = 0;

const noop = () => {};
const { mediaDevices } = navigator;

export const possible = () => !!mediaDevices;

/** @param {typeof tell} hear @param {AbortSignal} signal */
export const attend = (hear, signal) => {
  tell = hear;
  // Of an instance that has crashed nothing may go on recording.
  signal.addEventListener("abort", () => hang(wanted));
};

/** Which microphones there are. A choice of one is none, and Chromium names the only one twice: itself, and as the default. */
const list = async () => {
  try {
    const devices = (await mediaDevices.enumerateDevices()).filter((device) => device.kind == "audioinput");
    const used = mic?.getSettings().deviceId;
    choice.replaceChildren(...devices.map(({ label, deviceId }) => new Option(label, deviceId, false, deviceId == used)));
    /** @type {HTMLElement} */ (choice.parentNode).hidden = !devices.some(({ groupId }) => groupId != devices[0].groupId);
  } catch {}
};

/** What the browser's exceptions mean to media.rs; any other is a microphone that is there and cannot be had. @type {Record<string, number>} */
const REFUSALS = { NotAllowedError: 0, policy: 1, SecurityError: 1, NotFoundError: 2, OverconstrainedError: 2 };

/** @param {number} id @param {HTMLElement} meter_ @param {HTMLSelectElement} choice_ */
export const openMic = (id, meter_, choice_) => {
  meter = meter_;
  choice = choice_;
  choice.onchange = () => ask(id, choice.value);
  ask(id);
};

/** @param {number} id @param {string} [exact]  which one */
const ask = async (id, exact) => {
  wanted = id;
  try {
    const policy = /** @type {any} */ (document).featurePolicy;
    // Asked first: to the browser this and the visitor's no are one exception, and it would complain in the page's console.
    if (policy && !policy.allowsFeature("microphone")) throw { name: "policy" };
    const stream = await mediaDevices.getUserMedia({
      audio: { deviceId: exact && { exact }, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const [track] = stream.getTracks();
    // The call ended while the visitor was asked, or another one is wanted by now.
    if (wanted != id || (exact && exact != choice.value)) return track.stop();
    mic?.stop();
    mic = track;
    track.enabled = !muted;
    track.onended = () => tell(5, id);
    const held = () => tell(6 + +track.muted, id);
    track.onmute = track.onunmute = held;
    mediaDevices.addEventListener("devicechange", list);
    sender?.replaceTrack(track).catch(noop);
    listen(0, stream);
    tell(4, id);
    // A phone call may have it already.
    held();
  } catch (/** @type {any} */ { name }) {
    if (wanted == id) tell(REFUSALS[name] ?? 3, id);
  }
  list();
};

/** @param {number} id */
export const hang = (id) => {
  if (wanted != id) return;
  wanted = 0;
  muted = false;
  mic?.stop();
  mediaDevices?.removeEventListener("devicechange", list);
  sender?.replaceTrack(null).catch(noop);
  if (sound) sound.srcObject = null;
  clearInterval(timer);
  context?.close().catch(noop);
  mic = sender = sound = context = undefined;
  timer = 0;
};

/** @param {boolean} on */
export const mute = (on) => {
  muted = on;
  if (mic) mic.enabled = !on;
};

/** @param {boolean} on */
export const hush = (on) => {
  if (sound) sound.muted = on;
};

export const play = () => {
  // A phone call has stopped both.
  context?.resume().catch(noop);
  sound?.play().catch(({ name }) => name == "NotAllowedError" && tell(8, wanted));
};

/** @param {RTCPeerConnection} peer */
export const talk = (peer) => {
  const [line] = peer.getTransceivers();
  const heard = new MediaStream([line.receiver.track]);
  sender = line.sender;
  sender.replaceTrack(mic || null).catch(noop);
  sound ||= new Audio();
  sound.muted = false;
  sound.srcObject = heard;
  play();
  listen(1, heard);
  timer ||= setInterval(() => {
    if (!document.hidden) meter.style.setProperty("--level", Math.max(...ears.map(level)));
  }, 80);
};

/** @param {number} at @param {MediaStream} stream */
const listen = (at, stream) => {
  try {
    context ||= new AudioContext();
    ears[at] = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(ears[at]);
  } catch {}
};

const wave = new Uint8Array(1024);

/** Loudness from 0 to 1, as people feel it. @param {AnalyserNode} ear */
const level = (ear) => {
  ear.getByteTimeDomainData(wave);
  return Math.sqrt(Math.max(128, ...wave) / 128 - 1);
};

/** The answer to a restart says only what is new of the answer to the offer. @param {RTCPeerConnection} peer @param {string} sdp */
export const whole = (peer, sdp) =>
  sdp.startsWith("v=")
    ? sdp
    : (peer.remoteDescription?.sdp || "").replace(/^a=ice-(ufrag|pwd):.*/gm, (_, what) => sdp.match("a=ice-" + what + ":\\S+")?.[0] || "");
