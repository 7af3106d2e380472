//! The engine with its edge, as both entries run it. Everything that happens in the page only puts a message into the inbox and then calls the
//! loader's `pump`, which comes back through the entry's drain inside a `try`: so a trap of ours ends here and never in the page, and a page
//! callback that calls us while we run finds a queue and not a half-changed state.

use crate::browser::edge::BrowserEdge;
use crate::browser::host::{self, get_text};
use crate::browser::surface::Surface;
use crate::browser::{callbacks, inbox, media, page, raw, rtc, storage};
use crate::engine::command::Command;
use crate::engine::config::Layer;
use crate::engine::dialect::{Raw, Rejection};
use crate::engine::effect::Failure;
use crate::engine::machine::{Boot, Machine, Msg};
use crate::engine::shell;
use std::cell::RefCell;
use wasm_bindgen::JsValue;

pub struct App<S> {
    pub machine: Machine,
    pub edge: BrowserEdge<S>,
}

/// One a bundle, once it has been started.
pub type Started<S> = RefCell<Option<App<S>>>;

/// The loader's early answer to `GET /config`.
pub type Prefetched = Option<(String, Result<Box<Layer>, Failure>)>;

/// What the world looks like. `options`: the loader's.
#[inline(always)]
pub fn world(
    options: &JsValue,
    attributes: Layer,
    prefetched: Prefetched,
    #[cfg_attr(
        not(feature = "headless"),
        expect(unused_variables, reason = "such a bundle always draws")
    )]
    headless: bool,
) -> Boot {
    Boot {
        attributes,
        rejections: Vec::new(),
        script_origin: get_text(options, "origin").unwrap_or_default(),
        prefetched,
        languages: host::languages(),
        entropy: page::entropy(),
        online: page::online(),
        webrtc: rtc::possible(),
        microphone: media::possible(),
        stored: storage::all(),
        handed_on: get_text(options, "login").unwrap_or_default(),
        #[cfg(feature = "headless")]
        headless,
    }
}

/// One call of the page, in one dialect.
#[inline(always)]
pub fn take(args: &js_sys::Array, read: fn(&[Raw], &mut Vec<Rejection>) -> Option<Command>) {
    let raws: Vec<_> = args
        .iter()
        .map(|arg| raw::read(&arg, &mut callbacks::intern))
        .collect();
    let mut refused = Vec::new();
    let command = read(&raws, &mut refused);
    for rejection in refused {
        inbox::enqueue(Msg::Rejected(rejection));
    }
    if let Some(command) = command {
        inbox::enqueue(Msg::Command(command));
    }
}

/// Works the inbox off. A drain that is under way goes on; this one returns.
#[inline(always)]
pub fn drain<S: Surface>(app: &Started<S>) {
    let Ok(mut app) = app.try_borrow_mut() else {
        return;
    };
    let Some(App { machine, edge }) = &mut *app else {
        return;
    };
    loop {
        let msgs = inbox::take();
        if msgs.is_empty() {
            return;
        }
        for msg in msgs {
            edge.heard(&msg);
            shell::step(machine, msg, edge);
        }
        edge.flush(machine);
    }
}
