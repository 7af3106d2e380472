// Files of the widget that do not arrive: the page does not suffer, one warning says so, and the next wish tries again.
import { assert, test, until } from "../harness.mjs";

for (const kind of ["js", "wasm"]) {
  for (const [times, loss, warnings] of [["once", 1, 0], ["twice", 2, 1]]) {
    test(`the panel's ${kind} is lost ${times}: ${warnings ? "one warning, and the next click opens" : "it is loaded again, without a word"}`, { network: true }, async ({ tab }) => {
      const page = await tab();
      let lost = 0;
      await page.page.route(`**/panel-*.${kind}`, (route) => (lost++ < loss ? route.abort() : route.continue()));
      await page.load();
      await until(() => (warnings ? page.complaints.some((c) => c.includes("load_failed")) : lost > loss), "the last loss");
      await page.openPanel();
      assert.equal(page.takeComplaints(/load_failed/).length, warnings);
      await page.say("How much does shipping to Ireland cost?");
      await page.sees("agent", "4.50");
    });
  }
}

test("a wrong answer in place of the launcher's wasm is one warning and no exception, and the next wish tries again", { network: true }, async ({ tab }) => {
  const page = await tab();
  let spoiled = true;
  await page.page.route("**/launcher-*.wasm", (route) => (spoiled ? route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Not here</h1>" }) : route.continue()));
  await page.goto();
  await until(() => page.complaints.some((c) => c.includes("load_failed")), "the warning");
  assert.equal(page.takeComplaints(/load_failed/).length, 1);
  page.forgive(/`WebAssembly\.instantiateStreaming` failed|MIME/);
  assert.equal(await page.page.locator("karta-root").count(), 0);
  spoiled = false;
  await page.page.evaluate(() => window.karta("open"));
  await page.page.locator('karta-root [part~="panel"]').waitFor();
  assert.equal(page.takeComplaints(/load_failed/).length, 0);
});

for (const kind of ["js", "wasm"]) {
  test(`the launcher's ${kind} is lost twice: the button comes by itself, and one warning says why it is late`, { network: true }, async ({ tab }) => {
    const page = await tab();
    let lost = 0;
    await page.page.route(`**/launcher-*.${kind}`, (route) => (lost++ < 2 ? route.abort() : route.continue()));
    await page.load();
    assert.equal(page.takeComplaints(/load_failed/).length, 1);
    await page.openPanel();
    await page.say("How much does shipping to Ireland cost?");
    await page.sees("agent", "4.50");
  });
}

test("what a page has asked for while a file was missing happens when it is there", { network: true }, async ({ tab }) => {
  const page = await tab();
  let lost = 0;
  await page.page.route("**/panel-*.wasm", (route) => (lost++ < 2 ? route.abort() : route.continue()));
  await page.goto();
  await page.page.evaluate(() => window.karta("sendMessage", "How much does shipping to Ireland cost?"));
  await until(() => page.posts("/events").length, "the message to be sent");
  assert.equal(page.takeComplaints(/load_failed/).length, 1);
  await page.openPanel();
  await page.sees("agent", "4.50");
  assert.equal(page.posts("/events").length, 1);
});
