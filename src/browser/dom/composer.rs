//! The field that the visitor types into, and its button. A draft belongs to the field until the engine has taken it.

use super::{append, flag, icon, make, set};
use crate::engine::view_model::ComposerView;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, HtmlTextAreaElement};

const ARROW: &str = "M12 19V5m-6 6 6-6 6 6";
const SQUARE: &str = "M7 7h10v10H7z";

pub struct Composer {
    pub element: HtmlElement,
    pub field: HtmlTextAreaElement,
    button: HtmlElement,
    arrow: Element,
    square: Element,
    words: (&'static str, &'static str),
    enabled: bool,
    max_bytes: usize,
    can_stop: bool,
    /// Own messages on screen when the draft was handed over: once there is one more, the field is cleared.
    handed_over: Option<usize>,
}

impl Composer {
    pub fn new(send: &'static str, stop: &'static str) -> Composer {
        let element = make("div", "composer");
        set(&element, "part", "composer");
        let field: HtmlTextAreaElement = make("textarea", "").unchecked_into();
        set(&field, "rows", "1");
        set(&field, "dir", "auto");
        set(&field, "enterkeyhint", "send");
        let button = make("button", "send");
        set(&button, "type", "button");
        set(&button, "part", "send");
        set(&button, "data-act", "send");
        let arrow = icon(ARROW);
        let square = icon(SQUARE);
        set(&square, "class", "square");
        append(&button, &arrow);
        append(&element, &field);
        append(&element, &button);
        let composer = Composer {
            element,
            field,
            button,
            arrow,
            square,
            words: (send, stop),
            enabled: true,
            max_bytes: usize::MAX,
            can_stop: false,
            handed_over: None,
        };
        composer.fit();
        composer
    }

    /// `own` is the number of the visitor's messages on screen.
    pub fn render(&mut self, view: &ComposerView<'_>, own: usize) {
        set(&self.field, "placeholder", view.placeholder);
        set(&self.field, "aria-label", view.placeholder);
        flag(&self.field, "readonly", !view.enabled);
        self.enabled = view.enabled;
        self.max_bytes = view.max_bytes;
        self.can_stop = view.can_stop;
        if self.handed_over.is_some_and(|before| own > before) {
            self.handed_over = None;
            self.field.set_value("");
        }
        self.fit();
    }

    /// Whether the button stops the running answer rather than sending.
    pub fn stops(&self) -> bool {
        self.can_stop && self.field.value().trim().is_empty()
    }

    /// The draft, if there is one that may go.
    pub fn submit(&mut self, own: usize) -> Option<String> {
        let draft = self.field.value();
        if !self.enabled || draft.trim().is_empty() || draft.len() > self.max_bytes {
            return None;
        }
        self.handed_over = Some(own);
        Some(draft)
    }

    /// Height and button follow the draft.
    pub fn fit(&self) {
        let draft = self.field.value();
        let empty = draft.trim().is_empty();
        let stops = self.can_stop && empty;
        let style = self.field.style();
        let _ = style.remove_property("height");
        if !draft.is_empty() {
            let height = super::digits(self.field.scroll_height().max(0) as u64);
            let _ = style.set_property("height", &[height.as_str(), "px"].concat());
        }
        let (shown, other) = if stops {
            (&self.square, &self.arrow)
        } else {
            (&self.arrow, &self.square)
        };
        if shown.parent_node().is_none() {
            other.remove();
            append(&self.button, shown);
        }
        set(
            &self.button,
            "aria-label",
            if stops { self.words.1 } else { self.words.0 },
        );
        let too_long = draft.len() > self.max_bytes;
        set(
            &self.field,
            "aria-invalid",
            if too_long { "true" } else { "false" },
        );
        flag(
            &self.button,
            "disabled",
            !stops && (empty || !self.enabled || too_long),
        );
    }
}
