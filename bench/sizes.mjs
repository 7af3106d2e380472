// Bytes of dist/widget against the budgets.   node bench/sizes.mjs [--check]
// As a module: `sizes()` → {files, launcher, all, realtime, headless, budgets, over}.
import fs from "node:fs";
import path from "node:path";

const ROOT = path.resolve(import.meta.dirname, "..");
const KINDS = ["raw", "gzip", "brotli"];

export function sizes() {
  const manifest = JSON.parse(fs.readFileSync(path.join(ROOT, "dist/widget/manifest.json"), "utf8"));
  const budgets = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, "budgets.json"), "utf8"));
  if (manifest.profile !== "release") throw new Error("dist/widget is a dev build; run ./build.sh widget");
  const files = Object.entries(manifest.files).map(([name, size]) => ({ name, ...size, bundle: /(\w+)(-\w+)?\.\w+$/.exec(name)[1] }));
  const sum = (list) => Object.fromEntries(KINDS.map((kind) => [kind, list.reduce((total, file) => total + file[kind], 0)]));
  const of = (...bundles) => sum(files.filter(({ bundle }) => bundles.includes(bundle)));
  // A page loads one of the two panels, or neither.
  const first = ["karta", "launcher"];
  const totals = { launcher: of(...first), all: of(...first, "panel"), realtime: of(...first, "realtime"), headless: of("headless") };
  if (files.some(({ bundle }) => ![...first, "panel", "realtime", "headless"].includes(bundle))) throw new Error("a file of dist/widget is in no budget");
  const over = Object.keys(totals).filter((name) => totals[name].brotli > budgets[name]);
  return { files, ...totals, budgets, over };
}

export function table({ files, launcher, all, realtime, headless, budgets }) {
  const row = (name, size, budget = "") => [name.padEnd(34), ...KINDS.map((kind) => String(size[kind]).padStart(8)), String(budget).padStart(8)].join(" ");
  return [
    ["bytes".padEnd(34), ...KINDS.map((kind) => kind.padStart(8)), "budget".padStart(8)].join(" "),
    ...files.map((file) => row(`  ${file.name}`, file)),
    row("until the launcher is interactive", launcher, budgets.launcher),
    row("all", all, budgets.all),
    row("all, with a realtime engine", realtime, budgets.realtime),
    row("without a screen", headless, budgets.headless),
  ].join("\n");
}

if (process.argv[1] === import.meta.filename) {
  const result = sizes();
  console.log(table(result));
  for (const name of result.over) console.log(`FAIL ${name}: ${result[name].brotli} bytes of brotli, budget ${result.budgets[name]}`);
  console.log(`${4 - result.over.length} passed, ${result.over.length} failed`);
  if (process.argv.includes("--check") && result.over.length) process.exit(1);
}
