//! Where the conversation is shown: the prebuilt panel ([`super::screen`]), or a page's own ([`super::headless`]).

use crate::engine::effect::Focus;
use crate::engine::machine::Machine;
use crate::engine::view_model::ViewModel;
use wasm_bindgen::JsValue;

pub trait Surface {
    /// Follows the state. Many messages that arrive at once make one picture.
    fn render(&mut self, view: &ViewModel<'_>, machine: &Machine);
    fn focus(&self, _: Focus) {}
    fn announce(&self, _: &str) {}
    /// Leaves the page as it was found. True: wants to see the state once more.
    fn unmount(&mut self) -> bool;
    /// What `media.js` shows a call's loudness with.
    fn meter(&self) -> JsValue;
    /// What it offers other microphones by.
    fn devices(&self) -> JsValue;
    /// The record of this key was kept or removed.
    fn stored(&mut self, _: &str) {}
}
