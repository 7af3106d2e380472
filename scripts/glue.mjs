// wasm-bindgen's glue in fewer words, and between the bundles. A glue that looks other than expected stops the build: a wrong one would
// only fail in the page.
import fs from "node:fs";
import path from "node:path";

/** Whether a bundle has to do with elements. */
const draws = (bundle) => bundle !== "headless";

/** How the loader starts a module, in place of wasm-bindgen's ways to start it from anything, anywhere. */
const start = (bundle) => `let wasm;
export default async ({ module_or_path, drawing }) => {
  const answer = await module_or_path;
  if (!answer.ok) throw new Error(String(answer.status));
${draws(bundle) && bundle !== "launcher" ? "  share(await drawing);\n" : ""}  const imports = __wbg_get_imports();
  // Under another type the browser refuses to compile while the file arrives.
  const streams = answer.headers.get("Content-Type") == "application/wasm";
  const { instance } = await (streams ? WebAssembly.instantiateStreaming(answer, imports) : WebAssembly.instantiate(await answer.arrayBuffer(), imports));
  wasm = instance.exports;
  wasm.__wbindgen_start();
};
`;

/** Texts go out and come in by copies of what is there at that moment; a view on the memory costs less than to ask whether an old one still holds. */
const TEXTS = `const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
const getUint8ArrayMemory0 = () => new Uint8Array(wasm.memory.buffer);
const getDataViewMemory0 = () => new DataView(wasm.memory.buffer);
const getStringFromWasm0 = (ptr, len) => decoder.decode(getUint8ArrayMemory0().subarray(ptr, ptr + len));
/** Leaves address and length of a text's copy where Rust looks for them; no address where there is no text. */
const giveString = (at, text) => {
  const bytes = encoder.encode(text ?? "");
  const ptr = isLikeNone(text) ? 0 : wasm.__wbindgen_malloc(bytes.length, 1);
  getUint8ArrayMemory0().set(bytes, ptr);
  new Int32Array(wasm.memory.buffer, at, 2).set([ptr, bytes.length]);
};
`;

/** A function for Rust that finds what it threw as the error. */
const HANDLE_ERROR = `const handleError = (f) => (...args) => {
  try {
    return f(...args);
  } catch (e) {
    wasm.__wbindgen_exn_store(addToExternrefTable0(e));
  }
};
`;

/** Everything from the line that begins so to the end of its block. */
const block = (start) => new RegExp(`^${start}[^]*?\\n\\}\\n`, "m");

/** What both glue files have, and what stands for it. */
const LEAN = [
  [block("function decodeText\\("), ""],
  [/^let cachedTextDecoder = [^]*?\nlet numBytesDecoded = 0;\n/m, ""],
  [block("if \\(!\\('encodeInto' in cachedTextEncoder"), ""],
  [/^const cachedTextEncoder = .*\n/m, ""],
  [/^let WASM_VECTOR_LEN = 0;\n/m, TEXTS],
  [block("function passStringToWasm0\\("), ""],
  [block("function getStringFromWasm0\\("), ""],
  [block("let cachedUint8ArrayMemory0 = "), ""],
  [block("let cachedDataViewMemory0 = "), ""],
  [block("function handleError\\("), HANDLE_ERROR],
  [/function\(\) \{ return handleError\(function \((.*)\) \{\n([^]*?)\n *\}, arguments\); \},/g, "handleError(($1) => {\n$2\n}),"],
  [/: function\((.*)\) \{$/gm, ": ($1) => {"],
  [/(?:const|var) ptr1 = (?:isLikeNone\(ret\) \? 0 : )?passStringToWasm0\(ret, .*\);\n.*\n.*\n.*setInt32\(\(arg0 >>> 0\) \+ 4 \* 0, ptr1, true\);/g, "giveString(arg0, ret);"],
  // The memory ends below 2 GB, and no number that is passed is larger but `NOWHERE` in dom.rs, which names nothing either way.
  [/ >>> 0\b/g, ""],
  [/^ *__proto__: null,\n/gm, ""],
];

/** What only the panel's has. */
const PANEL_LEAN = [
  // Of the four names of the global object, one is enough.
  [/=> \{\n *const ret = typeof (?:global|self|window) === .*\n.*\n *\},/g, "=> 0,"],
  [/typeof globalThis === 'undefined' \? undefined : globalThis/, "globalThis"],
  [/^const CLOSURE_DTORS = .*\n.*\n *: (new FinalizationRegistry\(.*\);)\n/m, "const CLOSURE_DTORS = $1\n"],
  [/let result;\n *try \{\n *result = (arg0 instanceof \w+);\n *\} catch \(_\) \{\n *result = false;\n *\}\n *const ret = result;/g, "const ret = $1;"],
];

/** Puts shorter pieces in the place of longer ones of wasm-bindgen's. */
export function leanGlue(glue, bundle) {
  const pieces = [[/^let wasmModule, wasmInstance, wasm;\n[^]*export \{ initSync, __wbg_init as default \};\n/m, start(bundle)], ...LEAN];
  for (const [piece, by] of bundle !== "launcher" ? [...pieces, ...PANEL_LEAN] : pieces) {
    if (glue.search(piece) < 0) throw new Error(`${bundle}: wasm-bindgen's glue lacks ${piece}`);
    glue = glue.replace(piece, by);
  }
  if (/passStringToWasm0|cachedText|WASM_VECTOR_LEN/.test(glue)) throw new Error(`${bundle}: wasm-bindgen's glue passes texts in another way`);
  return glue;
}

/** What nodes.js offers, in its order: by place rather than by name, which neither file then has to hold. */
const offers = (file) => [...fs.readFileSync(file, "utf8").matchAll(/^export const (\w+)/gm)].map(([, name]) => name).join(", ");

/** `src/browser/dom/nodes.js` is in the launcher's glue, which offers it; the loader hands it over when it starts the panel's. So both bundles
 * mean the same elements by the same numbers, and the page loads them once. */
export function shareNodes(glue, bundle, folder) {
  if (!draws(bundle)) return glue;
  const file = /(?<=')\.\/snippets\/.*\/dom\/nodes\.js(?=')/.exec(glue)?.[0];
  if (!file) throw new Error(`${bundle}: the glue imports nothing of nodes.js`);
  if (bundle !== "launcher") return `import { share } from "${file}";\n${glue}`;
  const own = offers(path.join(folder, file)).replaceAll(/\w+/g, "own.$&");
  return `import * as own from "${file}";\nexport const shared = [${own}];\n${glue}`;
}

/** In the panel's glue: whoever imports from nodes.js is given what the launcher's glue has handed over. */
export const sharedNodes = {
  name: "shared nodes",
  setup(build) {
    build.onResolve({ filter: /\/dom\/nodes\.js$/ }, ({ path: file, resolveDir }) => ({ path: path.join(resolveDir, file), namespace: "shared" }));
    build.onLoad({ filter: /./, namespace: "shared" }, ({ path: file }) => {
      const names = offers(file);
      return { contents: `export let ${names};\nexport const share = ({ shared }) => ([${names}] = shared);\n` };
    });
  },
};
