// @ts-check
/**
 * Karta's loader: the only file that a page names. Hand-written and small, because it runs before anything else of ours.
 *
 * What it does, in order:
 *  1. Defines `window.karta` and `window.Kataven` at once, whatever stands there, and takes over a stub's queue. It never throws into the page.
 *  2. Asks for the server's config (when a public key is known) and for both files of the launcher bundle, all at the same time.
 *  3. Lets the launcher bundle draw the button.
 *  4. Loads the panel bundle, which holds the engine, when the browser is idle, when the pointer or the focus reaches the button, or when a
 *     command needs it; then hands over the queue: every call, in order, once.
 *  5. Contains a crash: a trap in wasm ends that instance only; a fresh one resumes the session.
 *
 * What it does not do: decide anything about the product. It reads a key and a base URL to save a round trip; the engine checks both.
 *
 * Exports of the bundles (src/browser/entry.rs):
 *  launcher  karta_draw(tag, inits, reply) → the host element, or undefined where nothing is to be drawn; karta_host() → a host without a look
 *  panel     karta_start({tag, origin, reply, host, make, taken, signal, pump, login}), karta_call(args), karta_drain()
 */
(() => {
  "use strict";
  const w = /** @type {any} */ (window);
  const d = document;
  /** @type {(code: string, message: string) => void} */
  const warn = (code, message) => {
    try {
      console.warn(`[karta] ${code}: ${message}`);
    } catch {}
  };
  const noop = () => {};

  // One loader a page, however often the tag is there.
  const mark = Symbol.for("karta.loader");
  if (w[mark]) {
    if (w[mark]++ === 1) warn("already_loaded", "the script is on this page twice. Remove one of the two tags.");
    return;
  }
  try {
    Object.defineProperty(w, mark, { value: 1, writable: true });
  } catch {}

  // ---- The tag -----------------------------------------------------------------------------------------------------

  const script = /** @type {HTMLScriptElement | undefined} */ (
    [d.currentScript, ...d.querySelectorAll('script[src*="karta.js"],script[src*="/v1.js"],script[src*="/embed.js"]')].find(
      // An <img name=currentScript> stands in for the real one.
      (s) => s instanceof HTMLScriptElement && s.src,
    )
  );
  const src = new URL(script ? script.src : d.baseURI);
  /** @type {Record<string, string>} */
  const tag = Object.create(null);
  if (script) for (const { name, value } of script.attributes) if (name.startsWith("data-")) tag[name] = value;
  /** @type {(file: string) => string} */
  const asset = (file) => new URL((/karta\.js$/.test(src.pathname) ? "assets/" : "/widget/v1/assets/") + file, src).href;

  // ---- The queue ---------------------------------------------------------------------------------------------------

  /** Calls that wait for the engine. @type {unknown[][]} */
  const queue = [];
  /** Calls that a restarted engine needs again: who the page is, and who listens. @type {any[][]} */
  let lasting = [];
  const LASTING = /^(init|identify|on|once|off|update)$/;
  const MAX_CALLS = 1000;
  let full = false;
  /** The running engine. @type {{karta_call(args: unknown[]): void} | undefined} */
  let panel;
  /** @type {() => boolean | void} */
  let pump = noop;

  /** Takes one call. `call` is whatever was pushed: `arguments`, an array, or nonsense. @param {any} call */
  const receive = (call) => {
    try {
      /** @type {unknown[]} */
      const args = [];
      for (let i = 0; i < call.length && i < 4; i++) args[i] = call[i];
      const [name, event, callback] = args;
      const lasts = typeof name == "string" && LASTING.test(name);
      if (name === "off") lasting = lasting.filter((call) => !/^on/.test(call[0]) || call[1] !== event || (callback && call[2] !== callback));
      // Whoever the tag and the calls name, the visitor is nobody from here on, also after a restart.
      else if (name === "reset") lasting = lasting.filter((call) => call[0] !== "identify").concat([["identify"]]);
      else if (lasts && lasting.length < MAX_CALLS) lasting.push(args);
      if (panel) {
        panel.karta_call(args);
        pump();
      } else if (queue.length < MAX_CALLS) {
        queue.push(args);
        if (!lasts) loadPanel();
        else if (name === "init") launch();
      } else {
        // What waits goes to the engine, and the next call finds room.
        loadPanel();
        if (!full) warn("queue_full", "more than 1,000 calls wait; later ones are dropped.");
        full = true;
      }
    } catch {
      warn("bad_argument", "a call could not be read.");
    }
  };

  /** Installs one global. @param {string} name @param {any} api */
  const install = (name, api) => {
    /** @type {any} */
    let old;
    let calls = [];
    const push = { push: receive };
    try {
      old = w[name];
      if (typeof old == "function") {
        calls = old.q || [];
        // A page may have kept the stub: what it pushes from now on comes straight to us.
        old.q = push;
      }
    } catch {}
    api.q = push;
    try {
      Object.defineProperty(w, name, { value: api, writable: true, configurable: true, enumerable: true });
    } catch {
      warn("global_taken", `window.${name} is frozen by this page; only calls through a stub arrive.`);
    }
    try {
      for (let i = 0; i < calls.length && i <= MAX_CALLS; i++) receive(calls[i]);
    } catch {}
  };

  // ---- Loading -----------------------------------------------------------------------------------------------------

  /** Nothing starts by itself any more. */
  let calm = false;
  /** Failures and crashes so far. Part of the module's address: an instance that failed is never used again. */
  let spoiled = 0;

  /** Both files at once: one round trip less. The panel draws with the launcher's functions. @param {string} js @param {string} wasm @param {Promise<any>} [drawing] @returns {Promise<any>} */
  const load = async (js, wasm, drawing) => {
    const file = fetch(asset(wasm));
    file.catch(noop);
    const module = await import(asset(js) + (spoiled ? "#" + spoiled : ""));
    await module.default({ module_or_path: file, drawing });
    return module;
  };

  let failures = 0;
  const failed = () => {
    spoiled++;
    // Once is no news: Firefox ends the requests of a page that begins to load another one, also where that is a download and the page stays.
    if (failures++ == 1)
      try {
        new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
        warn("load_failed", `a file of the widget did not load from ${src.origin}. Check the network, ad blockers and CSP (script-src, connect-src).`);
      } catch {
        calm = true;
        warn("wasm_blocked", "this page's CSP forbids WebAssembly. Add 'wasm-unsafe-eval' to script-src.");
      }
    // The button comes as soon as the network lets it, and what waits is not forgotten.
    if (!calm) setTimeout(() => (queue[0] || host ? loadPanel() : launch()), 500 << Math.min(failures, 7));
  };

  /** The launcher bundle: it draws the button, and makes every host that the engine asks for. Kept as long as it is sound: it knows what it has drawn. @type {Promise<any> | undefined} */
  let drawer;
  const launcher = () =>
    (drawer ||= load("__LAUNCHER_JS__", "__LAUNCHER_WASM__").catch((error) => {
      drawer = undefined;
      throw error;
    }));

  /** An own string property, without running a getter. @param {any} object @param {string} key @returns {string | undefined} */
  const own = (object, key) => {
    try {
      const value = Object.getOwnPropertyDescriptor(object, key)?.value;
      return typeof value == "string" ? value : undefined;
    } catch {}
  };
  /** @type {(ms: number) => Promise<void>} */
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  /** The question how the server wants the widget to look. @type {Promise<void> | undefined} */
  let asked;
  /** Its answer. @type {{url: string, status: number, body?: any} | undefined} */
  let reply;
  let launching = false;
  /** @type {HTMLElement | undefined} */
  let host;
  let unwatch = noop;

  const inits = () => queue.filter((call) => call[0] === "init").map((call) => call[1]);

  const launch = async () => {
    if (launching || host || panel) return;
    /** What the page says: the last `init` before the tag. @type {(keys: string[], ...names: string[]) => string | undefined} */
    const find = (keys, ...names) =>
      inits()
        .map((init) => keys.map((key) => own(init, key)).find(Boolean))
        .reverse()
        .find(Boolean) || names.map((name) => tag["data-" + name]).find(Boolean);
    const key = find(["embedKey", "publicKey"], "embed-key", "client-key", "token");
    if (!key) return;
    launching = true;
    if (!asked && /^pk_\w+$/.test(key)) {
      const agent = find(["agentRef", "agentId"], "agent-ref", "agent") || find(["projectRef"], "project-ref", "project");
      const base = (find(["baseUrl"], "base-url") || src.origin).replace(/\/+$/, "");
      const url = `${base}/api/v1/widget/config?client_key=${key}` + (agent ? "&agent_id=" + encodeURIComponent(agent) : "");
      asked = (async () => {
        try {
          const answer = await fetch(url, { credentials: "omit" });
          reply = { url, status: answer.status, body: await answer.json() };
        } catch {
          reply = { url, status: 0 };
        }
      })();
    }
    try {
      const drawing = await launcher();
      // Under 600 ms, waiting avoids a change of colour; over it, a visitor would take the site for chat-less.
      await Promise.race([asked, wait(600)]);
      if (!d.body) await new Promise((done) => d.addEventListener("DOMContentLoaded", done, { once: true }));
      if (!panel && !loading) {
        host = drawing.karta_draw(tag, inits(), reply);
        if (host) watch(host);
        // No button: the engine knows why, and says so.
        else loadPanel();
      }
    } catch {
      drawer = undefined;
      failed();
    }
    launching = false;
  };

  /** Until the engine runs, the loader listens at the button. @param {HTMLElement} element */
  const watch = (element) => {
    const near = () => calm || loadPanel();
    const root = /** @type {ShadowRoot} */ (element.shadowRoot);
    const listeners = /** @type {[string, () => void][]} */ ([
      ["click", () => receive(["open"])],
      ["pointerover", near],
      ["focusin", near],
    ]);
    for (const [type, listener] of listeners) root.addEventListener(type, listener);
    unwatch = () => {
      for (const [type, listener] of listeners) root.removeEventListener(type, listener);
    };
    // Not while the page itself still loads, and not before a wish where the visitor saves data.
    const idle = () => (w.requestIdleCallback ? w.requestIdleCallback(near, { timeout: 4000 }) : setTimeout(near, 1500));
    if (w.navigator.connection?.saveData) return;
    if (d.readyState == "complete") idle();
    else w.addEventListener("load", idle, { once: true });
  };

  // ---- The engine --------------------------------------------------------------------------------------------------

  let loading = false;
  /** What the engine is started with. It puts a login into it that another instance could not get again. */
  const options = {};
  /** When the last crashes happened. @type {number[]} */
  const crashes = [];

  const loadPanel = async () => {
    if (loading || panel) return;
    loading = true;
    const button = host?.shadowRoot?.querySelector("button");
    button?.setAttribute("aria-busy", "true");
    const life = new AbortController();
    try {
      const drawing = launcher();
      // The answer under way is the one that the engine would ask for. It also says which panel: few agents need what the other one has beside.
      await Promise.race([asked, wait(600)]);
      /** @type {[string, string]} */
      const files = reply?.body?.features?.realtime ? ["__REALTIME_JS__", "__REALTIME_WASM__"] : ["__PANEL_JS__", "__PANEL_WASM__"];
      const [module, { karta_host }] = await Promise.all([load(...files, drawing), drawing]);
      if (!d.body) await new Promise((done) => d.addEventListener("DOMContentLoaded", done, { once: true }));
      pump = () => {
        // A crashed instance may still have a timer or a stream: false tells it to let go.
        if (life.signal.aborted) return false;
        try {
          module.karta_drain();
        } catch (error) {
          crashed(error, life);
        }
      };
      // The loader listens at the button until the engine does: between the two a press would be lost while the config is on its way.
      module.karta_start(Object.assign(options, { tag, origin: src.origin, reply, host, make: karta_host, taken: () => unwatch(), signal: life.signal, pump }));
      for (const call of queue.splice(0)) module.karta_call(call);
      panel = module;
    } catch {
      life.abort();
      failed();
    }
    loading = false;
    button?.removeAttribute("aria-busy");
    pump();
  };

  /** A bug of ours: log it once, discard the instance, start afresh. @param {unknown} error @param {AbortController} life */
  const crashed = (error, life) => {
    try {
      console.error("[karta] internal: the widget restarts.", error);
    } catch {}
    panel = undefined;
    pump = noop;
    spoiled++;
    life.abort();
    for (const element of d.querySelectorAll("karta-root")) element.remove();
    host = undefined;
    const now = Date.now();
    crashes.push(now);
    queue.unshift(...lasting);
    // Three in a minute: it would go on. The page gets its peace; the button stays, and tries again when somebody presses it.
    calm = crashes.filter((at) => now - at < 60000).length > 2;
    if (calm) launch();
    else setTimeout(loadPanel, 300);
  };

  install("karta", function karta() {
    receive(arguments);
  });
  /** The same commands as methods: `Kataven.init({publicKey})`. @type {Record<string, (...args: unknown[]) => void>} */
  const kataven = {};
  for (const name of "init identify open close toggle sendMessage escalate on off once update startVoice endVoice mute unmute shutdown reset".split(" "))
    kataven[name] = (...args) => receive([name, ...args]);
  install("Kataven", kataven);
  launch();
  // A tag that says something, but no key, and nobody calls: the engine tells what is missing.
  if (!launching && Object.keys(tag)[0]) setTimeout(() => queue[0] || loadPanel(), 3000);
})();
