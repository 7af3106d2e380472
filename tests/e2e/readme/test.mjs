import fs from "node:fs";
import path from "node:path";
import { assert, test } from "../harness.mjs";

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
