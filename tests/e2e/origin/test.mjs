import { assert, test, until } from "../harness.mjs";

const REFUSED = /Failed to load resource.*40[13]/;

async function refusal(page, code) {
  const errors = () => page.page.evaluate(() => window.errors);
  await page.page.evaluate(() => window.karta("open"));
  await until(async () => (await errors()).length, `the error event ${code}`);
  assert.equal((await errors())[0].code, code);
  assert.ok((await errors())[0].message.length > 10, "the event has words");
  await page.page.getByRole("button", { name: "Page button" }).click();
  assert.equal(await page.page.getByRole("button", { name: "still works" }).count(), 1, "the page is unharmed");
  page.forgive(REFUSED);
  return page.takeComplaints(/\[karta\]/);
}

test("an origin that is not on the key's list is refused, and the console says how to allow it", { origins: () => ["https://shop.example.com"] }, async ({ tab, site }) => {
  const page = await (await tab()).goto();
  const warnings = await refusal(page, "origin_not_allowed");
  assert.equal(warnings.length, 1, `one warning: ${warnings}`);
  assert.match(warnings[0], /origin_not_allowed/);
  assert.ok(warnings[0].includes(site.origin), `the warning names the origin to add: ${warnings[0]}`);
  assert.equal(page.posts("/sessions").length, 0, "no session was made");
});

test("a key that does not exist is refused with its own code", { rewrite: (html) => html.replace("pk_live_xxx", "pk_live_nobody_0000000000000000") }, async ({ tab }) => {
  const page = await (await tab()).goto();
  const warnings = await refusal(page, "client_key_unknown");
  assert.equal(warnings.length, 1, `one warning: ${warnings}`);
});

test("a key switched off on the command line is refused from the next request on", async ({ tab, server, key }) => {
  await server.cli("keys", "disable", key);
  const page = await (await tab()).goto();
  const warnings = await refusal(page, "client_key_disabled");
  assert.equal(warnings.length, 1, `one warning: ${warnings}`);
});

test("a secret key in the page is never sent anywhere", { rewrite: (html) => html.replace("pk_live_xxx", "sk_live_acct_very_secret") }, async ({ tab }) => {
  const page = await (await tab()).goto();
  const complaints = await refusal(page, "secret_key_in_browser");
  assert.equal(complaints.length, 1, `one line: ${complaints}`);
  assert.match(complaints[0], /^console\.error/);
  assert.ok(!page.requests.some((r) => JSON.stringify(r).includes("very_secret")), "the key was in no request");
});
