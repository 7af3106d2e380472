import { assert, test, until } from "../harness.mjs";

test("the owner's cap in money, set over the admin API, stops the visitor and says when to come back", { model: true }, async ({ server, agent, key, tab }) => {
  const admin = JSON.parse(await server.cli("admin-token", "rotate", "--json")).admin_token;
  const [{ id }] = JSON.parse(await server.cli("keys", "list", "--json")).filter((k) => k.public_key === key);
  const patch = async (path, body) => {
    const answer = await fetch(`${server.http}/api/v1${path}`, {
      method: "PATCH", headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" }, body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200, await answer.text());
  };
  // The stand-in counts 10 tokens in and 20 out: 0.05 for an answer.
  await patch(`/agents/${agent}`, { input_price: "1000", output_price: "2000" });
  await patch(`/widget-keys/${id}`, { caps: { spend_per_day: "0.04" } });

  const page = await (await tab()).load();
  await page.listen();
  await page.openPanel();
  await page.say("one");
  await page.sees("agent", "You said: one");
  await page.say("two");
  const limit = await page.event("limit_reached");
  assert.equal(limit.code, "limit_reached");
  assert.ok(limit.retryAfterSeconds >= 1 && limit.retryAfterSeconds <= 86400, `until midnight: ${JSON.stringify(limit)}`);
  assert.ok(limit.message.length > 10);
  await until(async () => !(await page.field.isEditable()), "the composer to lock");
  // If the message went by HTTPS.
  page.forgive(/Failed to load resource.*429/);

  // A fresh visitor resets nothing.
  const other = await (await tab()).load();
  await other.listen();
  await other.openPanel();
  await other.say("three");
  await other.event("limit_reached", (e) => e.retryAfterSeconds >= 1);
  other.forgive(/Failed to load resource.*429/);
  assert.equal((await other.said("agent")).filter((m) => m.text.includes("You said")).length, 0);
});
