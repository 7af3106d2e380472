import fs from "node:fs";
import path from "node:path";
import { assert, test } from "../harness.mjs";
import { PARTS } from "../harness/tab.mjs";

const ROOT = path.resolve(import.meta.dirname, "../../..");
const SNIPPET = /<!-- snippet: (\S+) -->\n```\w*\n([\s\S]*?)```/g;
const documents = ["README.md", ...fs.readdirSync(path.join(ROOT, "docs")).filter((f) => f.endsWith(".md")).map((f) => `docs/${f}`)];

test("every snippet in the documents is taken from a page that these tests load", () => {
  let count = 0;
  for (const document of documents) {
    for (const [, file, code] of fs.readFileSync(path.join(ROOT, document), "utf8").matchAll(SNIPPET)) {
      const page = fs.readFileSync(path.join(ROOT, file), "utf8").split("\n").map((line) => line.trim());
      for (const line of code.split("\n").map((l) => l.trim()).filter(Boolean)) assert.ok(page.includes(line), `${document}: "${line}" is not in ${file}`);
      count += 1;
    }
  }
  assert.ok(count >= 2, `${count} snippets found`);
});

test("npm start and npm test are build.sh, as the README says, and so is what continuous integration runs", () => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, "package.json"), "utf8"));
  const readme = fs.readFileSync(path.join(ROOT, "README.md"), "utf8");
  for (const [name, command] of [["start", "./build.sh demo"], ["test", "./build.sh test"]]) {
    assert.equal(scripts[name], command);
    assert.ok(readme.includes(`| \`${command}\` (\`npm ${name}\`) |`), `the README has npm ${name}`);
  }
  assert.match(fs.readFileSync(path.join(ROOT, ".ci/run"), "utf8"), /exec \.\/build\.sh test$/m);
});

test("the README names every part that a style sheet may reach", () => {
  const line = fs.readFileSync(path.join(ROOT, "README.md"), "utf8").split("\n").find((text) => text.includes("karta-root::part("));
  assert.deepEqual(PARTS.filter((part) => !line.includes(`\`${part}\``) && !line.includes(`::part(${part})`)), []);
});
