// Runs in the page: makes the values that test.mjs has drawn, and calls with them when their time has come. Never lets go of an exception
// silently: what a call throws is counted, and so is what reaches the window.
(() => {
  const kept = window.karta;
  const seen = { calls: 0, thrown: [], done: false };
  window.fuzz = seen;
  const report = (what, error) => { if (seen.thrown.length < 5) seen.thrown.push(`${what}: ${error?.stack ?? String(error)}`); };
  addEventListener("error", (event) => report("error", event.error ?? event.message));
  addEventListener("unhandledrejection", (event) => report("rejection", event.reason));
  const prototypes = [Object.prototype, Array.prototype, Function.prototype, Promise.prototype, String.prototype];
  const own = () => JSON.stringify(prototypes.map((proto) => Reflect.ownKeys(proto).map(String))) + Object.isFrozen(Object.prototype);
  const before = own();
  seen.untouched = () => own() === before;

  const boom = () => { throw new Error("from the page"); };
  const trap = new Proxy({}, { get: boom, has: boom, ownKeys: boom, getOwnPropertyDescriptor: boom, getPrototypeOf: boom });
  const revoked = (target) => { const { proxy, revoke } = Proxy.revocable(target, {}); revoke(); return proxy; };
  const huge = "x".repeat(2 ** 21);
  const wide = Object.fromEntries(Array.from({ length: 1e4 }, (_, i) => ["key" + i, i]));
  const KINDS = {
    undefined: () => undefined, null: () => null, symbol: () => Symbol("s"), wellKnown: () => Symbol.iterator, bigint: () => 10n ** 40n, nan: () => NaN,
    huge: () => huge, wide: () => wide, window: () => window, node: () => document.body, event: () => new Event("x"), date: () => new Date(NaN),
    trap: () => trap, revoked: () => revoked({}), revokedList: () => revoked([]), revokedFunction: () => revoked(boom),
    bare: () => Object.create(null), frozen: () => Object.freeze({ theme: Object.freeze({}) }), inherited: () => Object.create({ embedKey: "pk_inherited" }),
    proto: () => JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": 1}, "theme": {"__proto__": {"accent": 1}}}'),
    cycle: () => { const o = { userId: "c" }; o.theme = o; o.attributes = o; o.context = [o]; return o; },
    getter: () => ({ get theme() { return boom(); }, get userId() { return boom(); }, get context() { return boom(); }, get embedKey() { return boom(); } }),
    shifty: () => { let n = 0; return { get theme() { return n++ ? boom() : { accent: "#123456" }; } }; },
    toString: () => ({ toString: boom, valueOf: boom, toJSON: boom, [Symbol.toPrimitive]: boom }), thenable: () => ({ then: boom }),
    rejected: () => { const p = Promise.reject(new Error("mine")); p.catch(() => {}); return p; }, lone: () => "\ud800 lone", bytes: () => new Uint8Array(9),
    fine: () => () => {}, throws: () => boom, rejects: () => async () => boom(), thenThrows: () => () => ({ then: boom }),
    calls: () => () => { window.karta("sendMessage", ""); window.karta("off", "open"); }, class: () => class { static init = 1; },
  };
  const make = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map(make);
    if ("kind" in value) return KINDS[value.kind]();
    return Object.fromEntries(Object.entries(value.entries).map(([key, entry]) => [key, make(entry)]));
  };
  const WAYS = {
    karta: (args) => window.karta(...args),
    kept: (args) => kept(...args),
    // A method that is there: beside them is `q`, which nobody can call.
    kataven: ([name, ...args]) => window.Kataven?.[typeof name == "string" && Object.hasOwn(window.Kataven, name) && name != "q" ? name : "open"]?.(...args),
    push: (args) => window.karta.q?.push(args[0]),
    apply: (args) => window.karta.apply(args[0], args),
  };
  const run = ({ way, args }) => {
    seen.calls++;
    try {
      WAYS[way](args.map(make));
    } catch (error) {
      report(`${way} ${JSON.stringify(args)?.slice(0, 300)}`, error);
    }
  };
  /** Slices of calls, each with the milliseconds after the page's start. */
  const schedule = window.schedule;
  let left = schedule.length;
  for (const { at, calls } of schedule) {
    const go = () => { calls.forEach(run); if (!--left) seen.done = true; };
    if (at) setTimeout(go, at);
    else go();
  }
})();
