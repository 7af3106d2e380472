import fc from "fast-check";
import { assert, test, until } from "../harness.mjs";

// contract.md 2 to 4: whatever a page calls, with whatever, whenever: nothing is thrown into it, and the widget goes on.
const CALLS = 2_000;
const LONG = Boolean(process.env.KARTA_TEST_LONG);
const PAGES = LONG ? 100 : 10;

const COMMANDS = ["init", "identify", "open", "close", "toggle", "sendMessage", "escalate", "on", "off", "once", "update", "startVoice", "endVoice", "mute", "unmute", "shutdown", "reset"];
const EVENTS = ["ready", "open", "close", "session:started", "message:sent", "message:received", "unread", "escalate", "error", "limit_reached", "connection", "voice:started", "voice:ended", "voice:muted", "transcript", "nope"];
const KEYS = ["baseUrl", "projectRef", "agentRef", "agentId", "embedKey", "publicKey", "locale", "theme", "accent", "accentForeground", "agentName", "agentAvatar", "greeting",
  "suggestedPrompts", "footer", "position", "mode", "launcherLabel", "userId", "identityToken", "userToken", "attributes", "reason", "context", "surprise"];
const KINDS = ["undefined", "null", "symbol", "wellKnown", "bigint", "nan", "huge", "wide", "window", "node", "event", "date", "trap", "revoked", "revokedList", "revokedFunction",
  "bare", "frozen", "inherited", "proto", "cycle", "getter", "shifty", "toString", "thenable", "rejected", "lone", "bytes", "fine", "throws", "rejects", "thenThrows", "calls", "class"];

// A secret key is refused for good, and rightly: the widget would not "still work". Everything else may come.
const text = fc.oneof(
  fc.string({ maxLength: 40 }).filter((s) => !s.trimStart().startsWith("sk_")),
  fc.constantFrom("", " ", "#2563eb", "#fff", "de", "ar", "dark", "bl", "pk_live_other", "https://nobody.invalid", "http://[::1", "a".repeat(300), "__proto__", "\u202e", "🦦"),
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 3 },
    { weight: 4, arbitrary: fc.constantFrom(...KINDS).map((kind) => ({ kind })) },
    { weight: 4, arbitrary: text },
    { weight: 1, arbitrary: fc.oneof(fc.boolean(), fc.double({ noNaN: true, noDefaultInfinity: true })) },
    { weight: 2, arbitrary: tie("object") },
    { weight: 1, arbitrary: fc.array(tie("value"), { maxLength: 4 }) }),
  object: fc.dictionary(fc.constantFrom(...KEYS), tie("value"), { maxKeys: 5 }).map((entries) => ({ entries })),
}));
const command = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...COMMANDS) }, { weight: 1, arbitrary: value });
const event = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...EVENTS) }, { weight: 1, arbitrary: value });
const call = fc.record({
  way: fc.constantFrom("karta", "karta", "karta", "kept", "kataven", "push", "apply"),
  args: fc.oneof(
    fc.tuple(command),
    fc.tuple(command, value),
    fc.tuple(fc.constantFrom("on", "off", "once"), event, value),
    fc.tuple(command, value, value, value)),
});
// Before the bundle, around its arrival, and long after.
const at = fc.constantFrom(0, 0, 1, 40, 120, 250, 400, 600, 900);
const schedule = fc.array(fc.record({ at, calls: fc.array(call, { minLength: CALLS / 10, maxLength: CALLS / 10, size: "max" }) }), { minLength: 10, maxLength: 10 });

test(`${PAGES * CALLS} random calls at random times: no exception, no unhandled rejection, and the widget still works`,
  { env: { KARTA_LIMITS: "off" }, agentArgs: ["--voice", "local"], network: true, timeoutMs: LONG ? 1_800_000 : 180_000 },
  async ({ visitor, key, server }) => {
    let calls = 0;
    const onePage = async (slices) => {
      const { context, tab } = await visitor();
      const page = await tab({ before: `window.schedule = ${JSON.stringify(slices)}` });
      await page.goto();
      await until(() => page.page.evaluate(() => window.fuzz.done), "all calls to be made");
      // A new start, whatever the page has said about keys, users and addresses.
      await page.page.evaluate(({ embedKey, baseUrl }) => {
        karta("reset");
        karta("init", { embedKey, baseUrl, locale: "en" });
        karta("open");
        karta("sendMessage", "How much does shipping to Ireland cost?");
      }, { embedKey: key, baseUrl: server.http });
      await page.sees("agent", "4.50", undefined, 15_000);
      const seen = await page.page.evaluate(() => ({ ...window.fuzz, untouched: window.fuzz.untouched() }));
      assert.deepEqual(seen.thrown, [], "nothing reached the page");
      assert.ok(seen.untouched, "the page's prototypes are as they were");
      await context.close();
      assert.deepEqual(page.takeComplaints(/^(exception|the tab crashed)/), []);
      assert.deepEqual(page.takeComplaints(/\[karta\] internal/), [], "no instance crashed");
      page.takeComplaints(/./);
      calls += seen.calls;
    };
    const seed = process.env.KARTA_SEED ? Number(process.env.KARTA_SEED) : Date.now() % 2 ** 31;
    const result = await fc.check(fc.asyncProperty(schedule, onePage), { numRuns: PAGES, endOnFailure: true, seed });
    // The counterexample is too long to print: the seed draws it again.
    if (result.failed) throw new Error(`page ${result.numRuns} with KARTA_SEED=${seed}: ${result.errorInstance?.stack ?? result.errorInstance}`);
    assert.equal(calls, PAGES * CALLS);
  });
