//! The peer connection: one data channel and one audio section without a track, so that talking later is `replaceTrack` and no new offer.
//! The offer leaves at once: the server's address is in its answer, so nothing needs to be gathered first.

use super::host::{get, get_text, put, window};
use super::{inbox, media, raw, wire};
use crate::engine::effect::{IceServer, Id};
use crate::engine::json::Json;
use crate::engine::machine::Msg;
use crate::engine::realtime::BUILT;
use js_sys::{Array, Object};
use karta_protocol::DATA_CHANNEL_LABEL;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[derive(Clone)]
    type RTCPeerConnection;
    #[wasm_bindgen(constructor, catch)]
    fn new(config: &JsValue) -> Result<RTCPeerConnection, JsValue>;
    #[wasm_bindgen(method, catch, js_name = createDataChannel)]
    fn create_data_channel(this: &RTCPeerConnection, label: &str) -> Result<Channel, JsValue>;
    #[wasm_bindgen(method, catch, js_name = addTransceiver)]
    fn add_transceiver(
        this: &RTCPeerConnection,
        kind: &str,
        init: &JsValue,
    ) -> Result<JsValue, JsValue>;
    /// Without an argument: makes the offer and takes it in one step.
    #[wasm_bindgen(method, catch, js_name = setLocalDescription)]
    fn set_local(this: &RTCPeerConnection) -> Result<Settling, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setRemoteDescription)]
    fn set_remote(this: &RTCPeerConnection, description: &JsValue) -> Result<Settling, JsValue>;
    #[wasm_bindgen(method, getter, js_name = localDescription)]
    fn local(this: &RTCPeerConnection) -> JsValue;
    #[wasm_bindgen(method, getter, js_name = connectionState)]
    fn state(this: &RTCPeerConnection) -> String;
    #[wasm_bindgen(method, setter, js_name = onconnectionstatechange)]
    fn set_on_state(this: &RTCPeerConnection, listener: &JsValue);
    #[wasm_bindgen(method, js_name = restartIce)]
    fn restart_ice(this: &RTCPeerConnection);
    #[wasm_bindgen(method)]
    fn close(this: &RTCPeerConnection);

    /// A promise.
    type Settling;
    #[wasm_bindgen(method)]
    fn then(this: &Settling, done: &JsValue, failed: &JsValue);

    type Channel;
    #[wasm_bindgen(method, setter, js_name = onopen)]
    fn set_on_open(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, setter, js_name = onclose)]
    fn set_on_close(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, setter, js_name = onmessage)]
    fn set_on_message(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, catch)]
    fn send(this: &Channel, text: &str) -> Result<(), JsValue>;
}

/// A peer connection can be constructed: some browsers lack it, some pages take it away.
pub fn possible() -> bool {
    window("RTCPeerConnection").is_some_and(|peer| peer.is_function())
}

/// Dropping it closes the connection; no message follows.
pub struct Peer {
    pub id: Id,
    connection: RTCPeerConnection,
    channel: Channel,
    /// One function for everything that happens: events of the channel and the connection, and how promises settle. The page's own
    /// collector frees it, because a promise may settle after the peer is gone.
    listener: JsValue,
}

impl Peer {
    pub fn open(id: Id, ice_servers: &[IceServer], channel: &str) -> Option<Peer> {
        if !possible() {
            return None;
        }
        // Servers that the browser refuses must not cost the connection.
        let connection = RTCPeerConnection::new(&config(ice_servers))
            .or_else(|_| RTCPeerConnection::new(&config(&[])))
            .ok()?;
        let peer = Self::equip(id, &connection, channel);
        if peer.is_none() {
            connection.close();
        }
        peer
    }

    fn equip(id: Id, connection: &RTCPeerConnection, label: &str) -> Option<Peer> {
        let own = label == DATA_CHANNEL_LABEL;
        let channel = connection.create_data_channel(label).ok()?;
        let init = Object::new();
        put(&init, "direction", &JsValue::from_str("sendrecv"));
        connection.add_transceiver("audio", &init).ok()?;
        let watched = connection.clone();
        let listener = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            if let Some(msg) = heard(id, own, &watched, &event)
                && !inbox::post(msg)
            {
                watched.close();
            }
        });
        let peer = Peer {
            id,
            connection: connection.clone(),
            channel,
            listener: listener.into_js_value(),
        };
        peer.listen(&peer.listener);
        peer.offer()?;
        Some(peer)
    }

    fn offer(&self) -> Option<()> {
        let offering = self.connection.set_local().ok()?;
        offering.then(&self.listener, &self.listener);
        Some(())
    }

    /// Another offer, with new credentials.
    pub fn restart(&self) {
        self.connection.restart_ice();
        let _ = self.offer();
    }

    pub fn connection(&self) -> &JsValue {
        &self.connection
    }

    fn listen(&self, listener: &JsValue) {
        self.channel.set_on_open(listener);
        self.channel.set_on_close(listener);
        self.channel.set_on_message(listener);
        self.connection.set_on_state(listener);
    }

    pub fn answer(&self, sdp: &str) {
        let description = Object::new();
        put(&description, "type", &JsValue::from_str("answer"));
        let sdp = media::whole(&self.connection, sdp);
        put(&description, "sdp", &JsValue::from_str(&sdp));
        match self.connection.set_remote(&description) {
            Ok(taking) => taking.then(&JsValue::UNDEFINED, &self.listener),
            Err(_) => inbox::enqueue(closed(self.id, "bad_answer")),
        }
    }

    pub fn send(&self, event: &Json) {
        self.send_text(&wire::write(event));
    }

    pub fn send_text(&self, text: &str) {
        if self.channel.send(text).is_err() {
            inbox::enqueue(closed(self.id, "send_failed"));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.listen(&JsValue::NULL);
        self.connection.close();
    }
}

pub fn closed(id: Id, reason: &'static str) -> Msg {
    Msg::PeerClosed { id, reason }
}

fn heard(id: Id, own: bool, connection: &RTCPeerConnection, event: &JsValue) -> Option<Msg> {
    if event.is_undefined() {
        // The offer is made.
        let sdp = get(&connection.local(), "sdp")?.as_string()?;
        return Some(Msg::PeerOffered { id, sdp });
    }
    let Some(kind) = get_text(event, "type") else {
        // What a promise was rejected with: no offer, or an answer that is none.
        return Some(closed(id, "refused"));
    };
    match kind.as_str() {
        "open" => Some(Msg::ChannelOpened { id }),
        "close" => Some(closed(id, "channel_closed")),
        "message" => {
            let object = wire::object(&get_text(event, "data")?)?;
            if !own && BUILT {
                let frame = Box::new(raw::tree(&object));
                return Some(Msg::EngineFrame { id, frame });
            }
            Some(Msg::ChannelFrame {
                id,
                event: Box::new(wire::event(&object)),
            })
        }
        _ => match connection.state().as_str() {
            "failed" => Some(closed(id, "failed")),
            "disconnected" => Some(Msg::PeerShaken { id }),
            _ => None,
        },
    }
}

fn config(ice_servers: &[IceServer]) -> Object {
    let list = Array::new();
    for server in ice_servers {
        let entry = Object::new();
        let text = |key: &str, value: &str| {
            if !value.is_empty() {
                put(&entry, key, &JsValue::from_str(value));
            }
        };
        text("urls", &server.url);
        text("username", &server.username);
        text("credential", &server.credential.0);
        list.push(&entry);
    }
    let config = Object::new();
    put(&config, "iceServers", &list);
    put(&config, "bundlePolicy", &JsValue::from_str("max-bundle"));
    config
}
