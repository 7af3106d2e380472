//! A call's microphone, sound and meter: `media.js` does it, here are its names and what it tells.

use super::inbox;
use super::surface::Surface;
use crate::engine::effect::Id;
use crate::engine::machine::{MicNews, Msg};
use crate::engine::text::CallEnd;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/browser/media.js")]
extern "C" {
    /// Insecure pages have no microphones.
    pub fn possible() -> bool;
    fn attend(hear: &JsValue, signal: &JsValue);
    #[wasm_bindgen(js_name = openMic)]
    fn open_mic(mic: u32, meter: &JsValue, choice: &JsValue);
    pub fn hang(mic: u32);
    pub fn mute(on: bool);
    pub fn hush(on: bool);
    pub fn play();
    pub fn talk(peer: &JsValue);
    pub fn whole(peer: &JsValue, sdp: &str) -> String;
}

/// In the order of `media.js`.
static NEWS: [MicNews; 9] = [
    MicNews::Refused(CallEnd::Denied),
    MicNews::Refused(CallEnd::Forbidden),
    MicNews::Refused(CallEnd::Missing),
    MicNews::Refused(CallEnd::Busy),
    MicNews::Granted,
    MicNews::Ended,
    MicNews::Held(false),
    MicNews::Held(true),
    MicNews::SoundBlocked,
];

/// Hears what happens to a call's media, as long as this lives.
pub struct Media {
    _hear: Closure<dyn FnMut(usize, u32) -> bool>,
}

impl Media {
    pub fn new(signal: &JsValue) -> Media {
        let hear = Closure::<dyn FnMut(usize, u32) -> bool>::new(|news: usize, id: u32| {
            let id = Id(id);
            NEWS.get(news)
                .is_some_and(|news| inbox::post(Msg::Mic { id, news: *news }))
        });
        attend(hear.as_ref(), signal);
        Media { _hear: hear }
    }
}

/// Once the panel is drawn: the meter and the list of microphones are its elements.
pub fn open(mic: Id, surface: &impl Surface) {
    open_mic(mic.0, &surface.meter(), &surface.devices());
}
