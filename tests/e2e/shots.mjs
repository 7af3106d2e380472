// Screenshots of every state of the widget, at desktop and phone size, light and dark.
//   node tests/e2e/shots.mjs FOLDER [part of a state's name…]
import fs from "node:fs";
import path from "node:path";
import { launchBrowser, makeWorld, until } from "./harness.mjs";
import { startShop } from "./harness/shop.mjs";

const [out = ".karta/shots", ...wanted] = process.argv.slice(2);
const SCREENS = [["desktop", { width: 1280, height: 800 }, false], ["phone", { width: 390, height: 844 }, true]];
const SCHEMES = ["light", "dark"];

const LONG = `Of course. Here is **how shipping works**, step by step:

1. We roast on *Tuesday* and *Thursday*.
2. Orders before \`10:00\` are in that batch.
3. The parcel leaves us the same day.

| not | a table |

- Ireland: 1–2 working days, €4.50
- European Union: 3–6 working days, €9.90
  - islands may take longer

\`\`\`
https://example.com/a/very/long/address/that/does/not/fit/into/a/narrow/bubble?tracking=JL-2026-000123
\`\`\`

More is on [our shipping page](https://example.com/shipping). Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft is one word.`;

const talk = async (tab, model) => {
  model.answers("Shipping to Ireland is **€4.50**, and free from €35. We roast on Tuesday and Thursday and post the same day.");
  await tab.say("What does shipping to Ireland cost?");
  await tab.sees("agent", "€4.50");
  model.answers("Yes: pause it, skip one or stop at any time, up to Monday 18:00 before the next roast.");
  await tab.say("And can I pause my subscription?");
  await tab.sees("agent", "skip one");
};

const QUESTION = path.resolve(import.meta.dirname, "../../fixtures/voice/opening-hours.wav");
const callUp = async (tab) => {
  await tab.listen();
  await tab.openPanel();
  await tab.voice.click();
  await tab.event("voice:started");
};
/** The microphone says no in this way. */
const refused = (name) => async ({ tab }) => {
  await tab.page.evaluate((name) => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", name)); }, name);
  await tab.openPanel();
  await tab.voice.click();
  await until(() => tab.panel.locator(".banner:visible").count(), "words about it");
};

/** name → how to get there. Each starts from a fresh visitor on the shop's first page. */
const STATES = {
  launcher: async () => {},
  greeting: async ({ tab }) => tab.openPanel(),
  conversation: async ({ tab, model }) => { await tab.openPanel(); await talk(tab, model); },
  typing: async ({ tab, model }) => {
    await tab.openPanel();
    model.hold();
    await tab.say("Are you there?");
    await tab.sees("user", "Are you there?", ["sent"]);
  },
  streaming: async ({ tab, model }) => {
    await tab.openPanel();
    await talk(tab, model);
    model.hold();
    const count = model.calls.length;
    await tab.say("What is a good start for a V60?");
    const call = await until(() => model.calls[count], "the call");
    call.write("15 g of coffee, ground like table salt, and 250 g of water at 94 °C. Pour 45 g and wait for ");
    await tab.sees("agent", "15 g of coffee", ["streaming"]);
  },
  long: async ({ tab, model }) => {
    await tab.openPanel();
    model.answers(LONG);
    await tab.say("Please explain everything about shipping, in detail, with all prices, and do not leave anything out, because my aunt would like to know it as well.");
    await tab.sees("agent", "one word");
  },
  failed: async ({ tab, model }) => {
    await tab.openPanel();
    await talk(tab, model);
    model.hold();
    const count = model.calls.length;
    await tab.say("Will this one fail?");
    const call = await until(() => model.calls[count], "the call");
    call.fail(500, "server_error");
    // A server may try again before it gives up.
    await until(async () => {
      for (const later of model.calls.slice(count + 1)) if (!later.closed) later.fail(500, "server_error");
      return tab.panel.getByText(/went wrong|failed/i).count();
    }, "the failure on screen");
  },
  offline: async ({ tab, model, server }) => {
    await tab.openPanel();
    await talk(tab, model);
    await server.kill();
    await tab.say("I type while the server is away.");
    await tab.sees("user", "I type while", ["sending"]);
    await until(() => tab.panel.getByText(/keep trying|reconnecting|offline/i).count(), "words about it", 30_000);
  },
  "tool-asks": async ({ tab, model, world }) => {
    await startShop(world);
    await tab.openPanel();
    model.hold();
    await tab.say("My order K-1042 came too late. Please cancel it.");
    const call = await model.nextCall();
    call.write("I am sorry about that. I can cancel it for you.");
    call.wants("cancel_order", { order: "K-1042", reason: "came too late" });
    await tab.sees("system", "K-1042");
  },
  "tool-done": async ({ tab, model, world }) => {
    await startShop(world, { confirm: false });
    await tab.openPanel();
    model.hold();
    await tab.say("My order K-1042 came too late. Please cancel it.");
    (await model.nextCall()).wants("cancel_order", { order: "K-1042" });
    await tab.sees("system", "✓");
    const call = await model.nextCall();
    call.write("It is cancelled. You have your money back within five working days.");
    call.end();
    await tab.sees("agent", "cancelled");
  },
  "voice-connecting": async ({ tab }) => {
    await tab.page.evaluate(() => { navigator.mediaDevices.getUserMedia = () => new Promise(() => {}); });
    await tab.openPanel();
    await tab.voice.click();
    await until(() => tab.panel.locator(".call:visible").count(), "the call bar");
  },
  "voice-listening": async ({ tab }) => {
    await callUp(tab);
    await tab.panel.locator('.call[data-state="listening"]').waitFor();
  },
  "voice-thinking": async ({ tab, model }) => {
    model.hold();
    await callUp(tab);
    await tab.sees("user", "hours", ["sent"], 30_000);
    await tab.panel.locator('.call[data-state="thinking"]').waitFor();
  },
  "voice-speaking": async ({ tab, model }) => {
    model.answers("We are open from **eight to four** on weekdays, and from ten on Sunday. Dogs are welcome, and so are you.");
    await callUp(tab);
    await tab.panel.locator('.call[data-state="speaking"]').waitFor({ timeout: 30_000 });
    await tab.sees("agent", "so are you", ["streaming"]);
    await until(() => tab.panel.locator(".meter").evaluate((e) => e.style.getPropertyValue("--level") > 0.4), "sound on the meter");
  },
  "voice-muted": async ({ tab }) => {
    await callUp(tab);
    await tab.panel.getByRole("button", { name: "Mute" }).click();
    await tab.panel.locator('.call[data-state="muted"]').waitFor();
  },
  "voice-closed": async ({ tab }) => {
    await callUp(tab);
    await tab.page.keyboard.press("Escape");
  },
  "voice-reconnecting": async ({ tab, model, server }) => {
    await tab.openPanel();
    await talk(tab, model);
    await tab.listen();
    await tab.voice.click();
    await tab.event("voice:started");
    await server.kill();
    await tab.panel.locator('.call[data-state="reconnecting"]').waitFor({ timeout: 30_000 });
  },
  "voice-denied": refused("NotAllowedError"),
  "voice-missing": refused("NotFoundError"),
  "voice-busy": refused("NotReadableError"),
  unread: async ({ tab, model }) => {
    await tab.openPanel();
    model.hold();
    await tab.say("Take your time.");
    const call = await model.nextCall();
    await tab.close.click();
    call.write("Here I am.");
    call.end();
    await tab.badge.waitFor();
  },
};

fs.mkdirSync(out, { recursive: true });
const browser = await launchBrowser();
let failed = 0;
for (const [state, reach] of Object.entries(STATES)) {
  if (wanted.length && !wanted.some((w) => state.includes(w))) continue;
  for (const [screen, viewport, touch] of SCREENS) {
    for (const colorScheme of SCHEMES) {
      const world = await makeWorld(browser, { folder: "", options: {
        root: "www/demo", model: true, greeting: "Hi! I’m Juniper. Ask me about our coffees, brewing, delivery or your subscription.",
        ...(state.startsWith("voice-") && { browser: { microphone: QUESTION } }),
        agentArgs: ["--voice", "local", "--prompt", "What does shipping cost?", "--prompt", "How do I brew a V60?", "--prompt", "Can I pause my subscription?"],
        context: { viewport, colorScheme, permissions: ["microphone"], hasTouch: touch, deviceScaleFactor: touch ? 2 : 1, reducedMotion: "reduce" },
      } });
      const file = path.join(out, `${state}-${screen}-${colorScheme}.png`);
      let tab;
      try {
        tab = await (await world.tab()).load("/index.html");
        await reach({ tab, model: world.model, server: world.server, world });
      } catch (error) {
        failed += 1;
        console.error(`${file}: ${error.message}`);
      }
      await tab?.page.screenshot({ path: file });
      await world.close();
    }
  }
}
await browser.close();
console.log(`screenshots in ${out}`);
process.exit(failed ? 1 : 0);
