//! What is on screen, as one thing for the edge: host, launcher, panel. Follows the view model, and tells the engine what the visitor does.

use super::dom::panel::{DEVICE, METER, Panel};
use super::dom::{self, KINDS, Kind, Node, launcher};
use super::inbox;
use super::surface::Surface;
use crate::engine::effect::Focus;
use crate::engine::machine::{Machine, Msg, Ui};
use crate::engine::view_model::ViewModel;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

pub struct Screen {
    /// The launcher bundle has made a host, which the first picture takes over.
    found: bool,
    /// Makes another host, by the launcher bundle. A falsy value where the page forbids shadow roots.
    make: JsValue,
    /// Tells the loader that presses are heard here from now on.
    taken: JsValue,
    /// Aborted when this instance has crashed: its successor owns the page then.
    signal: JsValue,
    shown: bool,
    panel: Rc<RefCell<Option<Panel>>>,
    /// The one listener; `dom/nodes.js` calls it until `shut`.
    hear: Closure<dyn FnMut(usize, Node) -> bool>,
}

impl Screen {
    pub fn new(found: bool, make: JsValue, taken: JsValue, signal: JsValue) -> Screen {
        let panel = Rc::new(RefCell::new(None::<Panel>));
        let here = panel.clone();
        let hear = Closure::<dyn FnMut(usize, Node) -> bool>::new(move |kind, node| {
            let mut ours = false;
            let ui = if node == launcher::BUTTON {
                Some(Ui::LauncherPressed)
            } else if let Ok(mut panel) = here.try_borrow_mut() {
                match KINDS.get(kind) {
                    // Drawn before it is asked for, the panel appears at once when it is.
                    Some(Kind::Idle) => {
                        panel.get_or_insert_with(Panel::draw);
                        None
                    }
                    Some(kind) => panel
                        .as_mut()
                        .and_then(|panel| panel.heard(*kind, node, &mut ours)),
                    None => None,
                }
            } else {
                None
            };
            if let Some(ui) = ui {
                inbox::post(Msg::Ui(ui));
            }
            ours
        });
        Screen {
            found,
            make,
            taken,
            signal,
            shown: false,
            panel,
            hear,
        }
    }

    pub fn render(&mut self, view: &ViewModel<'_>) {
        let Some(button) = &view.launcher else {
            return self.unmount();
        };
        if !self.shown && !self.mount() {
            return;
        }
        dom::theme(&view.theme);
        let words = view.panel.as_ref().map(|panel| panel.words);
        let unread = words.map_or("", |words| words.unread);
        launcher::render(button, unread);
        if let Some(words) = words.filter(|_| button.call) {
            launcher::call(button, words.call_runs);
        }
        let mut panel = self.panel.borrow_mut();
        match &view.panel {
            Some(view) => panel.get_or_insert_with(Panel::draw).render(view),
            None if panel.as_ref().is_some_and(Panel::is_on_page) => *panel = None,
            None => {}
        }
    }

    /// False where the page lets nobody draw.
    fn mount(&mut self) -> bool {
        let found = std::mem::take(&mut self.found);
        if !found && call(&self.make).is_falsy() {
            return false;
        }
        self.shown = true;
        dom::keep(&self.signal, self.hear.as_ref());
        dom::listen(launcher::BUTTON, "click", true);
        call(&self.taken);
        true
    }

    pub fn focus(&self, focus: Focus) {
        match focus {
            Focus::Launcher if self.shown => dom::call(launcher::BUTTON, "focus"),
            Focus::Composer => {
                if let Some(panel) = &*self.panel.borrow() {
                    panel.focus();
                }
            }
            Focus::Launcher => {}
        }
    }

    pub fn announce(&self, text: &str) {
        if let Some(panel) = &*self.panel.borrow() {
            panel.announce(text);
        }
    }

    /// Leaves the page as it was found.
    pub fn unmount(&mut self) {
        *self.panel.borrow_mut() = None;
        let found = std::mem::take(&mut self.found);
        if std::mem::take(&mut self.shown) || found {
            dom::shut();
        }
    }
}

impl Surface for Screen {
    fn render(&mut self, view: &ViewModel<'_>, _: &Machine) {
        self.render(view);
    }

    fn focus(&self, focus: Focus) {
        self.focus(focus);
    }

    fn announce(&self, text: &str) {
        self.announce(text);
    }

    fn unmount(&mut self) -> bool {
        self.unmount();
        false
    }

    fn meter(&self) -> JsValue {
        dom::element(METER)
    }

    fn devices(&self) -> JsValue {
        dom::element(DEVICE)
    }
}

/// What the loader's function answers.
fn call(function: &JsValue) -> JsValue {
    let function = function.dyn_ref::<js_sys::Function>();
    function
        .and_then(|function| function.call0(&JsValue::UNDEFINED).ok())
        .unwrap_or_default()
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.unmount();
    }
}
