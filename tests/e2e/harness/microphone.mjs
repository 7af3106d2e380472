// A microphone that a test speaks into, in place of the browser's: the track is real, and what is said arrives by WebRTC.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Runs in the page before anything else of it. */
function install(recordings, alive) {
  const asked = { count: 0, tracks: [], sounds: [], muting: [] };
  Object.defineProperty(window, "e2eVoice", { value: asked });
  let context;
  let line;
  const decode = (base64) => context.decodeAudioData(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer);
  // Firefox has none in the empty page that a tab begins with.
  if (!navigator.mediaDevices) return;
  const media = Object.getPrototypeOf(navigator.mediaDevices);
  const real = media.getUserMedia;
  media.getUserMedia = async function (constraints) {
    asked.count += 1;
    let stream;
    if (recordings) {
      context ??= new AudioContext();
      line ??= context.createMediaStreamDestination();
      if (alive) {
        const silence = new ConstantSourceNode(context, { offset: 0 });
        silence.connect(line);
        silence.start();
      }
      stream = line.stream.clone();
    } else {
      stream = await real.call(this, constraints);
    }
    asked.tracks.push(...stream.getTracks());
    return stream;
  };
  /** Says it once; gives the time when it has been said. */
  asked.say = async (name) => {
    const source = context.createBufferSource();
    source.buffer = await decode(recordings[name]);
    source.connect(line);
    source.start();
    await new Promise((done) => { source.onended = done; });
    return performance.now();
  };
  const play = HTMLMediaElement.prototype.play;
  HTMLMediaElement.prototype.play = function () {
    if (!asked.sounds.includes(this)) asked.sounds.push(this);
    if (asked.refusePlay) return Promise.reject(new DOMException("a gesture, please", "NotAllowedError"));
    return play.call(this);
  };
  const muted = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "muted");
  Object.defineProperty(HTMLMediaElement.prototype, "muted", {
    ...muted,
    set(value) {
      asked.muting.push({ at: performance.now(), value });
      muted.set.call(this, value);
    },
  });
}

/**
 * An init script: `recordings` (name → file) may be said; without any the browser's own fake microphone is used, and watched. `alive`: it sends its silence,
 * as a real one does.
 */
export function microphone(recordings, { alive = false } = {}) {
  const files = recordings && Object.fromEntries(Object.entries(recordings).map(([name, file]) => [name, fs.readFileSync(file).toString("base64")]));
  return `(${install})(${JSON.stringify(files) ?? "undefined"}, ${alive})`;
}

/** The recording after so many seconds of silence: Chromium's fake microphone begins to play when it is opened, and a call is up a little later. */
export function after(seconds, recording) {
  const wav = fs.readFileSync(recording);
  const bytesPerSecond = wav.readUInt32LE(28);
  const silence = Buffer.alloc(seconds * bytesPerSecond);
  const out = Buffer.concat([wav.subarray(0, 44), silence, wav.subarray(44)]);
  out.writeUInt32LE(out.length - 8, 4);
  out.writeUInt32LE(out.length - 44, 40);
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "karta-microphone-")), path.basename(recording));
  fs.writeFileSync(file, out);
  process.on("exit", () => fs.rmSync(path.dirname(file), { recursive: true, force: true }));
  return file;
}
