import { spawn } from "node:child_process";
import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../harness/port.mjs";
import { assert, test, until } from "../harness.mjs";

const HERE = import.meta.dirname;
const MODULES = path.resolve(HERE, "../../../node_modules");
const values = { token: "pk_live_xxx", hash: "" };
const rewrite = (html) => html.replace("your_token", values.token).replace("your_public_token", values.token).replace("computed_hash", values.hash);
const options = { model: true, rewrite };

/** The test server of the documents, as printed, with the values put in that it asks for. */
async function testServer({ server, agent }, secret) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const keys = JSON.parse(await server.cli("keys", "create", "--name", "widget", "--origin", origin, "--agent", agent, "--json"));
  const insert = { "wgt_INSERT_PUBLIC_TOKEN": keys.public_key, "sk_INSERT_SECRET_KEY": secret ?? keys.identity_secret, "https://agent.example": server.http, "const PORT = 3000": `const PORT = ${port}` };
  let source = fs.readFileSync(path.join(HERE, "server.js"), "utf8");
  for (const [from, to] of Object.entries(insert)) {
    assert.ok(source.includes(from), `the server asks for ${from}`);
    source = source.replace(from, to);
  }
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-cavuer-"));
  fs.writeFileSync(path.join(dir, "server.js"), source);
  const child = spawn("node", ["server.js"], { cwd: dir, env: { ...process.env, NODE_PATH: MODULES }, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (text) => { said += text; });
  await until(() => said.includes("Test server running"), "the test server to run");
  return { origin, close() { child.kill(); fs.rmSync(dir, { recursive: true, force: true }); } };
}

/** Opens a page of the test server as a new visitor picks it. */
async function chooses(world, shop, link) {
  const tab = await world.tab();
  await tab.page.goto(shop.origin);
  await tab.page.getByRole("link", { name: link }).click();
  await tab.launcher.waitFor();
  return tab;
}

async function answers(tab, words) {
  await tab.openPanel();
  await tab.say(words);
  await tab.sees("agent", `You said: ${words}`);
}

test("the tag with its token", options, async ({ tab }) => {
  values.token = "pk_live_xxx";
  const page = await (await tab()).load("/");
  await answers(page, "Hello Cavuer");
  assert.match(JSON.parse(page.posts("/auth/guest")[0].body).visitor_id ?? "v_", /^v_/);
  assert.match(await page.page.evaluate(() => Object.values(localStorage).join()), /v_[\w-]{22}/, "a random visitor id is kept");
});

test("the tag with a user and the hash of the user's id", options, async (world) => {
  const { server, site, agent } = world;
  const keys = JSON.parse(await server.cli("keys", "create", "--name", "w", "--origin", site.origin, "--agent", agent, "--json"));
  Object.assign(values, { token: keys.public_key, hash: crypto.createHmac("sha256", keys.identity_secret).update("john@example.com").digest("hex") });
  const page = await (await world.tab()).load("/identified.html");
  await answers(page, "Hello, it is John");
  assert.equal(page.posts("/auth/exchange").length, 1);
  assert.equal(page.posts("/auth/guest").length, 0);
});

test("the Express test server: a user's conversation is one on every browser, another's is another", options, async (world) => {
  const shop = await testServer(world);
  try {
    const john = await chooses(world, shop, "John (john@example.com)");
    await answers(john, "Remember the word badger");
    const again = await chooses(world, shop, "John (john@example.com)");
    await again.openPanel();
    await again.sees("agent", "You said: Remember the word badger");
    for (const [link, words] of [["Anna (anna@example.com)", "It is Anna"], ["Guest (no identification)", "It is nobody"]]) {
      const other = await chooses(world, shop, link);
      await answers(other, words);
      assert.ok(!(await other.conversation()).some((m) => m.text.includes("badger")), `${link} sees nothing of John's`);
    }
    for (const tab of world.tabs) tab.forgive(/favicon|Failed to load resource.*404/);
  } finally {
    shop.close();
  }
});

test("the Express test server with a wrong secret key: the message is not sent", options, async (world) => {
  const shop = await testServer(world, "not the secret");
  try {
    const john = await chooses(world, shop, "John (john@example.com)");
    await john.listen();
    await john.openPanel();
    await john.page.evaluate(() => window.karta("sendMessage", "I am John"));
    await john.event("error", (e) => e.code === "identity_invalid");
    assert.equal(john.posts("/auth/guest").length, 0, "a failed proof is never a guest");
    assert.equal(john.posts("/sessions").length, 0);
    john.forgive(/Failed to load resource|\[karta\] identity_invalid/);
  } finally {
    shop.close();
  }
});
