// www/npm → dist/npm, the package as it is installed: ES modules, declarations, and its version. What has a type error is not built.
//   node scripts/npm.mjs
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import esbuild from "esbuild";

const ROOT = path.resolve(import.meta.dirname, "..");
const FROM = path.join(ROOT, "www/npm");
const TO = path.join(ROOT, "dist/npm");

function tsc(...args) {
  const { status, error } = spawnSync("tsc", args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, PATH: `${path.join(ROOT, "node_modules/.bin")}:${process.env.PATH}` } });
  if (error) throw error;
  // It has said what is wrong.
  if (status) process.exit(1);
}

fs.rmSync(TO, { recursive: true, force: true });
tsc("-p", FROM, "--outDir", TO);
// Pages and types that the documents show, as a customer's compiler sees them.
tsc("-p", path.join(ROOT, "tests/e2e/tsconfig.json"));
await esbuild.build({
  entryPoints: ["client.ts", "react.tsx"].map((file) => path.join(FROM, file)), outdir: TO, format: "esm", target: ["chrome97", "firefox102", "safari16.4"], legalComments: "none",
});
const manifest = JSON.parse(fs.readFileSync(path.join(FROM, "package.json"), "utf8"));
// A version is written in one place.
manifest.version = /^version = "(.*)"$/m.exec(fs.readFileSync(path.join(ROOT, "Cargo.toml"), "utf8"))[1];
fs.writeFileSync(path.join(TO, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
fs.copyFileSync(path.join(FROM, "README.md"), path.join(TO, "README.md"));
fs.copyFileSync(path.join(ROOT, "LICENSE"), path.join(TO, "LICENSE"));
