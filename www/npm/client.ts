/**
 * Karta from JavaScript: `KartaAgentClient` for pages that draw the conversation themselves, `loadKarta` for the prebuilt widget.
 *
 * The client holds no protocol: it imports the engine from the server (`/widget/v1/headless.js`), so package and server never differ in what goes over
 * the wire. What is here is typed, keeps the order of calls until the engine has come, and throws nothing into the page. Importing it touches nothing,
 * nor does the constructor: both are safe where there is no browser.
 */
import type { EventName, Events, Identity, Listener, Place, State, Theme, WidgetState } from "./types.js";

export type * from "./types.js";

/** Why `connect` failed. Codes are those of docs/ERRORS.md, and `unreachable`, `load_failed`, `wasm_blocked`, `shutdown`, `no_browser`. */
export class KartaError extends Error {
  override readonly name = "KartaError";
  constructor(
    readonly code: string,
    message: string,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }
}

export interface ClientOptions extends Place {
  identity?: Identity;
  /** A language tag; default: the visitor's language. */
  locale?: string;
}

/** What /widget/v1/headless.js gives. */
interface Engine {
  call(name: string, ...args: unknown[]): void;
  level(): number;
  pick(deviceId: string): void;
}
type Start = (page: { show(state: State): void; fail(code: string, message: string): void }) => Engine;

const EVENTS: readonly EventName[] = [
  "ready", "open", "close", "session:started", "message:sent", "message:received", "unread", "escalate", "error", "limit_reached",
  "voice:started", "voice:ended", "voice:muted", "transcript", "connection",
];
const MAX_CALLS = 1000;
const noop = () => {};

/** Every object of it, too. */
function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === "object" && part) freeze(part);
  return Object.freeze(value);
}

/** The state before `connect`, and where there is no browser. */
const IDLE: State = freeze({
  connection: "idle", sessionId: null, open: false, agent: { name: "", avatarUrl: null, privacyNotice: null, footer: null }, locale: "", messages: [],
  typing: false, answering: false, unread: 0, prompts: [], tool: null, canSend: false, offersPerson: false, limit: null, error: null,
  voice: { available: false, phase: "off", muted: false, seconds: 0, blocked: false, captions: { user: null, agent: null }, ended: null, microphones: [] },
} satisfies State);

/** A function of the page: what it throws, or its promise rejects with, is logged and starves nobody. */
function safely(run: () => unknown) {
  const complain = (error: unknown) => console.error("[karta] a subscriber of this page failed:", error);
  try {
    const settled = run();
    if (settled instanceof Promise) settled.catch(complain);
  } catch (error) {
    complain(error);
  }
}

/** Subscribers of a store, told once a turn however often it changed. */
class Subscribers {
  readonly #all = new Set<{ listener: () => unknown }>();
  #due = false;

  add(listener: () => unknown): () => void {
    // Twice the same function is two subscriptions, each with its own end.
    const entry = { listener };
    this.#all.add(entry);
    return () => void this.#all.delete(entry);
  }

  changed() {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      for (const entry of [...this.#all]) if (this.#all.has(entry)) safely(entry.listener);
    });
  }
}

interface Waiting {
  promise: Promise<void>;
  resolve(): void;
  reject(error: KartaError): void;
  /** The network was away when the wait began: that alone is no news. */
  patient: boolean;
}

/** Without a slash at the end; absolute, where it can be read. */
const base = (url: string) => {
  let address = String(url);
  try {
    address = new URL(address, document.baseURI).href;
  } catch {}
  return address.replace(/\/+$/, "");
};

/** A conversation without a screen. Two of them, or one beside the prebuilt widget, are like two tabs of one visitor. */
export class KartaAgentClient {
  readonly #options: ClientOptions;
  #identity: Identity | undefined;
  #state: State = IDLE;
  #engine: Engine | undefined;
  #loading = false;
  #tries = 0;
  /** Calls that wait for the engine. */
  #queue: unknown[][] = [];
  #waiting: Waiting | undefined;
  #heard = new Map<EventName, Set<{ listener: (payload: never) => unknown; once: boolean }>>();
  #told = new Set<EventName>();
  #last: Events["error"] | Events["limit_reached"] | undefined;
  readonly #subscribers = new Subscribers();

  constructor(options: ClientOptions) {
    this.#options = { ...options };
    this.#identity = options.identity;
    // Handed around by themselves, as `useSyncExternalStore` wants them.
    this.getState = this.getState.bind(this);
    this.subscribe = this.subscribe.bind(this);
  }

  /**
   * Begins the conversation, or goes on where it stopped. Resolves once there is a session; rejects with a `KartaError` where the server refuses, the
   * engine does not load, or the server cannot be reached. In the last case the client goes on trying by itself: connect again to wait for that.
   */
  connect(): Promise<void> {
    if (typeof window === "undefined") return Promise.reject(new KartaError("no_browser", "connect needs a browser"));
    if (!/^[\w.-]{1,256}$/.test(String(this.#options.embedKey ?? ""))) {
      return Promise.reject(new KartaError("client_key_missing", "embedKey must be a public key (pk_…)"));
    }
    const { error, sessionId } = this.#state;
    if (sessionId && !error?.fatal) return Promise.resolve();
    if (error?.fatal) {
      // What was refused is asked anew.
      if (this.#engine) this.#call("shutdown");
      this.#show({ ...this.#state, error: null });
    }
    this.#waiting ??= waiting(Boolean(error && !error.fatal));
    const { promise } = this.#waiting;
    this.#call("connect");
    this.#load();
    return promise;
  }

  /** The conversation as it is now: a frozen object, the same until something changes. */
  getState(): State {
    return this.#state;
  }

  /** Calls after each change, once a turn. Returns what ends it. */
  subscribe(listener: () => unknown): () => void {
    return this.#subscribers.add(listener);
  }

  /** Returns what ends it. */
  on<E extends EventName>(event: E, listener: Listener<E>): () => void {
    return this.#hear(event, listener, false);
  }

  once<E extends EventName>(event: E, listener: Listener<E>): () => void {
    return this.#hear(event, listener, true);
  }

  /** Without a listener: every one of this event. */
  off<E extends EventName>(event: E, listener?: Listener<E>): void {
    const heard = this.#heard.get(event);
    for (const entry of heard ?? []) if (!listener || entry.listener === listener) heard?.delete(entry);
    if (!heard?.size) this.#stopTelling(event);
  }

  /** Sends as the visitor; connects first where that was not done. */
  sendMessage(text: string): void {
    this.#call("sendMessage", text);
    this.#load();
  }

  /** A message that failed; without an id, the turn that failed, or the connection now instead of later. */
  retry(messageId?: string): void {
    this.#call("retry", messageId);
  }

  /** Ends the answer under way. */
  stop(): void {
    this.#call("stop");
  }

  /** The visitor looks at the conversation, or no longer does: decides what counts as unread. */
  open(): void {
    this.#call("open");
    this.#load();
  }

  close(): void {
    this.#call("close");
  }

  /** Asks for the microphone and begins a call. Show `state.agent.privacyNotice` before. What becomes of it is in `state.voice`. */
  startVoice(): void {
    this.#call("startVoice");
    this.#load();
  }

  endVoice(): void {
    this.#call("endVoice");
  }

  mute(): void {
    this.#call("mute");
  }

  unmute(): void {
    this.#call("unmute");
  }

  /** Another one of `state.voice.microphones`. */
  setMicrophone(id: string): void {
    this.#engine?.pick(id);
  }

  /** Plays what the browser held back (`state.voice.blocked`); from a click. */
  resumeAudio(): void {
    this.#call("hear");
  }

  /** How loud the call is, 0 to 1; changes too often to be in the state. */
  getLevel(): number {
    return this.#engine?.level() ?? 0;
  }

  /** The visitor's word on `state.tool`. Another request than the one that waits is ignored. */
  confirmTool(requestId: string, allow: boolean): void {
    this.#call("confirmTool", requestId, allow);
  }

  /** Fires `escalate` with the recent transcript. */
  escalate(detail: { reason?: string; context?: Record<string, unknown> } = {}): void {
    this.#call("escalate", detail);
  }

  /** Who the visitor is from now on; `{}`: nobody in particular. Another user starts afresh. */
  identify(identity: Identity): void {
    this.#identity = identity;
    if (this.#engine) this.#call("identify", identity);
  }

  update({ locale }: { locale?: string }): void {
    this.#options.locale = locale;
    if (this.#engine) this.#call("update", { locale });
  }

  /** Ends the conversation here; the visitor is remembered, and `connect` goes on. */
  shutdown(): void {
    this.#end("shutdown");
  }

  /** The same, and forgets visitor, session and identity, and ends the login on the server. */
  reset(): void {
    this.#identity = undefined;
    this.#end("reset");
    if (typeof window !== "undefined") this.#load();
  }

  #end(how: "shutdown" | "reset") {
    if (this.#engine || how === "reset") this.#call(how);
    else this.#queue = [];
    this.#reject(new KartaError("shutdown", `${how} was called`));
  }

  #call(name: string, ...args: unknown[]) {
    if (this.#engine) this.#engine.call(name, ...args);
    else if (this.#queue.length < MAX_CALLS) this.#queue.push([name, ...args]);
  }

  async #load() {
    if (this.#engine || this.#loading || typeof window === "undefined") return;
    this.#loading = true;
    try {
      const { baseUrl, embedKey, projectRef, agentRef, locale } = this.#options;
      // Some browsers never ask again for a module that has failed.
      const again = this.#tries++ ? `#${this.#tries}` : "";
      const server = base(baseUrl);
      const url = `${server}/widget/v1/headless.js${again}`;
      const { start } = (await import(/* webpackIgnore: true */ /* @vite-ignore */ url)) as { start: Start };
      const engine = start({
        show: (state) => this.#show(state),
        fail: (code, message) => this.#fail(code, message),
      });
      engine.call("init", { baseUrl: server, embedKey, projectRef, agentRef, locale });
      if (this.#identity) engine.call("identify", this.#identity);
      this.#engine = engine;
      for (const event of EVENTS) if (event !== "escalate" || this.#heard.get(event)?.size) this.#tell(event);
      for (const [name, ...args] of this.#queue.splice(0)) engine.call(name as string, ...args);
    } catch {
      this.#fail("load_failed", `headless.js did not load from ${this.#options.baseUrl}. Check the address, the network, and CSP (script-src, connect-src).`);
    }
    this.#loading = false;
  }

  /** The engine calls here for this event. */
  #tell(event: EventName) {
    if (this.#told.has(event)) return;
    this.#told.add(event);
    this.#engine?.call("on", event, this.#receive[event]);
  }

  /** Who listens to `escalate` offers a person to the visitor, so nobody listens for nothing. */
  #stopTelling(event: EventName) {
    if (event !== "escalate" || !this.#told.delete(event)) return;
    this.#engine?.call("off", event, this.#receive[event]);
  }

  readonly #receive = Object.fromEntries(
    EVENTS.map((event) => [event, (payload: Events[EventName]) => this.#emit(event, payload)]),
  ) as Record<EventName, (payload: Events[EventName]) => void>;

  #emit(event: EventName, payload: Events[EventName]) {
    if (event === "error" || event === "limit_reached") this.#last = payload as Events["error"];
    const heard = this.#heard.get(event);
    for (const entry of [...(heard ?? [])]) {
      if (!heard?.has(entry)) continue;
      if (entry.once) heard.delete(entry);
      safely(() => entry.listener(payload as never));
    }
    if (heard && !heard.size) this.#stopTelling(event);
    this.#settle();
  }

  #hear<E extends EventName>(event: E, listener: Listener<E>, once: boolean): () => void {
    const heard = this.#heard.get(event) ?? new Set();
    this.#heard.set(event, heard);
    // The same function twice is called once, as with `addEventListener`; a lasting subscription outlives a passing one.
    const known = [...heard].find((entry) => entry.listener === listener);
    if (known) known.once &&= once;
    else heard.add({ listener: listener as (payload: never) => unknown, once });
    if (this.#engine) this.#tell(event);
    return () => this.off(event, listener);
  }

  #show(state: State) {
    if (state === this.#state) return;
    this.#state = Object.freeze(state);
    this.#subscribers.changed();
    this.#settle();
  }

  #fail(code: string, message: string) {
    this.#show({ ...IDLE, agent: this.#state.agent, messages: this.#state.messages, error: freeze({ code, message, fatal: true }) });
    this.#emit("error", { message, code });
    this.#queue = this.#queue.filter(([name]) => name !== "connect");
    this.#reject(new KartaError(code, message));
  }

  /** Whether what `connect` waits for is here. */
  #settle() {
    const { sessionId, error, limit } = this.#state;
    const waiting = this.#waiting;
    if (!waiting) return;
    if (sessionId && !error?.fatal) {
      this.#waiting = undefined;
      return waiting.resolve();
    }
    if (limit) {
      return this.#reject(new KartaError(this.#last?.code ?? "limit_reached", this.#last?.message ?? "a limit is reached", limit.retryAfterSeconds ?? undefined));
    }
    if (!error || (!error.fatal && waiting.patient)) return;
    // Developers get the server's words where there are any.
    const own = this.#last && (this.#last.code === error.code || !error.fatal) ? this.#last : undefined;
    const reject = () => this.#waiting === waiting && this.#reject(new KartaError(own?.code ?? error.code, own?.message ?? error.message));
    // The event with the words follows the state in the same turn.
    if (own) reject();
    else queueMicrotask(reject);
  }

  #reject(error: KartaError) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(error);
  }
}

function waiting(patient: boolean): Waiting {
  let resolve = noop;
  let reject: Waiting["reject"] = noop;
  const promise = new Promise<void>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  // Who does not await it has not asked to hear of it: the state tells.
  promise.catch(noop);
  return { promise, resolve, reject, patient };
}

// ---- The prebuilt widget ----------------------------------------------------------------------------------------------------

export interface KartaOptions extends Place {
  theme?: Theme;
  locale?: string;
  identity?: Identity;
  /** Of the page's CSP, for the script tag. */
  nonce?: string;
}

/** The commands of `karta(...)`, typed. May be called at any time: they take effect in order. */
export interface Karta {
  /** The script is there. Rejects with a `KartaError` (`load_failed`). */
  readonly loaded: Promise<void>;
  init(options: KartaOptions): void;
  identify(identity: Identity): void;
  open(): void;
  close(): void;
  toggle(): void;
  sendMessage(text: string): void;
  startVoice(): void;
  endVoice(): void;
  mute(): void;
  unmute(): void;
  escalate(detail?: { reason?: string; context?: Record<string, unknown> }): void;
  on<E extends EventName>(event: E, listener: Listener<E>): () => void;
  once<E extends EventName>(event: E, listener: Listener<E>): () => void;
  off<E extends EventName>(event: E, listener?: Listener<E>): void;
  update(look: { theme?: Theme; locale?: string }): void;
  shutdown(): void;
  reset(): void;
  /** A frozen object, the same until something changes. */
  getState(): WidgetState;
  subscribe(listener: () => unknown): () => void;
}

const WIDGET_IDLE: WidgetState = freeze({ ready: false, open: false, unread: 0, connection: "idle", sessionId: null, voice: { active: false, muted: false } });

/** One a page, as the widget is. */
let karta: Karta | undefined;

/** Puts the prebuilt widget on the page, once, and gives its commands. Where there is no browser, they do nothing. */
export function loadKarta(options: KartaOptions): Karta {
  if (!karta) {
    const made = widget(options);
    if (typeof window === "undefined") return made;
    karta = made;
  }
  karta.init(options);
  return karta;
}

type Global = ((...args: unknown[]) => void) & { q?: unknown[] };

function widget(options: KartaOptions): Karta {
  let state = WIDGET_IDLE;
  const subscribers = new Subscribers();
  const follow = (part: Partial<WidgetState>) => {
    state = freeze({ ...state, ...part });
    subscribers.changed();
  };
  const page = typeof window === "undefined" ? undefined : (window as unknown as { karta?: Global });
  // Another script may have taken the global away, or frozen it: the loader says so, and nothing throws.
  const call = (...args: unknown[]) => {
    try {
      page?.karta?.(...args);
    } catch {}
  };
  try {
    if (page && typeof page.karta !== "function") {
      const stub: Global = (...args) => void (stub.q ??= []).push(args);
      page.karta = stub;
    }
  } catch {}
  const loaded = page ? addScript(options) : new Promise<void>(noop);
  loaded.catch(noop);
  const on = <E extends EventName>(event: E, listener: Listener<E>) => call("on", event, listener);
  on("ready", () => follow({ ready: true }));
  on("open", () => follow({ open: true }));
  on("close", () => follow({ open: false }));
  on("unread", ({ count }) => follow({ unread: count }));
  on("session:started", ({ sessionId }) => follow({ sessionId }));
  on("connection", ({ state: connection }) => follow({ connection }));
  on("voice:started", () => follow({ voice: { active: true, muted: false } }));
  on("voice:ended", () => follow({ voice: { active: false, muted: false } }));
  on("voice:muted", ({ muted }) => follow({ voice: { ...state.voice, muted } }));
  const end = (how: "shutdown" | "reset") => {
    call(how);
    follow(WIDGET_IDLE);
  };
  return {
    loaded,
    init({ identity, nonce: _, ...settings }) {
      call("init", { ...settings, baseUrl: base(settings.baseUrl) });
      if (identity) call("identify", identity);
    },
    identify: (identity) => call("identify", identity),
    open: () => call("open"),
    close: () => call("close"),
    toggle: () => call("toggle"),
    sendMessage: (text) => call("sendMessage", text),
    startVoice: () => call("startVoice"),
    endVoice: () => call("endVoice"),
    mute: () => call("mute"),
    unmute: () => call("unmute"),
    escalate: (detail) => call("escalate", detail),
    on(event, listener) {
      call("on", event, listener);
      return () => call("off", event, listener);
    },
    once(event, listener) {
      call("once", event, listener);
      return () => call("off", event, listener);
    },
    off: (event, listener) => call("off", event, listener),
    update: (look) => call("update", look),
    shutdown: () => end("shutdown"),
    reset: () => end("reset"),
    getState: () => state,
    subscribe: (listener) => subscribers.add(listener),
  };
}

/** The page may have the tag already. */
function addScript({ baseUrl, embedKey, agentRef, projectRef, nonce }: KartaOptions): Promise<void> {
  if (Symbol.for("karta.loader") in window) return Promise.resolve();
  return new Promise((done, failed) => {
    const server = base(baseUrl);
    const url = `${server}/widget/v1/karta.js`;
    const there = [...document.scripts].find((script) => script.src === url);
    const script = there ?? document.createElement("script");
    script.addEventListener("load", () => done());
    script.addEventListener("error", () => failed(new KartaError("load_failed", `${url} did not load`)));
    if (there) return;
    script.async = true;
    script.src = url;
    // The settings that the first request needs are on the tag, so that it is made once. Not an agent's: the tag cannot take that back.
    if (!agentRef && !projectRef) Object.assign(script.dataset, { embedKey, baseUrl: server });
    if (nonce) script.nonce = nonce;
    document.head.append(script);
  });
}
