import { test, until } from "../harness.mjs";

test("a press while the engine still waits for the config opens the panel", async ({ tab }) => {
  const page = await tab();
  // Every question for the config stays without an answer.
  let asked = 0;
  await page.page.route("**/api/v1/widget/config?*", () => { asked += 1; });
  await page.load();
  await page.launcher.waitFor();
  await page.launcher.hover();
  // The first was the loader's; the second says that the engine runs and has not drawn yet.
  await until(() => asked > 1, "the engine to ask");
  await page.launcher.click();
  await page.panel.waitFor();
});
