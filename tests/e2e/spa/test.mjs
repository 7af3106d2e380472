import { assert, test, until } from "../harness.mjs";

const options = { model: true };
const hosts = (page) => page.page.locator("karta-root").count();

async function talk(page, words) {
  await page.say(words);
  await page.sees("agent", `You said: ${words}`);
}

test("navigation without a load keeps the launcher and the conversation", options, async ({ tab }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await talk(page, "On the first page");
  await page.page.evaluate(() => {
    history.pushState({}, "", "/second");
    document.querySelector("main").innerHTML = "<h1>Second</h1>";
  });
  await talk(page, "On the second");
  await page.page.goBack();
  await talk(page, "And back");
  assert.equal(await hosts(page), 1);
  assert.equal(page.posts("/sessions").length, 1, "one session");
});

test("a body that is replaced, with the tag in the new one, keeps one launcher and one session", options, async ({ tab, server }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await talk(page, "Before the swap");
  for (let visit = 0; visit < 5; visit++) {
    await page.page.evaluate((src) => {
      const body = document.createElement("body");
      body.innerHTML = "<main><h1>Swapped</h1></main>";
      // Turbo runs the scripts of a new body again.
      const tag = document.createElement("script");
      Object.assign(tag, { src, async: true });
      tag.dataset.embedKey = "pk_live_other";
      body.append(tag);
      document.documentElement.replaceChild(body, document.body);
    }, `${server.http}/widget/v1/karta.js`);
    await until(async () => (await hosts(page)) === 1, "the launcher in the new body");
  }
  await page.reveal();
  await talk(page, "After the swaps");
  await page.sees("agent", "You said: Before the swap");
  assert.equal(await hosts(page), 1);
  assert.equal(page.posts("/sessions").length, 1, "one session");
  assert.equal(page.takeComplaints(/\[karta\] already_loaded/).length, 1, "one warning, however often");
});

test("the three dialects' tags on one page make one launcher, with one warning", options, async ({ tab }) => {
  const page = await (await tab()).load("/three.html");
  await page.openPanel();
  await talk(page, "How many of you?");
  assert.equal(await hosts(page), 1);
  assert.equal(page.takeComplaints(/\[karta\] already_loaded/).length, 1);
});

test("mounting twice in one breath, as React's strict mode does, is one launcher", options, async ({ tab, key }) => {
  const page = await (await tab()).load();
  await page.page.evaluate((embedKey) => {
    for (const again of [1, 2, 3]) {
      karta("init", { embedKey });
      karta("open");
      karta(again === 2 ? "reset" : "shutdown");
    }
    karta("init", { embedKey });
    karta("open");
  }, key);
  await page.panel.waitFor();
  await talk(page, "Once");
  assert.equal(await hosts(page), 1);
});

test("after shutdown and after reset, init starts again; a reset login is dead on the server", options, async ({ tab, key, server, site }) => {
  const page = await (await tab()).load();
  await page.openPanel();
  await talk(page, "Mine");
  for (const end of ["shutdown", "reset"]) {
    await page.reveal();
    await page.sees("agent", "You said: Mine");
    await page.page.evaluate((end) => karta(end), end);
    await until(async () => (await hosts(page)) === 0, `${end} takes the host away`);
    await page.page.evaluate((embedKey) => karta("init", { embedKey }), key);
    await page.launcher.waitFor();
    assert.equal(await page.panel.count(), 0, "the button, and no panel");
  }
  await until(() => page.posts("/auth/revoke").length, "the login is revoked");
  const [{ headers: { authorization } }] = page.posts("/auth/revoke");
  // The request is on its way; nobody in the page waits for its answer.
  const sessions = () => fetch(`${server.http}/api/v1/widget/sessions`, { headers: { authorization, origin: site.origin } });
  await until(async () => (await sessions()).status === 401, "the login is dead on the server");
  await page.openPanel();
  await talk(page, "Somebody new");
  assert.ok(!(await page.conversation()).some((m) => m.text.includes("Mine")));
  // As in tests/e2e/identity: the old connection's DELETE may come after the revocation.
  page.forgive(/status of 401/);
});
