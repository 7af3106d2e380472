// A customer's own scripts, bundled as they bundle them: with the package as it is installed, and React.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import esbuild from "esbuild";

const ROOT = path.resolve(import.meta.dirname, "../../..");
export const PACKAGE = path.join(ROOT, "dist/npm");

/** Where the package is installed: `exports` of its package.json decide what there is to import. */
function installed() {
  if (!fs.existsSync(path.join(PACKAGE, "package.json"))) throw new Error("dist/npm is missing: run ./build.sh npm");
  const modules = fs.mkdtempSync(path.join(os.tmpdir(), "karta-e2e-modules-"));
  process.once("exit", () => fs.rmSync(modules, { recursive: true, force: true }));
  fs.mkdirSync(path.join(modules, "@karta"));
  fs.symlinkSync(PACKAGE, path.join(modules, "@karta/client"));
  return modules;
}
let folder;
const bundles = new Map();

/** {address: text} of scripts of a test's folder: `app.tsx` becomes `/app.js`. */
export async function bundleModules(from, names) {
  folder ??= installed();
  const texts = {};
  for (const name of names) {
    const file = path.join(from, name);
    if (!bundles.has(file)) {
      bundles.set(file, esbuild.build({
        entryPoints: [file], bundle: true, write: false, format: "esm", jsx: "automatic", nodePaths: [folder, path.join(ROOT, "node_modules")],
        // React's strict mode mounts twice only while one develops.
        define: { "process.env.NODE_ENV": '"development"' },
      }));
    }
    texts[`/${name.replace(/\.tsx?$/, ".js")}`] = (await bundles.get(file)).outputFiles[0].text;
  }
  return texts;
}
