//! The button that opens the chat. Part of both bundles: drawn by the first, adopted by the second. Knows nothing of clicks.

use super::{Host, append, flag, icon, make, set, text};
use crate::engine::view_model::LauncherView;
use web_sys::{Element, HtmlElement};

const BUBBLE: &str = "M12 3.5c-5 0-9 3.5-9 8 0 2.3 1.1 4.4 2.8 5.9-.1 1.1-.6 2.2-1.4 3.1 1.8-.1 3.5-.7 4.8-1.6.9.3 1.8.4 2.8.4 5 0 9-3.5 9-7.8s-4-8-9-8ZM8 11.7h.01M12 11.7h.01M16 11.7h.01";
const DOWN: &str = "m6 9.5 6 6 6-6";

pub struct Launcher {
    pub button: HtmlElement,
}

impl Launcher {
    /// Adopts the launcher in the frame, or makes one.
    pub fn of(host: &Host) -> Launcher {
        if let Ok(Some(button)) = host.frame.query_selector(".launcher") {
            return Launcher {
                button: wasm_bindgen::JsCast::unchecked_into(button),
            };
        }
        let button = make("button", "launcher");
        set(&button, "type", "button");
        set(&button, "part", "launcher");
        set(&button, "data-act", "launcher");
        set(&button, "aria-haspopup", "dialog");
        let face = make("span", "face");
        append(&face, &icon(BUBBLE));
        append(&face, &icon(DOWN));
        append(&button, &face);
        append(&button, &make("span", "label"));
        let badge = make("span", "badge");
        set(&badge, "part", "badge");
        set(&badge, "aria-hidden", "true");
        append(&button, &badge);
        append(&host.frame, &button);
        Launcher { button }
    }

    /// `unread` is the count's word for screen readers.
    pub fn render(&self, view: &LauncherView<'_>, unread_word: &str) {
        let part = |class: &str| self.button.query_selector(class).ok().flatten();
        let count = short(view.unread);
        let name = if view.unread > 0 && !view.open {
            [view.name, ", ", &count, " ", unread_word].concat()
        } else {
            String::from(view.name)
        };
        set(&self.button, "aria-label", name.trim_end());
        set(
            &self.button,
            "aria-expanded",
            if view.open { "true" } else { "false" },
        );
        flag(
            &self.button,
            "data-wide",
            view.label.is_some() && !view.open,
        );
        if let Some(label) = part(".label") {
            text(&label, view.label.unwrap_or_default());
            flag(&label, "hidden", view.label.is_none() || view.open);
        }
        if let Some(badge) = part(".badge") {
            text(&badge, &count);
            flag(&badge, "hidden", view.unread == 0 || view.open);
        }
        if let Some(url) = view.logo_url {
            self.logo(url, part(".face"));
        }
    }

    /// The owner's picture in place of the drawn bubble.
    fn logo(&self, url: &str, face: Option<Element>) {
        let Some(first) = face.and_then(|face| face.first_element_child()) else {
            return;
        };
        if first.get_attribute("src").as_deref() != Some(url) {
            let image = make("img", "");
            set(&image, "alt", "");
            // The page's address is none of the picture server's business.
            set(&image, "referrerpolicy", "no-referrer");
            set(&image, "src", url);
            let _ = first.replace_with_with_node_1(&image);
        }
    }
}

/// `9+` above nine: the badge is a hint, not a ledger.
fn short(count: u32) -> String {
    match u8::try_from(count) {
        Ok(digit @ 0..=9) => String::from(char::from(b'0' + digit)),
        _ => String::from("9+"),
    }
}
