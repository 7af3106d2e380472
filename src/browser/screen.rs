//! What is on screen, as one thing for the edge: host, launcher, panel. Follows the view model; keeps the host in the body while the
//! page swaps its body (Turbo) or empties it (single-page applications).

use super::dom::launcher::Launcher;
use super::dom::panel::Panel;
use super::dom::{Host, document};
use super::host::put;
use super::inbox;
use crate::engine::effect::Focus;
use crate::engine::machine::{Msg, Ui};
use crate::engine::view_model::ViewModel;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Event};

#[wasm_bindgen]
extern "C" {
    type MutationObserver;
    #[wasm_bindgen(constructor)]
    fn new(callback: &JsValue) -> MutationObserver;
    #[wasm_bindgen(method)]
    fn observe(this: &MutationObserver, target: &JsValue, options: &JsValue);
    #[wasm_bindgen(method)]
    fn disconnect(this: &MutationObserver);
}

/// How often a page may take the host away in a row before it is left in peace: two scripts must not fight for ever.
const REATTACHMENTS: u32 = 500;

pub struct Screen {
    /// The launcher bundle's host, until the first picture takes it over.
    found: Option<web_sys::HtmlElement>,
    /// Tells the loader that presses are heard here from now on.
    taken: JsValue,
    shown: Option<Shown>,
    ui: Rc<dyn Fn(Ui)>,
    /// Aborted when this instance has crashed: its successor owns the page then.
    signal: AbortSignal,
}

struct Shown {
    panel: Option<Panel>,
    launcher: Launcher,
    host: Rc<Host>,
    press: Closure<dyn FnMut(Event)>,
    observer: MutationObserver,
    _watch: Closure<dyn FnMut(JsValue, MutationObserver)>,
}

impl Screen {
    pub fn new(found: JsValue, taken: JsValue, signal: AbortSignal) -> Screen {
        Screen {
            found: (!found.is_falsy()).then(|| found.unchecked_into()),
            taken,
            shown: None,
            ui: Rc::new(|ui| {
                inbox::post(Msg::Ui(ui));
            }),
            signal,
        }
    }

    pub fn render(&mut self, view: &ViewModel<'_>) {
        let Some(launcher) = &view.launcher else {
            return self.unmount();
        };
        if self.shown.is_none() {
            let host = self
                .found
                .take()
                .and_then(Host::adopt)
                .or_else(Host::create);
            self.shown = host.map(|host| Shown::new(host, self.ui.clone(), self.signal.clone()));
            if let Some(taken) = self.taken.dyn_ref::<js_sys::Function>() {
                let _ = taken.call0(&JsValue::UNDEFINED);
            }
        }
        let Some(shown) = &mut self.shown else {
            return;
        };
        shown.host.theme(&view.theme);
        let unread = view.panel.as_ref().map_or("", |panel| panel.words.unread);
        shown.launcher.render(launcher, unread);
        match &view.panel {
            Some(panel) => shown
                .panel
                .get_or_insert_with(|| Panel::new(&shown.host, panel.words, self.ui.clone()))
                .render(panel),
            None => shown.panel = None,
        }
    }

    pub fn focus(&self, focus: Focus) {
        match (&self.shown, focus) {
            (Some(shown), Focus::Launcher) => {
                let _ = shown.launcher.button.focus();
            }
            (
                Some(Shown {
                    panel: Some(panel), ..
                }),
                Focus::Composer,
            ) => panel.focus(),
            _ => {}
        }
    }

    pub fn announce(&self, text: &str) {
        if let Some(Shown {
            panel: Some(panel), ..
        }) = &self.shown
        {
            panel.announce(text);
        }
    }

    /// Leaves the page as it was found.
    pub fn unmount(&mut self) {
        if let Some(host) = self.found.take() {
            host.remove();
        }
        self.shown = None;
    }
}

impl Shown {
    fn new(host: Host, ui: Rc<dyn Fn(Ui)>, signal: AbortSignal) -> Shown {
        let host = Rc::new(host);
        let launcher = Launcher::of(&host);
        let press = Closure::<dyn FnMut(Event)>::new(move |_| ui(Ui::LauncherPressed));
        let _ = launcher
            .button
            .add_event_listener_with_callback("click", press.as_ref().unchecked_ref());
        let mut left = REATTACHMENTS;
        let watched = host.clone();
        let watch = Closure::<dyn FnMut(JsValue, MutationObserver)>::new(
            move |_, observer: MutationObserver| {
                if signal.aborted() {
                    return observer.disconnect();
                }
                watched.drop_copies();
                if !watched.element.is_connected() && left > 0 {
                    left -= 1;
                    watched.attach();
                    observe(&observer);
                }
            },
        );
        let observer = MutationObserver::new(watch.as_ref());
        observe(&observer);
        Shown {
            panel: None,
            launcher,
            host,
            press,
            observer,
            _watch: watch,
        }
    }
}

/// The root for a new body, the body for a lost host. Watching the same element again changes nothing.
fn observe(observer: &MutationObserver) {
    let children = js_sys::Object::new();
    put(&children, "childList", &JsValue::TRUE);
    if let Some(root) = document().document_element() {
        observer.observe(&root, &children);
    }
    if let Some(body) = document().body() {
        observer.observe(&body, &children);
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.observer.disconnect();
        let _ = self
            .launcher
            .button
            .remove_event_listener_with_callback("click", self.press.as_ref().unchecked_ref());
        self.panel = None;
        self.host.element.remove();
    }
}
