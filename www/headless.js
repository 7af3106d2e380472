// @ts-check
/**
 * The engine without a screen, for pages that draw the conversation themselves: what `KartaAgentClient` (www/npm) imports from the server, so that
 * a page's package and its server never differ in what goes over the wire. Public and stable: packages of any age call it.
 *
 *  start({show, fail}) → {call, level, pick}
 *    show(state)          the whole state (`State` of www/npm/types.ts), frozen; what has not changed is the same object as before
 *    fail(code, message)  a file did not load (`load_failed`, `wasm_blocked`), or the engine crashed too often (`internal`)
 *    call(name, ...args)  every command of karta(...), and connect, stop, retry(messageId?), confirmTool(requestId, allow), hear
 *    level()              how loud the call is now, 0 to 1
 *    pick(deviceId)       another microphone
 *
 * Each start has an instance of its own, of the module as well: two of one page are like two tabs. Like the loader (www/karta.js) it contains a crash: a
 * trap in wasm ends that instance only; a fresh one resumes the session. It decides nothing about the product, and throws nothing.
 *
 * Exports of the bundle (src/browser/entry/headless.rs): karta_begin({origin, signal, pump, show, tell, meter, devices, login}), karta_order(args), karta_turn()
 */
const w = /** @type {any} */ (window);
const noop = () => {};
/** @type {(file: string) => string} */
const asset = (file) => new URL("assets/" + file, import.meta.url).href;

/** Part of a module's address: each instance is a module of its own, and one that failed is never used again. */
let instances = 0;

/** Calls that a restarted engine needs again: who the page is, and who listens. */
const LASTING = /^(init|identify|on|once|off|update)$/;
const MAX_CALLS = 1000;

/** @param {any} value */
const freeze = (value) => {
  if (Object(value) === value && !Object.isFrozen(value)) for (const part of Object.values(Object.freeze(value))) freeze(part);
  return value;
};

/** The new state with every part of the old one that says the same; the old one where all of it does. @param {any} old @param {any} now */
const share = (old, now) => {
  let same = !!old;
  for (const key in now) {
    // The engine keeps the identity of lines itself.
    if (old && key != "messages" && JSON.stringify(old[key]) === JSON.stringify(now[key])) now[key] = old[key];
    same &&= old[key] === now[key];
  }
  return same ? old : now;
};

/** @param {{show(state: any): void, fail(code: string, message: string): void}} page */
export const start = ({ show, fail }) => {
  /** Calls that wait for the engine. @type {unknown[][]} */
  const queue = [];
  /** @type {unknown[][]} */
  const lasting = [];
  /** When the last crashes happened. @type {number[]} */
  const crashes = [];
  /** The running engine. @type {any} */
  let engine;
  let loading = false;
  /** The page wants the conversation. */
  let wanted = false;
  /** @type {() => boolean | void} */
  let pump = noop;
  /** @type {any} */
  let shown;
  let level = 0;
  /** @type {{id: string, label: string, active: boolean}[]} */
  let microphones = [];

  /** @param {any} state */
  const follow = (state) => {
    if (state.voice.phase == "off") level = 0;
    state.voice.microphones = microphones;
    state = share(shown, state);
    if (state === shown) return;
    shown = freeze(state);
    show(shown);
  };

  /** What media.js works with in the prebuilt panel: the meter, and the list of microphones in its label. */
  const meter = { style: { setProperty: (/** @type {string} */ _, /** @type {number} */ value) => { level = value; } } };
  const devices = {
    value: "",
    onchange: /** @type {null | (() => void)} */ (null),
    parentNode: {},
    replaceChildren(/** @type {HTMLOptionElement[]} */ ...options) {
      microphones = options.map(({ text, value, selected }) => ({ id: value, label: text, active: selected }));
      if (shown) follow({ ...shown, voice: { ...shown.voice } });
    },
  };

  /** Tells the other engines of this page what is stored: browsers tell only other pages. Which of them made it, the event says itself.
   * @param {string} key @param {string | null} newValue */
  const tell = (key, newValue) =>
    queueMicrotask(() => {
      try {
        const event = new StorageEvent("storage", { key, newValue, url: w.location.href, storageArea: w.localStorage });
        w.dispatchEvent(Object.assign(event, { from: options }));
      } catch {}
    });

  /** What the engine is started with. It puts a login into it that another instance could not get again. */
  const options = { origin: new URL(import.meta.url).origin, show: follow, tell, meter, devices };

  const load = async () => {
    if (loading || engine) return;
    loading = true;
    const life = new AbortController();
    try {
      const file = fetch(asset("__HEADLESS_WASM__"));
      file.catch(noop);
      const module = await import(asset("__HEADLESS_JS__") + "#" + ++instances);
      await module.default({ module_or_path: file });
      pump = () => {
        // A crashed instance may still have a timer or a stream: false tells it to let go.
        if (life.signal.aborted) return false;
        try {
          module.karta_turn();
        } catch (error) {
          crashed(error, life);
        }
      };
      module.karta_begin(Object.assign(options, { signal: life.signal, pump }));
      for (const call of queue.splice(0)) module.karta_order(call);
      engine = module;
    } catch {
      life.abort();
      failed();
    }
    loading = false;
    pump();
  };

  const failed = () => {
    try {
      new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      fail("load_failed", `a file did not load from ${options.origin}. Check the network, ad blockers and CSP (script-src, connect-src).`);
    } catch {
      fail("wasm_blocked", "this page's CSP forbids WebAssembly. Add 'wasm-unsafe-eval' to script-src.");
    }
  };

  /** A bug of ours: log it once, discard the instance, start afresh. @param {unknown} error @param {AbortController} life */
  const crashed = (error, life) => {
    try {
      console.error("[karta] internal: the client restarts.", error);
    } catch {}
    engine = undefined;
    pump = noop;
    life.abort();
    const now = Date.now();
    crashes.push(now);
    queue.unshift(...lasting);
    if (wanted) queue.push(["connect"]);
    // Three in a minute: it would go on. Nothing starts by itself any more; the next connect tries again.
    if (crashes.filter((at) => now - at < 60000).length > 2) fail("internal", "the client has failed repeatedly; connect again later.");
    else setTimeout(load, 300);
  };

  return {
    /** @param {unknown[]} args */
    call: (...args) => {
      const [name] = args;
      if (/** @type {string} */ (name).match(LASTING) && lasting.length < MAX_CALLS) lasting.push(args);
      if (/^(connect|sendMessage|startVoice|open|toggle)$/.test(/** @type {string} */ (name))) wanted = true;
      if (/^(shutdown|reset)$/.test(/** @type {string} */ (name))) wanted = false;
      // Who was forgotten is not named again after a crash.
      if (name == "reset") lasting.splice(0, MAX_CALLS, ...lasting.filter((call) => call[0] != "identify"));
      if (engine) {
        try {
          engine.karta_order(args);
        } catch {}
        pump();
      } else {
        if (queue.length < MAX_CALLS) queue.push(args);
        if (wanted || name == "reset") load();
      }
    },
    level: () => level,
    /** @param {string} id */
    pick: (id) => {
      devices.value = id;
      devices.onchange?.();
    },
  };
};
