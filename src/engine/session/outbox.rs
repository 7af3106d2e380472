//! Messages that the server has not acknowledged. Order is kept: over HTTPS one at a time, over the data channel (ordered by
//! itself) any number. Sending again is harmless, because the server knows the client id.

use crate::engine::effect::{Id, Millis};
use crate::engine::json::Json;
use karta_protocol::client;

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub client_id: String,
    pub text: String,
    pub way: Way,
    /// Answers of 5xx so far: a message that breaks the server must not hold up the others for ever.
    pub strikes: u32,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    Waiting,
    Posted(Id),
    /// On a data channel since then.
    Framed(Millis),
}

#[derive(Clone, Debug, Default)]
pub struct Outbox {
    messages: Vec<Message>,
}

impl Outbox {
    pub fn push(&mut self, client_id: String, text: String) {
        self.messages.push(Message {
            client_id,
            text,
            way: Way::Waiting,
            strikes: 0,
        });
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub fn has(&self, client_id: &str) -> bool {
        self.messages
            .iter()
            .any(|message| message.client_id == client_id)
    }

    /// The message that may go by HTTPS now: the first, if nothing is under way.
    pub fn next_post(&mut self) -> Option<&mut Message> {
        self.messages
            .first_mut()
            .filter(|message| message.way == Way::Waiting)
    }

    /// The message that may go by the open data channel now: the first waiting one, unless a POST before it is under way.
    pub fn next_frame(&mut self) -> Option<&mut Message> {
        self.messages
            .iter_mut()
            .find(|message| !matches!(message.way, Way::Framed(_)))
            .filter(|message| message.way == Way::Waiting)
    }

    pub fn find(&mut self, client_id: &str) -> Option<&mut Message> {
        self.messages
            .iter_mut()
            .find(|message| message.client_id == client_id)
    }

    /// Acknowledged, or given up. True: it was here.
    pub fn remove(&mut self, client_id: &str) -> bool {
        let before = self.messages.len();
        self.messages
            .retain(|message| message.client_id != client_id);
        self.messages.len() < before
    }

    /// The request that carried a message is over without an acknowledgement.
    pub fn post_ended(&mut self, id: Id) -> Option<&mut Message> {
        let message = self
            .messages
            .iter_mut()
            .find(|message| message.way == Way::Posted(id))?;
        message.way = Way::Waiting;
        Some(message)
    }

    /// The data channel is gone: what it carried and was not acknowledged waits again.
    pub fn channel_ended(&mut self) {
        for message in &mut self.messages {
            if matches!(message.way, Way::Framed(_)) {
                message.way = Way::Waiting;
            }
        }
    }

    /// Every way is gone (page restored, session lost).
    pub fn all_wait(&mut self) {
        for message in &mut self.messages {
            message.way = Way::Waiting;
        }
    }

    /// A frame has been without its echo since before `deadline`.
    pub fn framed_before(&self, deadline: Millis) -> bool {
        self.messages
            .iter()
            .any(|message| matches!(message.way, Way::Framed(since) if since <= deadline))
    }

    pub fn any_framed(&self) -> bool {
        self.messages
            .iter()
            .any(|message| matches!(message.way, Way::Framed(_)))
    }
}

impl Message {
    pub fn event(&self) -> Json {
        Json::default()
            .text("type", client::MESSAGE)
            .text("id", &self.client_id)
            .text("text", &self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Outbox {
        let mut outbox = Outbox::default();
        outbox.push("a".into(), "first".into());
        outbox.push("b".into(), "second".into());
        outbox
    }

    #[test]
    fn one_post_at_a_time_in_order() {
        let mut outbox = two();
        outbox.next_post().expect("a waits").way = Way::Posted(Id(1));
        assert_eq!(outbox.next_post(), None);
        outbox.remove("a");
        assert_eq!(outbox.next_post().expect("b waits").client_id, "b");
    }

    #[test]
    fn channel_waits_for_a_post_under_way_and_then_takes_all() {
        let mut outbox = two();
        outbox.next_post().expect("a waits").way = Way::Posted(Id(1));
        assert_eq!(outbox.next_frame(), None);
        outbox.post_ended(Id(1));
        outbox.next_frame().expect("a waits").way = Way::Framed(0);
        assert_eq!(outbox.next_frame().expect("b waits").client_id, "b");
    }

    #[test]
    fn what_a_dead_channel_carried_is_sent_again() {
        let mut outbox = two();
        outbox.next_frame().expect("a waits").way = Way::Framed(5);
        assert!(outbox.framed_before(5) && !outbox.framed_before(4));
        assert_eq!(outbox.next_post(), None);
        outbox.channel_ended();
        assert_eq!(outbox.next_post().expect("a waits").client_id, "a");
    }
}
