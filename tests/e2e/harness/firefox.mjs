// Firefox for the tests that say `firefox: true`: contexts, pages and locators with those of Playwright's methods that harness/tab.mjs and the tests use, over WebDriver BiDi.
// What a visitor does goes in as real input (`input.performActions`), so it counts as a gesture; what is looked at is read by script.
import fs from "node:fs";
import { findFirefox, startFirefox } from "./bidi.mjs";
import { until } from "./until.mjs";

const PREFS = {
  // A microphone that hums, and nobody who must allow it.
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  // A sound card that is Firefox's own mock: where there is none, as on most machines that run tests, an AudioContext never starts, and no recording can be spoken into it.
  "media.cubeb.force_mock_context": true,
  "media.cubeb.sandbox": false,
  // As Playwright's contexts have it: what moves is waited for by none of these tests.
  "ui.prefersReducedMotion": 1,
};

/** Whether there is one: without, what needs it is left out, and run.mjs says so. */
export const hasFirefox = () => Boolean(findFirefox());

const running = new Map();

/**
 * One for all tests of a lane: it takes three seconds to start. Not one for all lanes: Enter presses no button in a window behind another one. Each visitor has a user context
 * (cookies, storage and cache) of their own. Should it crash, that is one failed test: the next gets another one.
 */
export function firefox(lane) {
  const forget = () => running.delete(lane);
  if (!running.has(lane)) {
    running.set(lane, start(forget));
    running.get(lane).catch(forget);
  }
  return running.get(lane);
}

async function start(forget) {
  const bidi = await startFirefox(findFirefox(), PREFS);
  bidi.gone.then(forget);
  // What is downloaded would land in a folder of whoever runs the tests.
  await bidi.send("browser.setDownloadBehavior", { downloadBehavior: { type: "denied" } });
  const pages = new Map();
  for (const [event, source, hear] of HEARD) await bidi.on(event, (params) => pages.get(source(params))?.[hear](params));
  return { newContext: (options) => newContext(bidi, pages, options), close: () => bidi.close() };
}

export async function closeFirefox(lane) {
  await (await running.get(lane)?.catch(() => {}))?.close();
}

/** What Firefox tells → the page that it is about, and what hears it. */
const HEARD = [
  ["log.entryAdded", (params) => params.source.context, "logged"],
  ["network.beforeRequestSent", (params) => params.context, "requested"],
];

async function newContext(bidi, pages, { viewport, deviceScaleFactor = 1 }) {
  const { userContext } = await bidi.send("browser.createUserContext");
  return {
    async newPage() {
      // A window of its own: in a tab behind another one timers are slow and nothing is drawn.
      const { context } = await bidi.send("browsingContext.create", { type: "window", userContext });
      if (viewport) await bidi.send("browsingContext.setViewport", { context, viewport, devicePixelRatio: deviceScaleFactor });
      const page = new Page(bidi, context);
      pages.set(context, page);
      return page;
    },
    // Of one that has ended there is nothing left.
    close: () => bidi.send("browser.removeUserContext", { userContext }).catch(() => {}),
  };
}

class Page {
  constructor(bidi, context) {
    this.bidi = bidi;
    this.context = context;
    this.hearers = { console: [], pageerror: [], request: [] };
    this.keyboard = {
      /** `Enter`, `Shift+Tab`, `a`. */
      press: (chord) => {
        const keys = (chord.length > 1 ? chord.split("+") : [chord]).map((key) => KEYS[key] ?? key);
        return this.keys([...keys.map((value) => ({ type: "keyDown", value })), ...keys.toReversed().map((value) => ({ type: "keyUp", value }))]);
      },
      type: (text) => this.keys([...text].flatMap((value) => [{ type: "keyDown", value }, { type: "keyUp", value }])),
    };
  }

  /** `crash` is never heard: BiDi does not tell of it. A tab that has crashed answers no command. */
  on(name, hear) { this.hearers[name]?.push(hear); }
  #tell(name, what) { for (const hear of this.hearers[name]) hear(what); }

  logged({ type, level, text, stackTrace }) {
    const where = stackTrace?.callFrames.map(({ functionName, url, lineNumber }) => `\n    at ${functionName} ${url}:${lineNumber + 1}`).join("") ?? "";
    if (type === "javascript" && level === "error") this.#tell("pageerror", text + where);
    else this.#tell("console", { type: () => (level === "warn" ? "warning" : level), text: () => text });
  }

  requested({ request }) {
    const headers = Object.fromEntries(request.headers.map(({ name, value }) => [name.toLowerCase(), value.value]));
    // BiDi does not tell the body here.
    this.#tell("request", { method: () => request.method, url: () => request.url, headers: () => headers, postData: () => undefined });
  }

  goto(url) { return this.bidi.send("browsingContext.navigate", { context: this.context, url, wait: "complete" }); }
  reload() { return this.bidi.send("browsingContext.reload", { context: this.context, wait: "complete" }); }
  /** As the browser's button: a page that was kept comes back as it was left. Tells no more than that it was pressed. */
  back() { return this.bidi.send("browsingContext.traverseHistory", { context: this.context, delta: -1 }); }

  /** A function, or the text of a script, that runs in each document before anything else. */
  addInitScript(script) {
    return this.bidi.send("script.addPreloadScript", { functionDeclaration: typeof script === "function" ? String(script) : `() => { ${script} }`, contexts: [this.context] });
  }

  async evaluate(run, argument) { return this.#call(`async (argument) => JSON.stringify(await (${run})(JSON.parse(argument)))`, JSON.stringify(argument ?? null)); }

  /** `run(elements, argument)` in the page, with those that match now. Of the widget's shadow root if the selector begins with its host. */
  async elements(selector, run, argument) {
    return this.#call(
      `async (selector, argument) => {
        const host = "karta-root ";
        const root = selector.startsWith(host) ? document.querySelector(host)?.shadowRoot : document;
        const found = [...(root?.querySelectorAll(selector.startsWith(host) ? selector.slice(host.length) : selector) ?? [])];
        return JSON.stringify(await (${run})(found, JSON.parse(argument)));
      }`,
      selector, JSON.stringify(argument ?? null),
    );
  }

  async #call(functionDeclaration, ...values) {
    const answer = await this.bidi.send("script.callFunction", {
      functionDeclaration, arguments: values.map((value) => ({ type: "string", value })), target: { context: this.context }, awaitPromise: true,
    });
    if (answer.type === "exception") throw new Error(`in the page: ${answer.exceptionDetails.text}`);
    return answer.result.type === "string" ? JSON.parse(answer.result.value) : undefined;
  }

  locator(selector) { return new Locator(this, selector); }

  keys(actions) { return this.#input({ type: "key", id: "keyboard", actions }); }

  clickAt({ x, y }) {
    return this.#input({ type: "pointer", id: "mouse", parameters: { pointerType: "mouse" }, actions: [{ type: "pointerMove", x, y }, { type: "pointerDown", button: 0 }, { type: "pointerUp", button: 0 }] });
  }

  #input(actions) { return this.bidi.send("input.performActions", { context: this.context, actions: [actions] }); }

  async screenshot({ path }) {
    const { data } = await this.bidi.send("browsingContext.captureScreenshot", { context: this.context });
    fs.writeFileSync(path, Buffer.from(data, "base64"));
  }
}

/** Keys that are no characters, as WebDriver writes them. */
const KEYS = { Enter: "\uE006", Tab: "\uE004", Escape: "\uE00C", Shift: "\uE008", Space: " " };

/** The elements that a selector finds at the time when they are asked for. What does something waits until it can; what tells something tells it at once. */
class Locator {
  constructor(page, selector) {
    this.page = page;
    this.selector = selector;
  }

  locator(selector) { return new Locator(this.page, `${this.selector} ${selector}`); }

  evaluateAll(run, argument) { return this.page.elements(this.selector, run, argument); }
  count() { return this.evaluateAll((found) => found.length); }
  isVisible() { return this.evaluateAll((found) => found.slice(0, 1).some((e) => e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().width > 0)); }
  async isHidden() { return !await this.isVisible(); }

  async evaluate(run, argument) {
    await until(() => this.count(), `something like ${this.selector}`);
    return this.page.elements(this.selector, `([first], argument) => (${run})(first, argument)`, argument);
  }
  getAttribute(name) { return this.evaluate((e, name) => e.getAttribute(name), name); }
  textContent() { return this.evaluate((e) => e.textContent); }
  inputValue() { return this.evaluate((e) => e.value); }

  async waitFor({ state = "visible", timeout } = {}) {
    await until(state === "hidden" ? () => this.isHidden() : () => this.isVisible(), `${this.selector} to be ${state}`, timeout);
  }

  /** In its middle, once it stands still there and nothing covers it. */
  async click() {
    await this.page.clickAt(await until(() => this.evaluateAll(async ([element]) => {
      if (!element) return null;
      element.scrollIntoView({ block: "nearest" });
      const middle = () => {
        const { x, y, width, height } = element.getBoundingClientRect();
        return width && height ? { x: Math.round(x + width / 2), y: Math.round(y + height / 2) } : null;
      };
      const before = middle();
      await new Promise((drawn) => { requestAnimationFrame(() => requestAnimationFrame(drawn)); });
      const at = middle();
      if (!at || at.x !== before?.x || at.y !== before.y) return null;
      const hit = element.getRootNode().elementFromPoint(at.x, at.y);
      return element.contains(hit) ? at : null;
    }), `${this.selector} to be where it can be clicked`));
  }

  focus() { return this.evaluate((e) => e.focus()); }

  /** At once and in place of what is there, as by pasting. */
  fill(text) {
    return this.evaluate((e, text) => {
      e.focus();
      e.select();
      document.execCommand(text ? "insertText" : "delete", false, text);
    }, text);
  }

  async press(chord) {
    await this.focus();
    await this.page.keyboard.press(chord);
  }
}
