//! The screen: one `<karta-root>` with an open shadow root in the top layer. Elements are made by `createElement`, text enters as
//! text, styles are adopted sheets and CSSOM variables, so that the strictest CSP and `trusted-types 'none'` hold.
//!
//! [`Host`] and [`launcher`] are in both bundles: the launcher bundle draws, the panel bundle adopts what it finds.

#[cfg(feature = "panel")]
mod composer;
pub mod launcher;
#[cfg(feature = "panel")]
mod messages;
#[cfg(feature = "panel")]
pub mod panel;
mod style;

use crate::engine::view_model::{ColorMode, ThemeView};
use karta_protocol::LauncherPosition;
use wasm_bindgen::prelude::*;
#[cfg(feature = "panel")]
use web_sys::ShadowRoot;
use web_sys::{Document, Element, HtmlElement, ShadowRootInit, ShadowRootMode};

#[wasm_bindgen]
extern "C" {
    type Popover;
    // web_sys has it without `catch`; browsers older than the popover API lack it, and then z-index must do.
    #[wasm_bindgen(method, catch, js_name = showPopover)]
    fn show_popover(this: &Popover) -> Result<(), JsValue>;

    // Not by web_sys::window(): its search for the global object costs a kilobyte, and a widget is only ever in a window.
    #[wasm_bindgen(thread_local_v2, js_name = document)]
    static DOCUMENT: Document;
}

const SVG: &str = "http://www.w3.org/2000/svg";

/// The host element and the frame inside its shadow root that carries theme, language and direction.
pub struct Host {
    pub element: HtmlElement,
    #[cfg(feature = "panel")]
    pub root: ShadowRoot,
    pub frame: HtmlElement,
}

impl Host {
    /// Makes the host and puts it on screen. None where the page has no body, or forbids shadow roots.
    pub fn create() -> Option<Host> {
        let element = make("karta-root", "");
        let root = element
            .attach_shadow(&ShadowRootInit::new(ShadowRootMode::Open))
            .ok()?;
        // Turbo would else keep a dead copy of the host in its page cache.
        set(&element, "data-turbo-temporary", "");
        set(&element, "popover", "manual");
        style::adopt(&root, style::LAUNCHER);
        let frame = make("div", "frame");
        append(&root, &frame);
        let host = Host {
            element,
            #[cfg(feature = "panel")]
            root,
            frame,
        };
        host.attach();
        Some(host)
    }

    /// The host that the launcher bundle has made.
    #[cfg(feature = "panel")]
    pub fn adopt(element: HtmlElement) -> Option<Host> {
        let root = element.shadow_root()?;
        let frame = root.first_element_child()?.unchecked_into();
        Some(Host {
            element,
            root,
            frame,
        })
    }

    /// Puts the host (back) into the body and into the top layer, where no transform, overflow or z-index of the page reaches it.
    pub fn attach(&self) {
        if let Some(body) = document().body() {
            append(&body, &self.element);
            let _ = self.element.unchecked_ref::<Popover>().show_popover();
        }
    }

    /// Copies that a page's cache of its own body has made: they have no shadow root and never will.
    #[cfg(feature = "panel")]
    pub fn drop_copies(&self) {
        let copies = document().get_elements_by_tag_name("karta-root");
        let mut index = copies.length();
        while index > 0 {
            index -= 1;
            if let Some(copy) = copies.item(index)
                && copy != *self.element.unchecked_ref::<Element>()
            {
                copy.remove();
            }
        }
    }

    pub fn theme(&self, theme: &ThemeView<'_>) {
        let style = self.frame.style();
        let _ = style.set_property("--accent", theme.accent);
        let _ = style.set_property("--on-accent", theme.accent_foreground);
        set(&self.frame, "lang", theme.locale);
        set(&self.frame, "dir", if theme.rtl { "rtl" } else { "ltr" });
        set(
            &self.frame,
            "data-mode",
            match theme.mode {
                ColorMode::Auto => "auto",
                ColorMode::Light => "light",
                ColorMode::Dark => "dark",
            },
        );
        set(
            &self.frame,
            "data-at",
            match theme.position {
                LauncherPosition::Br => "br",
                LauncherPosition::Bl => "bl",
                LauncherPosition::Tr => "tr",
                LauncherPosition::Tl => "tl",
            },
        );
    }
}

pub fn document() -> Document {
    DOCUMENT.with(Document::clone)
}

/// A new element with its class. Elements are only made with names of our own, so this cannot fail.
pub fn make(name: &str, class: &str) -> HtmlElement {
    let element: HtmlElement = document()
        .create_element(name)
        .unwrap_throw()
        .unchecked_into();
    if !class.is_empty() {
        element.set_class_name(class);
    }
    element
}

/// A 24 × 24 line drawing, invisible to screen readers.
pub fn icon(path: &str) -> Element {
    let draw = |name| document().create_element_ns(Some(SVG), name).unwrap_throw();
    let (svg, line) = (draw("svg"), draw("path"));
    set(&svg, "viewBox", "0 0 24 24");
    set(&svg, "aria-hidden", "true");
    set(&line, "d", path);
    append(&svg, &line);
    svg
}

/// Sets an attribute, if it is another: an unneeded write would wake observers and screen readers.
pub fn set(element: &Element, name: &str, value: &str) {
    if element.get_attribute(name).as_deref() != Some(value) {
        let _ = element.set_attribute(name, value);
    }
}

/// Present and empty, or absent.
pub fn flag(element: &Element, name: &str, on: bool) {
    let _ = element.toggle_attribute_with_force(name, on);
}

pub fn append(parent: &web_sys::Node, child: &web_sys::Node) {
    let _ = parent.append_child(child);
}

pub fn text(element: &Element, text: &str) {
    element.set_text_content(Some(text));
}

/// A whole number for an attribute.
#[cfg(feature = "panel")]
pub fn digits(value: u64) -> String {
    let mut text = String::new();
    crate::engine::text::number::push(&mut text, value);
    text
}
