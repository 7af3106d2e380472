import { assert, test, until } from "../harness.mjs";

// The pages are the ones that the documents print, with the host's name, and the reader's own key, in their places.
const page = { agent: "", key: "pk_live_xxx", token: "" };
const rewrite = (html) => html
  .replace("pk_live_acme_xxxxxxxxxxxxxxxxxxxxxxxxxx", page.key).replace("pk_live_...", page.key)
  .replace("AGENT_ID", page.agent).replace("USER_TOKEN", page.token);
const options = { model: true, rewrite };

async function answers(tab, words) {
  await tab.openPanel();
  await tab.say(words);
  await tab.sees("agent", `You said: ${words}`);
}

/** A key with its secrets, and what the seed's backend code does with them. */
async function backend({ server, site, agent }, ...keyArgs) {
  const keys = JSON.parse(await server.cli("keys", "create", "--name", "acme.com production", "--origin", site.origin, "--agent", agent, "--json", ...keyArgs));
  page.key = keys.public_key;
  return async (user) => {
    const response = await fetch(`${server.http}/api/v1/widget/auth/user-token`, {
      method: "POST",
      headers: { "Authorization": `Bearer ${keys.secret_key}`, "Content-Type": "application/json" },
      body: JSON.stringify({ external_user_id: user.id, display_name: user.name, email: user.email }),
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { user_token } = await response.json();
    page.token = user_token;
  };
}

test("the two-script page: the inline init finds Kataven at once", options, async ({ tab }) => {
  page.key = "pk_live_xxx";
  const visitor = await (await tab()).load("/");
  await answers(visitor, "Hello Kataven");
  assert.equal(await visitor.page.locator("karta-root").count(), 1);
});

test("in the head, beside a form of that name, with an agent", options, async ({ tab, agent }) => {
  Object.assign(page, { key: "pk_live_xxx", agent });
  const visitor = await (await tab()).load("/head.html");
  await answers(visitor, "Hello from the head");
  assert.ok(visitor.requests.some((r) => r.url.includes(`agent_id=${agent}`)), "the agent was asked for");
});

test("the attribute form", options, async ({ tab, agent }) => {
  Object.assign(page, { key: "pk_live_xxx", agent });
  await answers(await (await tab()).load("/attributes.html"), "Hello attributes");
});

test("Kataven carries the other commands as methods", options, async ({ tab }) => {
  page.key = "pk_live_xxx";
  const visitor = await (await tab()).load("/");
  await visitor.page.evaluate(() => {
    window.got = [];
    Kataven.on("message:sent", ({ text }) => window.got.push(text));
    Kataven.open();
    Kataven.sendMessage("By a method");
  });
  await visitor.sees("agent", "You said: By a method");
  assert.deepEqual(await visitor.page.evaluate(() => window.got), ["By a method"]);
});

test("a user token of the customer's backend becomes a session of that user, on every browser", options, async (world) => {
  const mint = await backend(world);
  await mint({ id: "u_77", name: "Ada", email: "ada@example.com" });
  const first = await (await world.tab()).load("/user.html");
  await answers(first, "Remember the word otter");
  assert.equal(first.posts("/auth/exchange").length, 1, "swapped once");
  assert.equal(first.posts("/auth/guest").length, 0, "never a guest");

  await mint({ id: "u_77", name: "Ada", email: "ada@example.com" });
  const second = await (await world.tab()).load("/user.html");
  await second.openPanel();
  await second.sees("agent", "You said: Remember the word otter");

  await mint({ id: "u_78", name: "Bo", email: "bo@example.com" });
  const other = await (await world.tab()).load("/user.html");
  await answers(other, "Who am I?");
  assert.ok(!(await other.conversation()).some((m) => m.text.includes("otter")), "another user sees nothing of it");
});

test("a user token that was used is refused, and the visitor does not become a guest", { ...options, network: true }, async (world) => {
  const mint = await backend(world);
  await mint({ id: "u_1", name: "Ada", email: "ada@example.com" });
  await answers(await (await world.tab()).load("/user.html"), "First");
  const second = await (await world.tab()).load("/user.html");
  await second.listen();
  await second.openPanel();
  await second.event("error", (e) => /^token_|^identity_/.test(e.code));
  assert.equal(second.posts("/auth/guest").length, 0);
  second.forgive(/Failed to load resource|\[karta\]/);
});

test("where identification is required, a guest is told so and a user is let in", options, async (world) => {
  const mint = await backend(world);
  await world.server.cli("agents", "update", world.agent, "--auth-mode", "user");
  await mint({ id: "u_9", name: "Ada", email: "ada@example.com" });
  await answers(await (await world.tab()).load("/user.html"), "As a user");
  const guest = await (await world.tab()).goto("/");
  await guest.listen();
  await guest.page.evaluate(() => Kataven.open());
  await guest.event("error", (e) => e.code === "guest_not_allowed");
  await until(() => guest.complaints.some((c) => /guest_not_allowed/.test(c)), "the fix in the console");
  guest.forgive(/Failed to load resource|guest_not_allowed/);
});
