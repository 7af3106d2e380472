//! The panel: header, conversation, what to say next, composer. Builds its elements once, then follows the view model.
//! What the visitor does leaves as [`Ui`]; what it means is the engine's business.

use super::composer::Composer;
use super::messages::Messages;
use super::{Host, append, digits, flag, icon, make, set, style, text};
use crate::engine::machine::Ui;
use crate::engine::text::Words;
use crate::engine::view_model::{PanelView, Tone};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Element, Event, EventTarget, HtmlElement, KeyboardEvent};

const CROSS: &str = "m6 6 12 12M18 6 6 18";
const DOWN: &str = "M12 5v14m6-6-6 6-6-6";
const PERSON: &str =
    "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20.5c1-3.6 4-5.5 7.5-5.5s6.5 1.9 7.5 5.5";

/// Nearer to the end than this, in CSS pixels, the list follows what is added.
const NEAR_END: i32 = 64;

/// A listener that is gone when its owner is.
struct Listener {
    target: EventTarget,
    name: &'static str,
    run: Closure<dyn FnMut(Event)>,
}

impl Listener {
    fn new(target: &EventTarget, name: &'static str, run: impl FnMut(Event) + 'static) -> Listener {
        let run = Closure::new(run);
        let _ = target.add_event_listener_with_callback(name, run.as_ref().unchecked_ref());
        Listener {
            target: target.clone(),
            name,
            run,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self
            .target
            .remove_event_listener_with_callback(self.name, self.run.as_ref().unchecked_ref());
    }
}

/// The panel on screen. Dropping it removes its elements and listeners.
pub struct Panel {
    parts: Rc<Parts>,
    _listeners: Vec<Listener>,
}

struct Parts {
    panel: HtmlElement,
    avatar: HtmlElement,
    title: HtmlElement,
    status: HtmlElement,
    list: HtmlElement,
    typing: HtmlElement,
    pill: HtmlElement,
    prompts: HtmlElement,
    person: HtmlElement,
    banner: HtmlElement,
    note: HtmlElement,
    live: HtmlElement,
    state: RefCell<State>,
}

/// What the elements cannot tell by themselves.
struct State {
    messages: Messages,
    composer: Composer,
    /// The visitor reads the end of the list.
    at_end: bool,
    shown_prompts: Vec<String>,
    open: bool,
}

impl Panel {
    pub fn new(host: &Host, words: &'static Words, ui: Rc<dyn Fn(Ui)>) -> Panel {
        style::adopt(&host.root, style::PANEL);
        let parts = Rc::new(Parts::new(words));
        append(&host.frame, &parts.panel);
        let listeners = listen(&parts, ui);
        Panel {
            parts,
            _listeners: listeners,
        }
    }

    pub fn render(&self, view: &PanelView<'_>) {
        self.parts.render(view);
    }

    pub fn focus(&self) {
        let state = self.parts.state.borrow();
        let _ = state.composer.field.focus();
    }

    /// Said by screen readers, once.
    pub fn announce(&self, words: &str) {
        text(&self.parts.live, words);
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.parts.panel.remove();
    }
}

impl Parts {
    fn new(words: &'static Words) -> Parts {
        let panel = make("div", "panel");
        set(&panel, "part", "panel");
        set(&panel, "role", "dialog");
        set(&panel, "hidden", "");

        let header = make("div", "header");
        set(&header, "part", "header");
        let avatar = make("div", "avatar");
        set(&avatar, "aria-hidden", "true");
        let who = make("div", "who");
        let title = make("h2", "title");
        let status = make("p", "status");
        append(&who, &title);
        append(&who, &status);
        let close = button("icon", "close");
        set(&close, "part", "close");
        set(&close, "aria-label", words.close);
        append(&close, &icon(CROSS));
        append(&header, &avatar);
        append(&header, &who);
        append(&header, &close);

        let list = make("div", "messages");
        set(&list, "part", "messages");
        set(&list, "role", "log");
        // Streaming would be read word by word; complete answers are announced through `live`.
        set(&list, "aria-live", "off");
        set(&list, "aria-label", words.conversation);
        set(&list, "tabindex", "0");
        let typing = make("div", "typing");
        set(&typing, "role", "img");
        set(&typing, "aria-label", words.typing);
        for _ in 0..3 {
            append(&typing, &make("i", ""));
        }
        append(&list, &typing);

        let foot = make("div", "foot");
        let pill = button("pill", "end");
        append(&pill, &icon(DOWN));
        let pill_words = make("span", "");
        text(&pill_words, words.new_messages);
        append(&pill, &pill_words);
        set(&pill, "hidden", "");
        let prompts = make("div", "prompts");
        set(&prompts, "role", "group");
        set(&prompts, "aria-label", words.suggestions);
        let person = button("person", "person");
        append(&person, &icon(PERSON));
        let person_words = make("span", "");
        text(&person_words, words.person);
        append(&person, &person_words);
        let banner = make("div", "banner");
        set(&banner, "role", "status");
        let composer = Composer::new(words.send, words.stop);
        let note = make("p", "note");
        let live = make("div", "live");
        set(&live, "aria-live", "polite");
        for part in [&pill, &prompts, &person, &banner, &composer.element, &note] {
            append(&foot, part);
        }
        for part in [&header, &list, &foot, &live] {
            append(&panel, part);
        }
        let messages = Messages::new(list.clone(), typing.clone().into());
        let state = State {
            messages,
            composer,
            at_end: true,
            shown_prompts: Vec::new(),
            open: false,
        };
        Parts {
            panel,
            avatar,
            title,
            status,
            list,
            typing,
            pill,
            prompts,
            person,
            banner,
            note,
            live,
            state: RefCell::new(state),
        }
    }

    fn render(&self, view: &PanelView<'_>) {
        let mut state = self.state.borrow_mut();
        let opens = view.open && !state.open;
        state.open = view.open;
        flag(&self.panel, "hidden", !view.open);
        set(&self.panel, "aria-label", view.title);
        self.header(view);

        let change = state.messages.render(view.items, view.words);
        let typed = flag_changed(&self.typing, "hidden", !view.typing);
        self.prompts(view.prompts, &mut state.shown_prompts);
        flag(&self.person, "hidden", !view.offer_person);
        self.banner(view);
        let note = [view.privacy_notice, view.footer]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" · ");
        replace_text(&self.note, &note);
        flag(&self.note, "hidden", note.is_empty());
        let own = state.messages.own();
        state.composer.render(&view.composer, own);

        if opens || change.own {
            state.at_end = true;
        }
        if state.at_end {
            self.to_end();
        } else if change.grew && !typed {
            flag(&self.pill, "hidden", false);
        }
    }

    fn header(&self, view: &PanelView<'_>) {
        replace_text(&self.title, view.title);
        replace_text(&self.status, view.status);
        set(&self.status, "data-tone", tone(view.status_tone));
        // The style sheet makes it a capital: Unicode's table of capitals would cost 5 kB.
        let monogram = view
            .title
            .chars()
            .find(|c| !c.is_ascii_punctuation() && *c != ' ')
            .map_or(String::new(), String::from);
        let picture = self.avatar.first_element_child();
        match view.avatar_url {
            Some(url) => {
                if picture
                    .is_none_or(|picture| picture.get_attribute("src").as_deref() != Some(url))
                {
                    // The letter stays beneath: it shows while the picture loads, and where it cannot.
                    text(&self.avatar, &monogram);
                    let picture = make("img", "");
                    set(&picture, "alt", "");
                    set(&picture, "referrerpolicy", "no-referrer");
                    set(&picture, "src", url);
                    append(&self.avatar, &picture);
                }
            }
            None => replace_text(&self.avatar, &monogram),
        }
    }

    fn prompts(&self, prompts: &[String], shown: &mut Vec<String>) {
        flag(&self.prompts, "hidden", prompts.is_empty());
        if shown == prompts {
            return;
        }
        self.prompts.set_text_content(None);
        for (index, prompt) in prompts.iter().enumerate() {
            let chip = button("chip", "prompt");
            set(&chip, "data-key", &digits(index as u64));
            set(&chip, "dir", "auto");
            text(&chip, prompt);
            append(&self.prompts, &chip);
        }
        *shown = prompts.to_vec();
    }

    fn banner(&self, view: &PanelView<'_>) {
        let Some(banner) = &view.banner else {
            flag(&self.banner, "hidden", true);
            return;
        };
        flag(&self.banner, "hidden", false);
        set(&self.banner, "data-tone", tone(banner.tone));
        let words = match self.banner.first_element_child() {
            Some(words) => words,
            None => {
                let words: Element = make("span", "").into();
                append(&self.banner, &words);
                words
            }
        };
        replace_text(&words, &banner.text);
        let shown = words.next_element_sibling();
        match (banner.retry, shown) {
            (Some(label), Some(shown)) => replace_text(&shown, label),
            (Some(label), None) => {
                let retry = button("", "retry");
                text(&retry, label);
                append(&self.banner, &retry);
            }
            (None, Some(shown)) => shown.remove(),
            (None, None) => {}
        }
    }

    fn to_end(&self) {
        self.list.set_scroll_top(self.list.scroll_height());
        flag(&self.pill, "hidden", true);
    }

    fn scrolled(&self) {
        let left = self.list.scroll_height() - self.list.scroll_top() - self.list.client_height();
        let at_end = left < NEAR_END;
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.at_end = at_end;
        }
        if at_end {
            flag(&self.pill, "hidden", true);
        }
    }

    /// What a press on something with `data-act` says.
    fn act(&self, pressed: &Element) -> Option<Ui> {
        let key = || {
            pressed
                .get_attribute("data-key")
                .and_then(|key| key.parse::<u32>().ok())
        };
        match pressed.get_attribute("data-act")?.as_str() {
            "close" => Some(Ui::ClosePressed),
            "send" if self.state.borrow().composer.stops() => Some(Ui::StopPressed),
            "send" => self.submit(),
            "prompt" => Some(Ui::PromptPressed(key()? as usize)),
            "resend" => Some(Ui::ResendPressed(key()?)),
            "retry" => Some(Ui::RetryPressed),
            "person" => Some(Ui::EscalatePressed),
            "end" => {
                self.state.borrow_mut().at_end = true;
                self.to_end();
                None
            }
            _ => None,
        }
    }

    fn submit(&self) -> Option<Ui> {
        let mut state = self.state.borrow_mut();
        let own = state.messages.own();
        state.composer.submit(own).map(Ui::Submitted)
    }

    fn key(&self, event: &KeyboardEvent) -> Option<Ui> {
        // While an input method composes, Enter and Escape belong to it (229: Safari's way to say so).
        if event.is_composing() || event.key_code() == 229 {
            return None;
        }
        let in_field = event.target().is_some_and(|target| {
            target
                == *self
                    .state
                    .borrow()
                    .composer
                    .field
                    .unchecked_ref::<EventTarget>()
        });
        match event.key().as_str() {
            "Escape" => {
                event.prevent_default();
                Some(Ui::EscapePressed)
            }
            "Enter" if in_field && !event.shift_key() => {
                event.prevent_default();
                self.submit()
            }
            "Tab" => {
                self.keep_focus(event);
                None
            }
            _ => None,
        }
    }

    /// Where the panel covers the page, Tab goes round inside it.
    fn keep_focus(&self, event: &KeyboardEvent) {
        let covers = web_sys::window()
            .and_then(|window| window.inner_width().ok()?.as_f64())
            .is_some_and(|width| f64::from(self.panel.offset_width()) >= width);
        let Ok(stops) = self
            .panel
            .query_selector_all("button:not([disabled]),textarea,a,[tabindex]")
        else {
            return;
        };
        let visible: Vec<HtmlElement> = (0..stops.length())
            .filter_map(|index| stops.item(index)?.dyn_into::<HtmlElement>().ok())
            .filter(|stop| stop.offset_parent().is_some() || stop.get_client_rects().length() > 0)
            .collect();
        let (Some(first), Some(last), true) = (visible.first(), visible.last(), covers) else {
            return;
        };
        let (edge, other) = if event.shift_key() {
            (first, last)
        } else {
            (last, first)
        };
        if event
            .target()
            .is_some_and(|target| target == *edge.unchecked_ref::<EventTarget>())
        {
            event.prevent_default();
            let _ = other.focus();
        }
    }

    /// The keyboard of a phone shrinks the visual viewport only: the panel follows it.
    fn fit_viewport(&self, height: f64, top: f64) {
        let style = self.panel.style();
        for (name, value) in [("--k-vh", height), ("--k-vt", top)] {
            let _ = style.set_property(
                name,
                &[digits(value.max(0.0) as u64).as_str(), "px"].concat(),
            );
        }
        if self.state.try_borrow().is_ok_and(|state| state.at_end) {
            self.to_end();
        }
    }
}

/// One listener per kind of event, on the panel: rows come and go without any of their own.
fn listen(parts: &Rc<Parts>, ui: Rc<dyn Fn(Ui)>) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let (here, say) = (parts.clone(), ui.clone());
    listeners.push(Listener::new(&parts.panel, "click", move |event| {
        let pressed = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok())
            .and_then(|target| target.closest("[data-act]").ok().flatten());
        if let Some(ui) = pressed.and_then(|pressed| here.act(&pressed)) {
            say(ui);
        }
    }));
    let (here, say) = (parts.clone(), ui);
    listeners.push(Listener::new(&parts.panel, "keydown", move |event| {
        // The page's own shortcuts must not fire while someone types here.
        event.stop_propagation();
        if let Some(ui) = here.key(event.unchecked_ref()) {
            say(ui);
        }
    }));
    for kind in ["keypress", "keyup"] {
        listeners.push(Listener::new(&parts.panel, kind, |event| {
            event.stop_propagation();
        }));
    }
    let here = parts.clone();
    listeners.push(Listener::new(&parts.panel, "input", move |_| {
        here.state.borrow().composer.fit()
    }));
    let here = parts.clone();
    listeners.push(Listener::new(&parts.list, "scroll", move |_| {
        here.scrolled()
    }));
    if let Some(viewport) = web_sys::window().and_then(|window| window.visual_viewport()) {
        let (here, seen) = (parts.clone(), viewport.clone());
        listeners.push(Listener::new(&viewport, "resize", move |_| {
            here.fit_viewport(seen.height(), seen.offset_top())
        }));
        let (here, seen) = (parts.clone(), viewport.clone());
        listeners.push(Listener::new(&viewport, "scroll", move |_| {
            here.fit_viewport(seen.height(), seen.offset_top())
        }));
    }
    listeners
}

fn button(class: &str, act: &str) -> HtmlElement {
    let button = make("button", class);
    set(&button, "type", "button");
    set(&button, "data-act", act);
    button
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Busy => "busy",
        Tone::Bad => "bad",
    }
}

fn replace_text(element: &Element, words: &str) {
    if element.text_content().as_deref() != Some(words) {
        text(element, words);
    }
}

/// Sets the flag; true if that changed something.
fn flag_changed(element: &Element, name: &str, on: bool) -> bool {
    let changed = element.has_attribute(name) != on;
    flag(element, name, on);
    changed
}
