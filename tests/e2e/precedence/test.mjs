import { assert, test, until } from "../harness.mjs";

// The server says: name Juniper. The tag says: accent 1, corner bl, dark, and a locale that is none. init says: accent 2, a mode that is none, an avatar that is none.
test("later sources win, and a bad value leaves the one below it standing, with one warning that names its source", { model: true }, async ({ tab, agent }) => {
  const page = await (await tab()).load();
  const look = () => page.launcher.evaluate((button) => {
    const frame = button.getRootNode().querySelector(".frame");
    return { accent: getComputedStyle(button).backgroundColor, at: frame.dataset.at, mode: frame.dataset.mode, lang: frame.lang };
  });
  const expected = { accent: "rgb(0, 0, 2)", at: "bl", mode: "dark", lang: "en-US" };
  assert.deepEqual(await look(), expected, "as the launcher bundle draws it");
  await page.openPanel();
  await until(() => page.header.getByText("Juniper").count(), "the name from the server");
  assert.deepEqual(await look(), expected, "as the engine draws it");
  const warnings = page.takeComplaints(/\[karta\] bad_value/).map((line) => line.replace("console.warning: [karta] bad_value: ", ""));
  assert.deepEqual(warnings.sort(), [
    'data-locale: "not a locale" is not a language tag like en or pt-BR',
    'karta("init"): theme.agentAvatar must be a string, not a number',
    'karta("init"): theme.mode: "sepia" is not one of auto, light, dark',
  ]);
  // The key is pinned to its agent, whatever the page asks for.
  await page.say("Who are you?");
  await page.sees("agent", "You said: Who are you?");
  assert.equal(JSON.parse(page.posts("/auth/guest")[0].body).agent_id, "somebody/else");
  assert.ok(agent);
});
