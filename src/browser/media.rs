//! A call's microphone, sound and meter: `media.js` does it, here are its names and what it tells.

use super::inbox;
use crate::engine::effect::Id;
use crate::engine::machine::Msg;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/browser/media.js")]
extern "C" {
    /// Insecure pages have no microphones.
    pub fn possible() -> bool;
    fn attend(hear: &JsValue, signal: &JsValue);
    #[wasm_bindgen(js_name = open)]
    fn open_mic(id: u32, device: i32);
    fn hang(id: u32);
    pub fn mute(on: bool);
    pub fn hush(on: bool);
    pub fn play();
    pub fn talk(peer: &JsValue, meter: u32);
    pub fn whole(peer: &JsValue, sdp: &str) -> String;
}

/// Hears of everything that happens to a call's media, as long as this lives.
pub struct Media {
    _hear: Closure<dyn FnMut(u32, u32, String, i32)>,
}

impl Media {
    pub fn new(signal: &JsValue) -> Media {
        let hear = Closure::<dyn FnMut(u32, u32, String, i32)>::new(
            |news: u32, id: u32, text: String, number: i32| {
                let id = Id(id);
                inbox::post(match news {
                    0 => Msg::MicGranted { id },
                    1 => Msg::MicRefused { id, name: text },
                    2 => Msg::MicEnded { id },
                    3 => Msg::MicHeld {
                        id,
                        held: number != 0,
                    },
                    4 => Msg::Devices {
                        names: text,
                        at: number.max(0) as u32,
                    },
                    _ => Msg::SoundBlocked,
                });
            },
        );
        attend(hear.as_ref(), signal);
        Media { _hear: hear }
    }

    pub fn open(&self, id: Id, device: Option<u32>) {
        open_mic(id.0, device.map_or(-1, |device| device as i32));
    }

    pub fn close(&self, id: Id) {
        hang(id.0);
    }
}
