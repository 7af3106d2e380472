import { assert, test, until } from "../harness.mjs";

const focused = (page) => page.page.evaluate(() => {
  const inner = document.activeElement?.shadowRoot?.activeElement;
  return inner ? (inner.getAttribute("part") ?? inner.closest("[part]")?.getAttribute("part") ?? inner.tagName) : document.activeElement?.id || document.activeElement?.tagName;
});

test("Tab reaches the launcher, Enter opens, focus lands in the field, Escape closes and gives it back", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.locator("#page-field").focus();
  await page.page.keyboard.press("Tab");
  await until(async () => (await focused(page)) === "launcher", async () => `focus on the launcher, is on ${await focused(page)}`);
  await page.page.keyboard.press("Enter");
  await page.panel.waitFor();
  await until(async () => page.field.evaluate((e) => e.getRootNode().activeElement === e), async () => `focus in the field, is on ${await focused(page)}`);
  await page.page.keyboard.press("Escape");
  await page.panel.waitFor({ state: "hidden" });
  await until(async () => (await focused(page)) === "launcher", async () => `focus back on the launcher, is on ${await focused(page)}`);
});

test("Enter sends, Shift+Enter breaks the line, an empty message is not sent", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.field.press("Enter");
  await page.field.pressSequentially("line one");
  await page.field.press("Shift+Enter");
  await page.field.pressSequentially("line two");
  assert.equal(await page.field.inputValue(), "line one\nline two");
  await page.field.press("Enter");
  await page.sees("agent", "You said: line one");
  const log = await page.log();
  assert.deepEqual(log.filter((e) => e.type === "user.message").map((e) => e.text), ["line one\nline two"]);
  assert.equal(await page.field.inputValue(), "");
});

test("Enter that ends a composition (Japanese, Chinese) does not send", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await page.type("にほん");
  await page.field.evaluate((e) => e.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, keyCode: 229, bubbles: true, composed: true, cancelable: true })));
  assert.equal(await page.field.inputValue(), "にほん");
  await page.field.press("Enter");
  await page.sees("agent", "You said: にほん");
  assert.equal((await page.said("user")).length, 1);
});

test("keys typed in the panel do not reach the page's shortcuts", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.page.evaluate(() => { window.keys = []; for (const type of ["keydown", "keypress", "keyup"]) document.addEventListener(type, (e) => window.keys.push(e.key)); });
  await page.openPanel();
  await page.field.pressSequentially("sn/?");
  assert.deepEqual(await page.page.evaluate(() => window.keys), []);
});

test("the panel has names for people who listen to it", { model: true }, async ({ tab }) => {
  const page = await (await tab()).load();
  assert.ok((await page.launcher.getAttribute("aria-label"))?.length > 2);
  await page.openPanel();
  assert.equal(await page.launcher.getAttribute("aria-expanded"), "true");
  const field = page.page.getByRole("textbox", { name: /message/i });
  assert.equal(await field.count(), 1);
  assert.equal(await page.page.getByRole("button", { name: /send/i }).count(), 1);
  assert.ok(await page.page.getByRole("log").count(), "the list of messages is a log");
});

/** Contrast of two colours as the browser computes them (WCAG 2.2, relative luminance). */
const contrast = (a, b) => {
  const light = (color) => {
    // `rgb(37, 82, 63)`, or of a mixture `color(srgb 0.5 0.6 0.5)`.
    const scale = color.startsWith("color(") ? 1 : 255;
    const [r, g, b] = color.match(/[\d.]+/g).map((n) => n / scale).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, bright] = [light(a), light(b)].sort((x, y) => x - y);
  return (bright + 0.05) / (dark + 0.05);
};

for (const [mode, accent] of [["dark", "#25523f"], ["dark", "#000000"], ["light", "#ffffff"], ["light", "#25523f"]]) {
  test(`the focus can be seen with the accent ${accent} on a ${mode} panel`, async ({ tab }) => {
    const page = await (await tab()).load();
    await page.openPanel();
    await page.page.evaluate((theme) => window.karta("update", { theme }), { mode, accent });
    const ground = async () => page.panel.evaluate((e) => getComputedStyle(e).backgroundColor);
    await until(async () => (contrast(await ground(), "rgb(0, 0, 0)") < 3) === (mode === "dark"), "the mode to be on");
    const around = () => page.field.evaluate((e) => getComputedStyle(e.closest('[part~="composer"]') ?? e.parentElement).boxShadow);
    // It fades in.
    await until(async () => {
      const color = /^(rgba?\([^)]*\)|color\([^)]*\))/.exec(await around())?.[0];
      return color && contrast(color, await ground()) >= 3;
    }, async () => `the field's ring ${await around()} on ${await ground()}`);
    await page.page.keyboard.press("Shift+Tab");
    const ring = () => page.panel.evaluate((e) => getComputedStyle(e.getRootNode().activeElement).outlineColor);
    await until(async () => contrast(await ring(), await ground()) >= 3, async () => `the ring ${await ring()} on ${await ground()}`);
  });
}
