//! The peer connection: one data channel and one audio section without a track, so that talking later is `replaceTrack` and no new offer.
//! The offer leaves at once: the server's address is in its answer, so nothing needs to be gathered first.

use super::host::{get, put};
use super::{inbox, wire};
use crate::engine::effect::{IceServer, Id};
use crate::engine::machine::Msg;
use js_sys::{Array, Object};
use karta_protocol::{ClientEvent, DATA_CHANNEL_LABEL};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

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
    #[wasm_bindgen(method, catch, js_name = createOffer)]
    fn create_offer(this: &RTCPeerConnection) -> Result<js_sys::Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setLocalDescription)]
    fn set_local(
        this: &RTCPeerConnection,
        description: &JsValue,
    ) -> Result<js_sys::Promise, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setRemoteDescription)]
    fn set_remote(
        this: &RTCPeerConnection,
        description: &JsValue,
    ) -> Result<js_sys::Promise, JsValue>;
    #[wasm_bindgen(method, getter, js_name = connectionState)]
    fn state(this: &RTCPeerConnection) -> String;
    #[wasm_bindgen(method, setter, js_name = onconnectionstatechange)]
    fn set_on_state(this: &RTCPeerConnection, listener: &JsValue);
    #[wasm_bindgen(method)]
    fn close(this: &RTCPeerConnection);

    type Channel;
    #[wasm_bindgen(method, setter, js_name = onopen)]
    fn set_on_open(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, setter, js_name = onclose)]
    fn set_on_close(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, setter, js_name = onmessage)]
    fn set_on_message(this: &Channel, listener: &JsValue);
    #[wasm_bindgen(method, catch)]
    fn send(this: &Channel, text: &str) -> Result<(), JsValue>;

    #[wasm_bindgen(thread_local_v2, js_name = window)]
    static WINDOW: JsValue;
}

/// A peer connection can be constructed: some browsers lack it, some pages take it away.
pub fn possible() -> bool {
    WINDOW.with(|window| get(window, "RTCPeerConnection").is_some_and(|peer| peer.is_function()))
}

/// Dropping it closes the connection; no message follows.
pub struct Peer {
    pub id: Id,
    connection: RTCPeerConnection,
    channel: Channel,
    /// One function for the channel's and the connection's events.
    _listener: Closure<dyn FnMut(JsValue)>,
}

impl Peer {
    pub fn open(id: Id, ice_servers: &[IceServer]) -> Option<Peer> {
        if !possible() {
            return None;
        }
        let connection = RTCPeerConnection::new(&config(ice_servers)).ok()?;
        let peer = Self::equip(id, &connection);
        if peer.is_none() {
            connection.close();
        }
        peer
    }

    fn equip(id: Id, connection: &RTCPeerConnection) -> Option<Peer> {
        let channel = connection.create_data_channel(DATA_CHANNEL_LABEL).ok()?;
        let init = Object::new();
        put(&init, "direction", &JsValue::from_str("sendrecv"));
        connection.add_transceiver("audio", &init).ok()?;
        let watched = connection.clone();
        let listener = Closure::new(move |event: JsValue| {
            if let Some(msg) = heard(id, &watched, &event)
                && !inbox::post(msg)
            {
                watched.close();
            }
        });
        channel.set_on_open(listener.as_ref());
        channel.set_on_close(listener.as_ref());
        channel.set_on_message(listener.as_ref());
        connection.set_on_state(listener.as_ref());
        let offering = connection.clone();
        wasm_bindgen_futures::spawn_local(async move {
            let msg = match offer(&offering).await {
                Some(sdp) => Msg::PeerOffered { id, sdp },
                None => closed(id, "no_offer"),
            };
            inbox::post(msg);
        });
        Some(Peer {
            id,
            connection: connection.clone(),
            channel,
            _listener: listener,
        })
    }

    pub fn answer(&self, sdp: &str) {
        let description = Object::new();
        put(&description, "type", &JsValue::from_str("answer"));
        put(&description, "sdp", &JsValue::from_str(sdp));
        let (id, connection) = (self.id, self.connection.clone());
        wasm_bindgen_futures::spawn_local(async move {
            let taken = match connection.set_remote(&description) {
                Ok(promise) => JsFuture::from(promise).await.is_ok(),
                Err(_) => false,
            };
            if !taken {
                inbox::post(closed(id, "bad_answer"));
            }
        });
    }

    pub fn send(&self, event: &ClientEvent) {
        if self.channel.send(&wire::write(event)).is_err() {
            inbox::enqueue(closed(self.id, "send_failed"));
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let none = JsValue::NULL;
        self.channel.set_on_open(&none);
        self.channel.set_on_close(&none);
        self.channel.set_on_message(&none);
        self.connection.set_on_state(&none);
        self.connection.close();
    }
}

pub fn closed(id: Id, reason: &'static str) -> Msg {
    Msg::PeerClosed { id, reason }
}

fn heard(id: Id, connection: &RTCPeerConnection, event: &JsValue) -> Option<Msg> {
    match get(event, "type")?.as_string()?.as_str() {
        "open" => Some(Msg::ChannelOpened { id }),
        "close" => Some(closed(id, "channel_closed")),
        "message" => {
            let object = wire::object(&get(event, "data")?.as_string()?)?;
            Some(Msg::ChannelFrame {
                id,
                event: Box::new(wire::event(&object)),
            })
        }
        // `disconnected` may heal by itself; the engine's ping decides.
        _ => (connection.state() == "failed").then(|| closed(id, "failed")),
    }
}

async fn offer(connection: &RTCPeerConnection) -> Option<String> {
    let offer = JsFuture::from(connection.create_offer().ok()?).await.ok()?;
    let sdp = get(&offer, "sdp")?.as_string()?;
    JsFuture::from(connection.set_local(&offer).ok()?)
        .await
        .ok()?;
    Some(sdp)
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
