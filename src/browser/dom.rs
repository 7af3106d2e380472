//! The screen's elements: one `<karta-root>` with an open shadow root in the top layer. Templates are text, elements are numbers, and a few
//! hand-written functions (`dom/nodes.js`) carry out what is written to them, so that an element costs a line of data and not code. Text
//! enters as text, styles are adopted sheets and CSSOM variables: the strictest CSP and `trusted-types 'none'` hold.
//!
//! [`launcher`] is in both bundles: the launcher bundle alone makes hosts with the button and its style in them, the panel bundle takes them over, under
//! the same numbers.

#[cfg(feature = "panel")]
mod composer;
pub mod launcher;
#[cfg(feature = "panel")]
mod messages;
#[cfg(feature = "panel")]
pub mod panel;
mod style;

use crate::engine::view_model::ThemeView;
use wasm_bindgen::prelude::*;

/// An element by its number.
pub type Node = u32;

/// Where `open` and `say` write; by `put` also the element that was opened last.
#[cfg(feature = "panel")]
pub const CURSOR: Node = 0;
#[cfg(feature = "panel")]
pub const VIEWPORT: Node = 2;
/// What is built there is not on the page yet.
#[cfg(feature = "panel")]
pub const NOWHERE: Node = Node::MAX;
/// First element of the launcher's template.
const FIRST: Node = 3;
/// What an element says, for `put`.
pub const TEXT: &str = ".textContent";

/// Names the elements of a template, one a line, in its order: `NAME "<depth in spaces>tag attribute=value …"`.
macro_rules! template {
    ($template:ident from $first:expr; $($name:ident $line:literal)*) => {
        pub const $template: &str = concat!($($line, "\n"),*);
        $crate::browser::dom::template!(count $first; $($name)*);
    };
    (count $number:expr; $name:ident $($rest:ident)*) => {
        pub const $name: $crate::browser::dom::Node = $number;
        $crate::browser::dom::template!(count $name + 1; $($rest)*);
    };
    (count $number:expr;) => {};
}
use template;

#[cfg(feature = "launcher")]
#[wasm_bindgen(module = "/src/browser/dom/nodes.js")]
extern "C" {
    fn create(css: &str, template: &str) -> JsValue;
}

#[wasm_bindgen(module = "/src/browser/dom/nodes.js")]
extern "C" {
    pub fn put(node: Node, name: &str, value: &str) -> bool;
    pub fn flag(node: Node, name: &str, on: bool) -> bool;
}

#[cfg(feature = "panel")]
#[wasm_bindgen(module = "/src/browser/dom/nodes.js")]
extern "C" {
    pub fn append(node: Node, into: Node);
    pub fn build(template: &str, into: Node, first: Node);
    #[wasm_bindgen(js_name = get)]
    pub fn number(node: Node, name: &str) -> f64;
    #[wasm_bindgen(js_name = get)]
    pub fn text(node: Node, name: &str) -> String;
    pub fn call(node: Node, method: &str);
    pub fn pass(from: Node, to: Node);
    pub fn element(node: Node) -> JsValue;
    pub fn enter(node: Node, keep: usize);
    pub fn open(tag: &str);
    pub fn close();
    pub fn say(words: &str);
    #[wasm_bindgen(js_name = move)]
    pub fn put_before(node: Node, next: Node);
    #[wasm_bindgen(js_name = drop)]
    pub fn forget(node: Node, count: u32);
    pub fn style(css: &str);
    pub fn keep(signal: &JsValue, hear: &JsValue);
    pub fn shut();
    pub fn listen(node: Node, types: &str, on: bool);
}

/// What the visitor did.
#[cfg(feature = "panel")]
#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Click,
    Input,
    Scroll,
    Resize,
    Escape,
    Enter,
    Tab,
    ShiftTab,
    /// The browser has time.
    Idle,
}

/// As `dom/nodes.js` counts them.
#[cfg(feature = "panel")]
pub const KINDS: [Kind; 9] = [
    Kind::Click,
    Kind::Input,
    Kind::Scroll,
    Kind::Resize,
    Kind::Escape,
    Kind::Enter,
    Kind::Tab,
    Kind::ShiftTab,
    Kind::Idle,
];

/// Makes the host with the launcher and puts it on screen. A falsy value where the page forbids shadow roots.
#[cfg(feature = "launcher")]
pub fn mount() -> JsValue {
    create(style::LAUNCHER, launcher::TEMPLATE)
}

pub fn theme(theme: &ThemeView<'_>) {
    use launcher::FRAME;
    put(FRAME, "--accent", theme.accent);
    put(FRAME, "--on-accent", theme.accent_foreground);
    put(FRAME, "lang", theme.locale);
    put(FRAME, "dir", if theme.rtl { "rtl" } else { "ltr" });
    put(FRAME, "data-mode", theme.mode);
    put(FRAME, "data-at", theme.position);
}

/// True if that changed something.
pub fn show(node: Node, on: bool) -> bool {
    flag(node, "hidden", !on)
}

/// A yes or no that assistive technology reads.
pub fn put_bool(node: Node, name: &str, value: bool) {
    put(node, name, if value { "true" } else { "false" });
}

/// A whole number for an attribute.
#[cfg(feature = "panel")]
pub fn digits(value: u64) -> String {
    let mut text = String::new();
    crate::engine::text::number::push(&mut text, value);
    text
}

/// CSS pixels.
#[cfg(feature = "panel")]
pub fn put_px(node: Node, name: &str, value: f64) {
    let mut text = digits(value.max(0.0) as u64);
    text.push_str("px");
    put(node, name, &text);
}
