// That the server of `./build.sh release` is all that its owner has to copy: run from an empty folder, with dist/widget out of reach, it serves every
// file of the widget, compressed too. A debug build reads that folder instead. Part of `./build.sh test --long`: a release build takes minutes.
//   node tests/release.mjs BINARY
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { startServer } from "../scripts/server.mjs";

const WIDGET = path.resolve(import.meta.dirname, "../dist/widget");
const AWAY = `${WIDGET}.away`;

const binary = process.argv[2];
if (!binary) {
  console.error("usage: node tests/release.mjs BINARY");
  process.exit(2);
}
const { files } = JSON.parse(fs.readFileSync(path.join(WIDGET, "manifest.json"), "utf8"));
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "karta-release-"));
const copy = path.join(dir, "karta-server");
fs.copyFileSync(binary, copy);
fs.renameSync(WIDGET, AWAY);
let server;
let failed = 0;
try {
  server = await startServer(copy, { dataDir: path.join(dir, "data") });
  for (const [file, { sha384, brotli, gzip }] of Object.entries(files)) {
    for (const [coding, bytes] of [["identity"], ["br", brotli], ["gzip", gzip]]) {
      const answer = await fetch(`${server.http}/widget/v1/${file}`, { headers: { "accept-encoding": coding } });
      assert.equal(answer.status, 200, `${file} (${coding}): ${await answer.clone().text()}`);
      assert.equal(answer.headers.get("content-encoding") ?? "identity", coding, file);
      if (bytes) assert.equal(Number(answer.headers.get("content-length")), bytes, `${file} (${coding})`);
      assert.equal(createHash("sha384").update(Buffer.from(await answer.arrayBuffer())).digest("base64"), sha384, `${file} (${coding}) is what was built`);
    }
  }
} catch (error) {
  failed = 1;
  console.error(error.stack ?? error);
} finally {
  fs.renameSync(AWAY, WIDGET);
  await server?.stop();
  fs.rmSync(dir, { recursive: true, force: true });
}
console.log(`${failed ? "FAIL" : "ok   "} release: the server carries the whole widget\n${1 - failed} passed, ${failed} failed`);
process.exit(failed);
