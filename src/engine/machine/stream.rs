//! The receiving side over HTTPS: server-sent events from the cursor on.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use crate::engine::effect::{Effect, Failure, Id, Millis};
use crate::engine::event::EventName;
use crate::engine::json::Json;
use crate::engine::limits::STREAM_GOOD_MS;
use crate::engine::text::number;

/// The receiving side over HTTPS.
#[derive(Default, PartialEq)]
pub(super) enum Stream {
    #[default]
    Closed,
    Opening {
        id: Id,
        since: Millis,
        generation: u32,
        after: u64,
    },
    Live {
        id: Id,
        since: Millis,
        last_frame: Millis,
        generation: u32,
        after: u64,
    },
}

impl Panel {
    pub fn open_stream(&mut self, cx: &mut Cx<'_>) {
        let (Some(session), Some(token)) = (&self.link.session, self.link.token.usable()) else {
            return;
        };
        if self.link.stream != Stream::Closed || self.peer.is_synced() {
            return;
        }
        let after = self.log.cursor();
        let mut url = cx.url(&["/sessions/", session, "/events/stream?after="].concat());
        number::push(&mut url, after);
        let token = token.clone();
        let id = cx.id();
        self.link.stream = Stream::Opening {
            id,
            since: cx.now,
            generation: self.link.token.generation(),
            after,
        };
        cx.run(Effect::OpenStream { id, url, token });
    }

    pub fn stream_opened(&mut self, id: Id, cx: &mut Cx<'_>) {
        if let Stream::Opening {
            id: own,
            generation,
            after,
            ..
        } = self.link.stream
            && own == id
        {
            self.link.stream = Stream::Live {
                id,
                since: cx.now,
                last_frame: cx.now,
                generation,
                after,
            };
            self.link.token.accepted();
            cx.render();
        }
    }

    /// Whether a frame of this stream counts, and from where the stream was asked for.
    pub fn stream_frame_arrived(&mut self, id: Id, cx: &mut Cx<'_>) -> Option<u64> {
        self.stream_opened(id, cx);
        match &mut self.link.stream {
            Stream::Live {
                id: own,
                last_frame,
                after,
                ..
            } if *own == id => {
                *last_frame = cx.now;
                Some(*after)
            }
            _ => None,
        }
    }

    pub fn stream_closed(&mut self, id: Id, failure: Failure, cx: &mut Cx<'_>) {
        if self.link.stream_id() != Some(id) {
            return;
        }
        let generation = match std::mem::take(&mut self.link.stream) {
            Stream::Live {
                since, generation, ..
            } => {
                if cx.now.saturating_sub(since) >= STREAM_GOOD_MS {
                    self.link.backoff.succeed();
                }
                generation
            }
            Stream::Opening { generation, .. } => generation,
            Stream::Closed => 0,
        };
        cx.render();
        self.failed(Purpose::Stream, generation, failure, cx);
        self.drive(cx);
    }

    pub fn close_stream(&mut self, cx: &mut Cx<'_>) {
        if let Some(id) = self.link.stream_id() {
            self.link.stream = Stream::Closed;
            cx.run(Effect::CloseStream(id));
        }
    }

    /// Something is missing in what came: ask again from the cursor, calmly.
    pub fn resubscribe(&mut self, cx: &mut Cx<'_>) {
        self.close_stream(cx);
        self.hold(None, &Failure::default(), cx);
    }

    /// The `connection` event, when the state has changed.
    pub fn tell_connection(&mut self, cx: &mut Cx<'_>) {
        let state = self.connection(cx.core);
        self.link.was_connected |= matches!(state, "connected" | "realtime");
        if self.link.told != state {
            self.link.told = state;
            cx.emit(EventName::Connection, Json::default().text("state", state));
            cx.render();
        }
    }
}
