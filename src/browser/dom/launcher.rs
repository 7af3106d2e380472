//! The button that opens the chat. Part of both bundles: drawn by the first, taken over by the second. Knows nothing of clicks.

use super::{TEXT, flag, put, put_bool, show, template};
use crate::engine::view_model::LauncherView;

template! { TEMPLATE from super::FIRST;
    FRAME "div class=frame"
    BUTTON " button class=launcher type=button part=launcher aria-haspopup=dialog"
    _FACE "  span class=face"
    LOGO "   img alt referrerpolicy=no-referrer hidden"
    BUBBLE "   svg viewBox=0,0,24,24 aria-hidden=true"
    _BUBBLE_LINE "    path d=M12,3.5c-5,0-9,3.5-9,8,0,2.3,1.1,4.4,2.8,5.9-.1,1.1-.6,2.2-1.4,3.1,1.8-.1,3.5-.7,4.8-1.6.9.3,1.8.4,2.8.4,5,0,9-3.5,9-7.8s-4-8-9-8ZM8,11.7h.01M12,11.7h.01M16,11.7h.01"
    _DOWN "   svg viewBox=0,0,24,24 aria-hidden=true"
    _DOWN_LINE "    path d=m6,9.5,6,6,6-6"
    LABEL "  span class=label"
    BADGE "  span class=badge part=badge aria-hidden=true"
}

/// `unread_word` names the count for screen readers.
pub fn render(view: &LauncherView<'_>, unread_word: &str) {
    let count = short(view.unread);
    let mut name = String::from(view.name);
    if view.unread > 0 && !view.open {
        for part in [", ", &count, " ", unread_word] {
            name.push_str(part);
        }
    }
    put(BUTTON, "aria-label", name.trim_ascii_end());
    put_bool(BUTTON, "aria-expanded", view.open);
    flag(BUTTON, "data-call", view.call);
    let wide = view.label.is_some() && !view.open;
    flag(BUTTON, "data-wide", wide);
    put(LABEL, TEXT, view.label.unwrap_or_default());
    show(LABEL, wide);
    put(BADGE, TEXT, &count);
    show(BADGE, view.unread > 0 && !view.open);
    // The owner's picture in place of the drawn bubble. The page's address is none of its server's business.
    if let Some(url) = view.logo_url {
        put(LOGO, "src", url);
        show(LOGO, true);
        show(BUBBLE, false);
    }
}

/// A call goes on: said after the button's name.
#[cfg(feature = "panel")]
pub fn call(view: &LauncherView<'_>, word: &str) {
    put(BUTTON, "aria-label", &[view.name, ", ", word].concat());
}

/// `9+` above nine: the badge is a hint, not a ledger.
fn short(count: u32) -> String {
    match u8::try_from(count) {
        Ok(digit @ 0..=9) => String::from(char::from(b'0' + digit)),
        _ => String::from("9+"),
    }
}
