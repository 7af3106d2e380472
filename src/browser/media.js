// @ts-check
/**
 * The hands of a call (src/browser/media.rs): one microphone, one voice to be heard, and a meter of both. Decides nothing: when to ask, whom to
 * connect and when to be silent is said by the engine. No promise of ours is ever left unhandled, because the page would see it.
 */
import { put } from "./dom/nodes.js";

/** In the order of `News` in media.rs. */
const GRANTED = 0, REFUSED = 1, ENDED = 2, HELD = 3, DEVICES = 4, BLOCKED = 5;

/** @type {(news: number, id: number, text: string, number: number) => void} */
let tell;
/** The microphone that is asked for or live; 0: none. */
let wanted = 0;
let muted = false;
/** @type {MediaStreamTrack | undefined} */
let mic;
/** @type {MediaDeviceInfo[]} */
let devices = [];
/** Of the peer that carries the call. @type {RTCRtpSender | undefined} */
let sender;
/** @type {HTMLAudioElement | undefined} */
let sound;
/** @type {AudioContext | undefined} */
let context;
/** Ears of the meter: the microphone's and the agent's. @type {(AnalyserNode | undefined)[]} */
let ears = [];
let timer = 0;

const noop = () => {};

export const possible = () => !!navigator.mediaDevices;

/** @param {typeof tell} hear @param {AbortSignal} signal */
export const attend = (hear, signal) => {
  tell = hear;
  // Of an instance that has crashed nothing may go on recording.
  signal.addEventListener("abort", () => hang(wanted));
};

const list = async () => {
  try {
    devices = (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind == "audioinput");
    const used = mic?.getSettings().deviceId;
    if (mic) tell(DEVICES, wanted, devices.map((device) => device.label).join("\n"), devices.findIndex((device) => device.deviceId == used));
  } catch {}
};

/** @param {number} id @param {number} device  its place in the list, or -1 */
export const open = async (id, device) => {
  wanted = id;
  try {
    const policy = /** @type {any} */ (document).featurePolicy;
    // Asked first: to the browser this and the visitor's no are one exception, and it would complain in the page's console.
    if (policy && !policy.allowsFeature("microphone")) throw { name: "policy" };
    const chosen = devices[device];
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { deviceId: chosen && { exact: chosen.deviceId }, echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const [track] = stream.getTracks();
    // The call ended while the visitor was asked.
    if (wanted != id) return track.stop();
    mic?.stop();
    mic = track;
    track.enabled = !muted;
    track.onended = () => tell(ENDED, id, "", 0);
    track.onmute = track.onunmute = () => tell(HELD, id, "", +track.muted);
    navigator.mediaDevices.addEventListener("devicechange", list);
    sender?.replaceTrack(track).catch(noop);
    listen(0, stream);
    tell(GRANTED, id, "", 0);
    list();
  } catch (/** @type {any} */ { name }) {
    if (wanted == id) {
      tell(REFUSED, id, name, 0);
      list();
    }
  }
};

/** @param {number} id */
export const hang = (id) => {
  if (wanted != id) return;
  wanted = 0;
  muted = false;
  if (mic) {
    mic.stop();
    navigator.mediaDevices.removeEventListener("devicechange", list);
  }
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
  sound?.play().catch(({ name }) => name == "NotAllowedError" && tell(BLOCKED, wanted, "", 0));
};

/** @param {RTCPeerConnection} peer @param {number} meter  the node that shows it */
export const talk = (peer, meter) => {
  const [line] = peer.getTransceivers();
  sender = line.sender;
  sender.replaceTrack(mic || null).catch(noop);
  sound ||= new Audio();
  sound.muted = false;
  sound.srcObject = new MediaStream([line.receiver.track]);
  play();
  listen(1, sound.srcObject);
  timer ||= setInterval(() => {
    if (document.hidden) return;
    ears.forEach((ear, at) => put(meter, at ? "--out" : "--in", level(ear)));
  }, 80);
};

/** @param {number} at @param {MediaStream} stream */
const listen = (at, stream) => {
  try {
    context ||= new AudioContext();
    ears[at] = context.createAnalyser();
    ears[at].fftSize = 512;
    context.createMediaStreamSource(stream).connect(ears[at]);
  } catch {}
};

const wave = new Uint8Array(512);

/** Loudness from 0 to 1, as ears take it. @param {AnalyserNode | undefined} ear */
const level = (ear) => {
  ear?.getByteTimeDomainData(wave);
  return Math.sqrt((Math.max(...wave) - 128) / 128).toFixed(2);
};

/** The answer to a restart says only what is new of the answer to the offer. @param {RTCPeerConnection} peer @param {string} sdp */
export const whole = (peer, sdp) =>
  sdp.startsWith("v=")
    ? sdp
    : (peer.remoteDescription?.sdp || "").replace(/^a=ice-(ufrag|pwd):.*/gm, (_, what) => sdp.match("a=ice-" + what + ":\\S+")?.[0] || "");
