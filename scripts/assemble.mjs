// Turns what wasm-bindgen wrote into dist/widget: smaller, under names made from the content, compressed, listed in manifest.json.
//   node scripts/assemble.mjs --from DIR --to dist/widget --profile release|dev
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import zlib from "node:zlib";
import esbuild from "esbuild";
import { leanGlue, shareNodes, sharedNodes } from "./glue.mjs";
import { orderFunctions } from "./order.mjs";

const { values: args } = parseArgs({ options: { from: { type: "string" }, to: { type: "string" }, profile: { type: "string" } } });
const release = args.profile === "release";
const BUNDLES = ["launcher", "panel", "realtime", "headless"];
// The oldest browsers that run what rustc emits (bulk memory, sign extension, reference types).
const BROWSERS = ["chrome97", "firefox102", "safari16.4"];

// Found by trying what brotli makes of it: control flow built anew from its graph, no temporaries for repeated expressions. What helps the large modules, 140
// bytes of the panel, costs the launcher 50.
const wasmOpt = (bundle) => [
  "--low-memory-unused", "--flatten", "--rereloop", ...(bundle === "launcher" ? [] : ["--simplify-locals", "-Oz"]), "-Oz", "-Oz", "--skip-pass=local-cse",
  "--reorder-functions-by-name", "--strip-debug", "--minify-imports-and-exports-and-modules",
];
const STRIP = ["--strip-debug", "--strip-producers", "--strip-target-features"];

/** Optimises one module and returns the names that wasm-opt shortened: {imports: [[module, name, short]], exports: [[name, short]]}. */
function optimiseWasm(bundle, input, output) {
  const names = execFileSync("wasm-opt", [input, "-o", output, ...wasmOpt(bundle)], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  // Which way to measure likeness is the better one differs from module to module.
  const ways = [0.1, 0.3, 0.5, 1, 2].map((common) => {
    orderFunctions(output, `${output}.ordered`, common, STRIP);
    return fs.readFileSync(`${output}.ordered`);
  });
  fs.writeFileSync(output, smallest(ways, (way) => compress(way, [[0, 9]])));
  return JSON.parse(names);
}

/** The same short names in the glue. Anything that does not look as expected stops the build: a wrong glue would only fail in the page. */
function renameInGlue(glue, names, bundle) {
  const short = {};
  const direct = [];
  for (const [module, name, to] of names.imports) {
    if (!glue.includes(JSON.stringify(module))) throw new Error(`${bundle}: the glue offers no module ${module}`);
    // wasm-bindgen hands a function of ours that needs no conversion over by a module of its own; all modules become one.
    if (module.startsWith("./snippets/")) direct.push([name, to, module]);
    else short[name] = to;
  }
  for (const [name, to] of names.exports) short[name] = to;
  for (const name of Object.keys(short)) {
    // A property of that name on anything but the instance would be renamed along with it.
    const elsewhere = new RegExp(`(?<!\\bwasm)(?<!\\.\\.)\\.${escapeRegExp(name)}\\b`).exec(glue);
    if (elsewhere) throw new Error(`${bundle}: the export "${name}" is also used as a property (${glue.slice(elsewhere.index - 40, elsewhere.index + 40)}); rename the export`);
  }
  for (const [name, to, module] of direct) glue = `import { ${name} as direct_${to} } from ${JSON.stringify(module)};\n${glue}`;
  glue = glue.replace(/^ *"\.\/snippets\/.*": import\d+,\n/gm, "").replace(/^import \* as import\d+ from "\.\/snippets\/.*"\n/gm, "");
  const own = `"./${bundle}_bg.js": import0`;
  if (!glue.includes(own)) throw new Error(`${bundle}: the glue does not hand over its own module as expected`);
  glue = glue.replace(own, `"a": { ...import0, ${direct.map(([, to]) => `${JSON.stringify(to)}: direct_${to}`).join(", ")} }`);
  return { glue, short };
}

const escapeRegExp = (s) => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** One file of the glue and our own functions that it imports. */
async function bundleGlue(name, file, short) {
  const names = Object.keys(short);
  const result = await esbuild.build({
    entryPoints: [file], bundle: true, format: "esm", minify: release, write: false, target: BROWSERS, legalComments: "none",
    plugins: ["launcher", "headless"].includes(name) ? [] : [sharedNodes],
    // wasm-bindgen names a module of ours once for each function that it hands over as it is.
    logOverride: { "duplicate-object-key": "silent" },
    mangleProps: names.length ? new RegExp(`^(?:${names.map(escapeRegExp).join("|")})$`) : undefined, mangleCache: names.length ? short : undefined,
  });
  return result.outputFiles[0].text;
}

/** What pages load says nothing about the machine that built it. */
function refusePaths(name, data) {
  const text = data.toString("latin1");
  const folder = /\/(?:root|home|Users)\//.exec(text)?.[0] ?? [`${os.homedir()}/`, `${process.cwd()}/`].find((own) => text.includes(own));
  if (folder) throw new Error(`${name}: the module holds a path of this machine (${folder}…): see the flags in scripts/widget.sh`);
}

async function bundle(name) {
  const wasmIn = path.join(args.from, `${name}_bg.wasm`);
  const glueIn = shareNodes(leanGlue(fs.readFileSync(path.join(args.from, `${name}.js`), "utf8"), name), name, args.from);
  const glueOut = path.join(args.from, `${name}.renamed.js`);
  if (!release) {
    fs.writeFileSync(glueOut, glueIn);
    return { js: Buffer.from(await bundleGlue(name, glueOut, {})), wasm: fs.readFileSync(wasmIn) };
  }
  const wasmOut = path.join(args.from, `${name}.opt.wasm`);
  const names = optimiseWasm(name, wasmIn, wasmOut);
  const { glue, short } = renameInGlue(glueIn, names, name);
  fs.writeFileSync(glueOut, glue);
  const wasm = fs.readFileSync(wasmOut);
  refusePaths(name, wasm);
  return { js: Buffer.from(await bundleGlue(name, glueOut, short)), wasm };
}

/** What pages name, with the names of what it loads. */
async function loader(name, bundles, placeholders) {
  let source = fs.readFileSync(path.join("www", name), "utf8");
  for (const [placeholder, file] of Object.entries(placeholders)) {
    if (!bundles.some((bundle) => placeholder.startsWith(`__${bundle.toUpperCase()}_`))) continue;
    if (!source.includes(placeholder)) throw new Error(`www/${name} does not use ${placeholder}`);
    source = source.replaceAll(placeholder, file);
  }
  if (/__[A-Z]+_(JS|WASM)__/.test(source)) throw new Error(`www/${name} names a file that was not built`);
  if (!release) return Buffer.from(source);
  const { code } = await esbuild.transform(source, { minify: true, target: BROWSERS, legalComments: "none" });
  return Buffer.from(code);
}

/** The smaller of brotli's ways to write how far back a repetition lies, by [postfix bits, direct codes]: which one differs from file to file. */
function compress(data, ways = release ? [[0, 0], [0, 6], [0, 9], [0, 12], [0, 15], [1, 24], [2, 48], [3, 120]] : [[0, 0]]) {
  const copies = ways.map(([postfix, direct]) => zlib.brotliCompressSync(data, { params: {
    [zlib.constants.BROTLI_PARAM_QUALITY]: release ? 11 : 4,
    [zlib.constants.BROTLI_PARAM_LGWIN]: 22,
    [zlib.constants.BROTLI_PARAM_SIZE_HINT]: data.length,
    [zlib.constants.BROTLI_PARAM_NPOSTFIX]: postfix,
    [zlib.constants.BROTLI_PARAM_NDIRECT]: direct,
  } }));
  return smallest(copies, (copy) => copy);
}

/** Of several buffers the one whose `measured` is the shortest. */
function smallest(list, measured) {
  const lengths = list.map((item) => measured(item).length);
  return list[lengths.indexOf(Math.min(...lengths))];
}

/** Writes a file with its two compressed copies and notes the sizes. */
function put(manifest, name, data) {
  const file = path.join(args.to, name);
  const brotli = compress(data);
  const gzip = zlib.gzipSync(data, { level: release ? 9 : 1 });
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, data);
  fs.writeFileSync(`${file}.br`, brotli);
  fs.writeFileSync(`${file}.gz`, gzip);
  manifest.files[name] = { raw: data.length, gzip: gzip.length, brotli: brotli.length, sha384: createHash("sha384").update(data).digest("base64") };
}

const manifest = { profile: args.profile, files: {} };
const placeholders = {};
fs.rmSync(path.join(args.to, "assets"), { recursive: true, force: true });
for (const name of BUNDLES) {
  for (const [ext, data] of Object.entries(await bundle(name))) {
    const hash = createHash("sha256").update(data).digest("hex").slice(0, 12);
    const file = `${name}-${hash}.${ext}`;
    put(manifest, `assets/${file}`, data);
    placeholders[`__${name.toUpperCase()}_${ext.toUpperCase()}__`] = file;
  }
}
put(manifest, "karta.js", await loader("karta.js", ["launcher", "panel", "realtime"], placeholders));
put(manifest, "headless.js", await loader("headless.js", ["headless"], placeholders));
fs.writeFileSync(path.join(args.to, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
