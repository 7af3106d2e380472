import { assert, test, until } from "../harness.mjs";

// The troubleshooting table of the Kataven quickstart: error, when it appears, and what the console says to do about it.
const TABLE = [
  ["origin_not_allowed", "the page's origin is not in the key's list", { origins: () => ["https://acme.com"] }, async () => {}, /Origin|origin/],
  ["widget_disabled_for_agent", "the agent's widget is switched off", {}, ({ server, agent }) => server.cli("agents", "update", agent, "--widget", "off"), /switched off|widget/],
  ["guest_not_allowed", "the agent only talks to authenticated users", {}, ({ server, agent }) => server.cli("agents", "update", agent, "--auth-mode", "user"), /user|sign|identif/i],
  ["client_key_disabled", "the key was disabled", {}, ({ server, key }) => server.cli("keys", "disable", key), /enable|disabled/i],
];

for (const [code, when, options, arrange, fix] of TABLE) {
  test(`${code}: ${when}`, { model: true, ...options }, async (world) => {
    await arrange(world);
    const page = await (await world.tab()).goto();
    const errors = () => page.page.evaluate(() => window.errors);
    await until(async () => (await errors()).some((e) => e.code === code), async () => `the error event among ${JSON.stringify(await errors())}; console: ${page.complaints}`);
    assert.deepEqual((await errors()).map((e) => e.code), [code], "this code, once");
    const words = (await errors())[0].message;
    assert.ok(words.length > 10, words);
    const said = page.takeComplaints(new RegExp(`\\[karta\\] ${code}`));
    assert.equal(said.length, 1, `one line in the console: ${said}`);
    assert.match(said[0], fix);
    page.forgive(/Failed to load resource.*40[13]/);
    assert.equal(page.posts("/sessions").length, 0, "no session was made");
  });
}

test("none of the four appears where nothing is wrong", { model: true }, async ({ tab }) => {
  const page = await (await tab()).goto();
  await page.page.evaluate(() => karta("sendMessage", "Is anybody there?"));
  await page.sees("agent", "You said: Is anybody there?");
  assert.deepEqual(await page.page.evaluate(() => window.errors), []);
});

test("a message that the server did not take says so, and its button sends it again, once", { model: true }, async ({ tab, server }) => {
  const page = await tab();
  // By HTTPS: WebRTC never gets an answer.
  await page.page.route("**/connect", () => {});
  let refuses = true;
  await page.page.route("**/events", (route) => {
    if (!refuses || route.request().method() !== "POST") return route.continue();
    const error = { code: "invalid_request", message: "Not like this.", request_id: "r_1" };
    return route.fulfill({ status: 400, headers: { "access-control-allow-origin": "*" }, json: { error } });
  });
  await page.load();
  await page.reveal();
  page.forgive(/Failed to load resource.*400/);
  await page.say("Is it me?");
  await page.sees("user", "Is it me?", ["failed"]);
  refuses = false;
  await page.messages.getByRole("button", { name: "Send again" }).click();
  await page.sees("user", "Is it me?", ["sent"]);
  await page.sees("agent", "You said: Is it me?");
  assert.equal((await page.said("user")).length, 1);
  assert.deepEqual((await page.log()).filter((e) => e.type === "user.message").map((e) => e.text), ["Is it me?"]);
  page.takeComplaints(/\[karta\]/);
});
