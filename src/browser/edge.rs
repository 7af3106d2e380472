//! Carries out what the engine orders: one match, one line each. Knows every facility; decides nothing.

use super::clock::{self, Clock};
use super::http::Http;
use super::media::{self, Media};
use super::page::Page;
use super::rtc::{self, Peer};
use super::surface::Surface;
use super::{callbacks, host, inbox, storage};
use crate::engine::effect::{Effect, Id, Millis};
use crate::engine::machine::{Machine, Msg};
use crate::engine::realtime::BUILT;
use crate::engine::shell::Edge;
use js_sys::Object;
use wasm_bindgen::JsValue;
use web_sys::AbortSignal;

pub struct BrowserEdge<S> {
    screen: S,
    http: Http,
    peers: Vec<Peer>,
    _media: Media,
    clock: Clock,
    page: Option<Page>,
    signal: AbortSignal,
    /// The loader's object: what is put into it outlives this instance.
    loader: Object,
    /// The screen is behind the machine.
    stale: bool,
}

impl<S: Surface> BrowserEdge<S> {
    pub fn new(screen: S, signal: AbortSignal, loader: Object) -> BrowserEdge<S> {
        BrowserEdge {
            screen,
            http: Http::default(),
            peers: Vec::new(),
            _media: Media::new(&signal),
            clock: Clock::new(),
            page: Some(Page::new(&signal)),
            signal,
            loader,
            stale: false,
        }
    }

    #[cfg(feature = "headless")]
    pub fn screen(&mut self) -> &mut S {
        &mut self.screen
    }

    /// Brings the screen in line, if it is behind. Many messages that arrive at once make one picture.
    pub fn flush(&mut self, machine: &Machine) {
        if std::mem::take(&mut self.stale) {
            let view = machine.view();
            // After `shutdown` nothing listened; a new life listens again.
            if view.launcher.is_some() && self.page.is_none() {
                self.page = Some(Page::new(&self.signal));
            }
            self.screen.render(&view, machine);
        }
    }

    /// A message on its way in: what it ends is let go.
    pub fn heard(&mut self, msg: &Msg) {
        match msg {
            Msg::HttpReplied { id, .. } | Msg::StreamClosed { id, .. } => self.http.end(*id),
            Msg::PeerClosed { id, .. } => self.close_peer(*id),
            _ => {}
        }
    }

    fn peer(&self, id: Id) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    fn close_peer(&mut self, id: Id) {
        if let Some(at) = self.peers.iter().position(|peer| peer.id == id) {
            self.peers.swap_remove(at);
        }
    }

    fn unmount(&mut self) {
        self.page = None;
        self.stale = self.screen.unmount();
    }
}

impl<S: Surface> Edge for BrowserEdge<S> {
    fn now(&self) -> Millis {
        clock::now()
    }

    fn run(&mut self, effect: &Effect, machine: &Machine) {
        match effect {
            Effect::Call { callbacks, event } => {
                // A page's callback finds the screen that its event tells of.
                self.flush(machine);
                for callback in callbacks {
                    callbacks::call(*callback, event);
                }
            }
            Effect::Warn { code, message } => callbacks::warn(code, message),
            Effect::Complain { code, message } => callbacks::error(code, message),
            Effect::Http(request) => self.http.send(request),
            Effect::OpenStream { id, url, token } => self.http.open_stream(*id, url, token),
            Effect::CancelHttp(id) | Effect::CloseStream(id) => self.http.end(*id),
            Effect::OpenPeer {
                id,
                ice_servers,
                channel,
            } => match Peer::open(*id, ice_servers, channel) {
                Some(peer) => self.peers.push(peer),
                None => inbox::enqueue(rtc::closed(*id, "unavailable")),
            },
            Effect::AnswerPeer { id, sdp } => {
                if let Some(peer) = self.peer(*id) {
                    peer.answer(sdp);
                }
            }
            Effect::SendFrame { id, event } => {
                if let Some(peer) = self.peer(*id) {
                    peer.send(event);
                }
            }
            Effect::SendText { id, text } => {
                if let Some(peer) = self.peer(*id).filter(|_| BUILT) {
                    peer.send_text(text);
                }
            }
            Effect::ClosePeer(id) => self.close_peer(*id),
            Effect::RestartPeer(id) => {
                if let Some(peer) = self.peer(*id) {
                    peer.restart();
                }
            }
            Effect::OpenMic(id) => {
                // What the visitor should have read is on screen before the browser asks.
                self.flush(machine);
                media::open(*id, &self.screen);
            }
            Effect::CloseMic(id) => media::hang(id.0),
            Effect::Talk(id) => {
                if let Some(peer) = self.peer(*id) {
                    media::talk(peer.connection());
                }
            }
            Effect::MuteMic(on) => media::mute(*on),
            Effect::Hush(on) => media::hush(*on),
            Effect::Hear => media::play(),
            Effect::SetTimer { timer, delay_ms } => self.clock.set(*timer, *delay_ms),
            Effect::ClearTimer(timer) => self.clock.clear(*timer),
            Effect::Store { key, record } => {
                storage::store(key, record.as_deref());
                self.screen.stored(key);
            }
            Effect::HandOn(text) => host::put(&self.loader, "login", &JsValue::from_str(text)),
            Effect::Render => self.stale = true,
            Effect::Focus(focus) => {
                self.flush(machine);
                self.screen.focus(*focus);
            }
            Effect::Announce(text) => self.screen.announce(text),
            Effect::Unmount => self.unmount(),
        }
    }
}
