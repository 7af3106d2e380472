//! The field that the visitor types into, and its button. A draft belongs to the field until the engine has taken it.

use super::panel::{ARROW, FIELD, SEND, SQUARE};
use super::{flag, number, put, put_bool, put_px, show, text};
use crate::engine::text::Words;
use crate::engine::view_model::ComposerView;

#[derive(Default)]
pub struct Composer {
    enabled: bool,
    max_bytes: usize,
    can_stop: bool,
    /// What the button is called when it sends and when it stops.
    names: [&'static str; 2],
    /// The button does something now.
    pub ready: bool,
    /// Own messages on screen when the draft was handed over: once there is one more, the field is cleared.
    handed_over: Option<usize>,
}

impl Composer {
    /// `own` is the number of the visitor's messages on screen.
    pub fn render(&mut self, view: &ComposerView<'_>, words: &'static Words, own: usize) {
        self.names = [words.send, words.stop];
        put(FIELD, "placeholder", view.placeholder);
        put(FIELD, "aria-label", view.placeholder);
        flag(FIELD, "readonly", !view.enabled);
        self.enabled = view.enabled;
        self.max_bytes = view.max_bytes;
        self.can_stop = view.can_stop;
        if self.handed_over.is_some_and(|before| own > before) {
            self.handed_over = None;
            put(FIELD, ".value", "");
            self.grow();
        }
        self.fit();
    }

    /// Whether the button stops the running answer rather than sending.
    pub fn stops(&self) -> bool {
        self.can_stop && draft().trim().is_empty()
    }

    /// The draft, if there is one that may go.
    pub fn submit(&mut self, own: usize) -> Option<String> {
        let draft = draft();
        if !self.enabled || draft.trim().is_empty() || draft.len() > self.max_bytes {
            return None;
        }
        self.handed_over = Some(own);
        Some(draft)
    }

    /// The field is as high as the draft.
    pub fn grow(&self) {
        put(FIELD, "--k-field", "");
        if !draft().is_empty() {
            put_px(FIELD, "--k-field", number(FIELD, "scrollHeight"));
        }
    }

    /// The button follows the draft.
    pub fn fit(&mut self) {
        let draft = draft();
        let empty = draft.trim().is_empty();
        let stops = self.can_stop && empty;
        let too_long = draft.len() > self.max_bytes;
        show(SQUARE, stops);
        show(ARROW, !stops);
        put(SEND, "aria-label", self.names[usize::from(stops)]);
        put_bool(FIELD, "aria-invalid", too_long);
        self.ready = stops || !empty && self.enabled && !too_long;
        flag(SEND, "disabled", !self.ready);
    }
}

fn draft() -> String {
    text(FIELD, "value")
}
