// @ts-check
/**
 * The hands of the drawing code (src/browser/dom.rs): nodes have numbers, and what is done to them is named by words, so that an element
 * costs the wasm a line of text instead of a handle, an import and a destructor for each of its methods. Decides nothing.
 * Part of the launcher's glue, which the panel's draws with too; there is no HTML sink, and nothing here that a strict CSP or `trusted-types 'none'` forbids.
 */

/** By number: 0 the cursor, 1 the shadow root, 2 the visual viewport, from 3 the elements as the templates count them. @type {any[]} */
const nodes = [];
/** @type {HTMLElement} */
let host;
/** Told of what the visitor does: kind, number of the node; true: that was ours. @type {(kind: number, node: number) => boolean} */
let tell;
/** Aborted when this instance has crashed: its successor owns the page then. @type {AbortSignal} */
let life;
/** @type {MutationObserver | undefined} */
let observer;

/** @param {string} tag @returns {any} */
const make = (tag) => (/^(svg|path)$/.test(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag));

/** Draws a template into a node, or into nothing where the number names none: a line `tag name=value …` for each element, indented by depth, numbered from `first`.
 * @param {string} template @param {number} into @param {number} first */
export const build = (template, into, first) => {
  const path = [nodes[into] || new DocumentFragment()];
  for (const line of template.trim().split("\n")) {
    const [tag, ...attributes] = line.trim().split(" ");
    const depth = line.search(/\S/);
    const node = (nodes[first++] = path[depth + 1] = make(tag));
    for (const attribute of attributes) {
      const [name, value = ""] = attribute.split("=");
      node.setAttribute(name, value);
    }
    path[depth].append(node);
  }
};

/** Writes a property (`.name`), a variable of the style (`--name`) or an attribute; true if it was another. A needless write would wake
 * observers and screen readers. @param {number} id @param {string} name @param {string} value */
export const put = (id, name, value) => {
  const node = nodes[id];
  const property = name.slice(1);
  const [kind] = name;
  const old = kind == "." ? node[property] : kind == "-" ? node.style.getPropertyValue(name) : node.getAttribute(name);
  if (old === value) return false;
  if (kind == ".") node[property] = value;
  else if (kind == "-") node.style.setProperty(name, value);
  else node.setAttribute(name, value);
  return true;
};

/** An attribute that is there or not; true if that changed. @param {number} id @param {string} name @param {boolean} on */
export const flag = (id, name, on) => nodes[id].hasAttribute(name) != on && (nodes[id].toggleAttribute(name, on), true);

/** @param {number} id @param {string} name @returns {any} */
export const get = (id, name) => nodes[id][name];

/** @param {number} id @param {string} method */
export const call = (id, method) => nodes[id][method]();

/** @param {number} id @returns {any} */
export const element = (id) => nodes[id];

/** The focus inside a node that is about to be hidden goes to another. @param {number} from @param {number} to */
export const pass = (from, to) => nodes[from].contains(nodes[1].activeElement) && nodes[to].focus();

// ---- Writing at the cursor -----------------------------------------------------------------------------------------

/** Moves the cursor into a node, and takes away its children but the first `keep`. @param {number} id @param {number} keep */
export const enter = (id, keep) => {
  const node = (nodes[0] = nodes[id]);
  while (node.children[keep]) node.lastChild.remove();
};

/** A new element at the cursor, which moves into it. @param {string} tag */
export const open = (tag) => {
  const node = make(tag);
  nodes[0].append(node);
  nodes[0] = node;
};

export const close = () => {
  nodes[0] = nodes[0].parentNode;
};

/** @param {string} words */
export const say = (words) => nodes[0].append(words);

/** Puts one node before another. @param {number} id @param {number} next */
export const move = (id, next) => nodes[next].before(nodes[id]);

/** Puts one node into another, at its end. @param {number} id @param {number} into */
export const append = (id, into) => nodes[into].append(nodes[id]);

/** Forgets the node and those numbered after it. @param {number} id @param {number} count */
export const drop = (id, count) => {
  nodes[id].remove();
  nodes.fill(undefined, id, id + count);
};

// ---- The host ------------------------------------------------------------------------------------------------------

/** Puts the host (back) into the body and into the top layer, where no transform, overflow or z-index of the page reaches it. */
const attach = () => {
  try {
    document.body.append(host);
    // Browsers older than the popover API lack it; there z-index must do.
    host.showPopover();
  } catch {}
};

/** Makes the host and puts it on screen; undefined where the page forbids shadow roots. @param {string} css @param {string} template */
export const create = (css, template) => {
  const element = document.createElement("karta-root");
  // Of an instance that has crashed there may be some left.
  nodes.length = 0;
  try {
    nodes[1] = element.attachShadow({ mode: "open" });
  } catch {
    return;
  }
  host = element;
  // Turbo would else keep a dead copy of the host in its page cache.
  host.setAttribute("data-turbo-temporary", "");
  host.setAttribute("popover", "manual");
  style(css);
  build(template, 1, 3);
  attach();
  return host;
};

/** Adds a style sheet. @param {string} css */
export const style = (css) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  // Older browsers have a frozen array here, so a new one is given.
  nodes[1].adoptedStyleSheets = [...nodes[1].adoptedStyleSheets, sheet];
};

/** The root for a new body, the body for a lost host. Watching the same element again changes nothing. */
const watch = () => {
  for (const node of [document.documentElement, document.body]) if (node) observer?.observe(node, { childList: true });
};

/** Keeps the host in the page and tells of what happens in it, until `shut`. @param {AbortSignal} signal @param {typeof tell} hear */
export const keep = (signal, hear) => {
  life = signal;
  tell = hear;
  nodes[2] = window.visualViewport;
  // Two scripts must not fight for ever.
  let left = 500;
  observer = new MutationObserver(() => {
    if (life.aborted) return observer?.disconnect();
    // Copies that a page's cache of its own body has made: they have no shadow root and never will.
    for (const copy of [...document.getElementsByTagName("karta-root")]) if (copy != host) copy.remove();
    if (!host.isConnected && left-- > 0) {
      attach();
      watch();
    }
  });
  watch();
  const idle = () => tell(KINDS.indexOf("idle"), 0);
  (window.requestIdleCallback || setTimeout)(idle);
};

/** Leaves the page as it was found. */
export const shut = () => {
  observer?.disconnect();
  host.remove();
  nodes.length = 0;
  tell = () => false;
};

// ---- Events --------------------------------------------------------------------------------------------------------

/** In the order of `KINDS` in dom.rs. */
const KINDS = ["click", "input", "scroll", "resize", "Escape", "Enter", "Tab", "+Tab", "idle"];

/** @param {any} event */
const heard = (event) => {
  let kind = event.type;
  // The page's own shortcuts must not fire while someone types here.
  if (/^key/.test(kind)) event.stopPropagation();
  // While an input method composes, Enter and Escape belong to it (229: Safari's way to say so).
  if (kind == "keydown" && !event.isComposing && event.keyCode != 229) kind = (event.shiftKey ? "+" : "") + event.key;
  kind = KINDS.indexOf(kind);
  const { target } = event;
  if (kind >= 0 && tell(kind, nodes.indexOf(target.closest?.("button") || target, 1))) event.preventDefault();
};

/** @param {number} id @param {string} types @param {boolean} on */
export const listen = (id, types, on) => {
  for (const type of types.split(" ")) nodes[id]?.[on ? "addEventListener" : "removeEventListener"](type, heard, { capture: true, signal: life });
};
