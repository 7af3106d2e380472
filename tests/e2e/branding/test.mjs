import { assert, test, until } from "../harness.mjs";

// The account settings of the Kataven documents, in values that differ from the defaults.
const LOOK = {
  "--primary-color": "#2563eb", "--accent-color": "#7c3aed", "--launcher-position": "tr",
  "--launcher-label": "Talk to us", "--privacy-notice": "Calls may be recorded for quality.", "--footer": "Acme Ltd.",
};

test("the owner's branding is what visitors see", { model: true }, async ({ tab, server, site }) => {
  const logo = `${site.origin}/logo.svg`;
  await server.cli("branding", "update", ...Object.entries({ ...LOOK, "--logo-url": logo }).flat());
  const page = await tab();
  await page.page.route("**/logo.svg", (route) => route.fulfill({ contentType: "image/svg+xml", body: '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>' }));
  await page.load();
  const seen = await page.launcher.evaluate((button) => ({
    colour: getComputedStyle(button).backgroundColor, at: button.getRootNode().querySelector(".frame").dataset.at, words: button.innerText.trim(),
  }));
  assert.deepEqual(seen, { colour: "rgb(37, 99, 235)", at: "tr", words: "Talk to us" });
  assert.ok(page.requests.some((r) => r.url === logo), "the logo is loaded");
  const box = await page.launcher.boundingBox();
  const view = page.page.viewportSize();
  assert.ok(box.y < view.height / 2 && box.x + box.width > view.width / 2, `top right: ${JSON.stringify(box)}`);
  await page.openPanel();
  for (const words of ["Calls may be recorded for quality.", "Acme Ltd."]) await until(() => page.panel.getByText(words).isVisible(), words);

  // Without a primary colour the accent colour stands in.
  await server.cli("branding", "update", "--primary-color", "");
  const later = await (await tab()).load();
  assert.equal(await later.launcher.evaluate((e) => getComputedStyle(e).backgroundColor), "rgb(124, 58, 237)");
  later.forgive(/logo\.svg|Failed to load resource.*404/);
});
