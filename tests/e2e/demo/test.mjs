import fs from "node:fs";
import path from "node:path";
import { assert, test, until } from "../harness.mjs";

const SHOP = path.resolve(import.meta.dirname, "../../../www/demo");
const PAGES = fs.readdirSync(SHOP).filter((name) => name.endsWith(".html"));

for (const name of PAGES) {
  test(`${name}: loads cleanly, has the tag as pasted, no sideways scrolling on a phone`, { root: "www/demo" }, async ({ visitor }) => {
    assert.match(fs.readFileSync(path.join(SHOP, name), "utf8"), /<script async src="https:\/\/agent\.example\/widget\/v1\/karta\.js" data-embed-key="pk_live_xxx" data-theme-accent="#24523f"><\/script>/);
    const page = await (await (await visitor({ viewport: { width: 390, height: 844 } })).tab()).load(`/${name}`);
    assert.ok(await page.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    for (const href of await page.page.locator("a[href]").evaluateAll((links) => links.map((a) => a.getAttribute("href")))) {
      if (/^[\w-]+\.html$/.test(href)) assert.ok(fs.existsSync(path.join(SHOP, href)), `${name} links to ${href}`);
    }
  });
}

const QUESTIONS = [
  ["How long does delivery to Germany take?", /3–6|working days/],
  ["When are you open on Sunday?", /10:00/],
  ["Can I cancel my subscription?", /cancel/i],
  ["How much coffee for a V60?", /15 g/],
  ["How is the decaf made?", /sugar cane|ethyl acetate/i],
  ["are dogs allowed", /dogs are welcome/],
  ["my coffee tastes sour, what should i do", /grind finer/],
  ["What is the minimum wholesale order?", /6 kg/],
];

test("the shop's documents answer a visitor's questions", { root: "www/demo" }, async ({ tab }) => {
  const page = await (await tab()).load("/index.html");
  await page.openPanel();
  for (const [question, answer] of QUESTIONS) {
    const before = (await page.said("agent")).length;
    await page.say(question);
    const found = await until(async () => {
      const all = await page.said("agent");
      return all.length > before && all.at(-1).state === "done" ? all.at(-1) : undefined;
    }, `an answer to "${question}"`);
    assert.match(found.text, answer, `"${question}" is answered by: ${found.text}`);
  }
});

test("the shop's own button opens the chat", { root: "www/demo" }, async ({ tab }) => {
  const page = await (await tab()).goto("/contact.html");
  await page.page.getByRole("button", { name: "Chat with us" }).click();
  await page.panel.waitFor();
});

test("from page to page the conversation stays", { root: "www/demo" }, async ({ tab }) => {
  const page = await (await tab()).load("/index.html");
  await page.openPanel();
  await page.say("What does shipping to Ireland cost?");
  await page.sees("agent", "4.50");
  await page.load("/shipping.html");
  await page.reveal();
  await page.sees("agent", "4.50");
});
