//! A call that a realtime engine answers, over a connection of its own: the engine's frames → the one vocabulary that the rest of the widget
//! knows (events of the session, what was finally said), and the widget's orders → the engine's frames. Pure; one file for each engine.
//!
//! What is streamed here is for the screen. What counts is the log: each line is reported to it once it is complete ([`Out::Said`]).

pub mod openai;
pub mod rtvi;

use super::effect::Millis;
use super::error::clip;
use super::json::Json;
use super::limits::REPORT_BYTES;
use super::text::number;
use karta_protocol::{EventType, SessionEvent, client};

/// Two panels are built (Cargo.toml), and only one of them has engines: where this is false the compiler leaves out all that follows from a
/// connection that is never there, the adapters included.
pub const BUILT: bool = cfg!(feature = "realtime");

/// What only the panel with engines holds: in the other there is nothing, and the compiler knows it.
pub struct Only<T> {
    #[cfg(feature = "realtime")]
    held: Option<Box<T>>,
    #[cfg(not(feature = "realtime"))]
    held: std::marker::PhantomData<T>,
}

impl<T> Default for Only<T> {
    fn default() -> Only<T> {
        Only {
            held: Default::default(),
        }
    }
}

#[cfg(feature = "realtime")]
impl<T: Default> Only<T> {
    pub fn get_or_make(&mut self) -> Option<&mut T> {
        Some(self.held.get_or_insert_default())
    }
}

#[cfg(feature = "realtime")]
impl<T> Only<T> {
    pub fn get(&self) -> Option<&T> {
        self.held.as_deref()
    }

    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.held.as_deref_mut()
    }

    pub fn take(&mut self) -> Option<Box<T>> {
        self.held.take()
    }

    pub fn put(&mut self, held: Box<T>) {
        self.held = Some(held);
    }
}

#[cfg(not(feature = "realtime"))]
impl<T> Only<T> {
    pub fn get_or_make(&mut self) -> Option<&mut T> {
        None
    }

    pub fn get(&self) -> Option<&T> {
        None
    }

    pub fn get_mut(&mut self) -> Option<&mut T> {
        None
    }

    pub fn take(&mut self) -> Option<Box<T>> {
        None
    }

    pub fn put(&mut self, _: Box<T>) {}
}

/// A frame of an engine's: an object that came as JSON. A path is names with dots between them.
pub trait Tree {
    /// Empty: not there, or no text.
    fn text(&self, path: &str) -> String;
    fn truth(&self, path: &str) -> bool;
    /// 0: not there, or no number of milliseconds.
    fn number(&self, path: &str) -> u64;
}

fn is(frame: &dyn Tree, path: &str, word: &str) -> bool {
    frame.text(path) == word
}

/// Names of messages are told apart by their hash (FNV-1a): thirty of them as text were half a kilobyte of the bundle. One that is not known and has the
/// hash of one that is would be taken for it; what it holds is then missing, which every message may be.
const fn hash(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

macro_rules! kinds {
    ($($name:ident = $text:literal,)+) => { $(const $name: u32 = hash($text);)+ };
}
use kinds;

/// What the widget wants of the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order<'a> {
    /// The channel is open.
    Begin,
    /// The visitor has typed this. Answered aloud, and the agent stops what it says.
    Type(&'a str),
    Mute(bool),
    /// The visitor does not want to hear the rest.
    Interrupt,
    /// A second has gone by.
    Tick,
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Out {
    /// Streaming, as the server's own voice would say it.
    Event(Box<SessionEvent>),
    /// A line that is complete, for the log.
    Said(Said),
    /// For the engine.
    Send(Json),
    /// The same, where nothing in it changes.
    SendText(&'static str),
}

/// `call.said`: what was finally said.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub id: String,
    role: &'static str,
    text: String,
    interrupted: bool,
}

impl Said {
    pub fn nobody(id: String) -> Said {
        Said {
            id,
            role: "",
            text: String::new(),
            interrupted: false,
        }
    }

    pub fn is_nobodys(&self) -> bool {
        self.role.is_empty()
    }

    pub fn event(&self) -> Json {
        Json::default()
            .text("type", client::CALL_SAID)
            .text("id", &self.id)
            .text("role", self.role)
            .text("text", &self.text)
            .truth("interrupted", self.interrupted)
    }
}

/// One engine's way of speaking.
pub struct Engine {
    /// As `features.realtime` has it.
    name: &'static str,
    /// Label of its data channel.
    pub channel: &'static str,
    frame: fn(&mut Talk, &str, &dyn Tree),
    order: fn(&mut Talk, Order<'_>),
}

static ENGINES: [Engine; 2] = [rtvi::ENGINE, openai::ENGINE];

/// None: one that this widget does not know.
pub fn engine(name: &str) -> Option<&'static Engine> {
    ENGINES.iter().find(|engine| engine.name == name)
}

/// A call with one of them.
pub struct Adapter {
    engine: &'static Engine,
    talk: Talk,
}

impl Adapter {
    /// `name` begins the ids of what is said: no other call of the session has it.
    pub fn new(engine: &'static Engine, name: String) -> Adapter {
        let talk = Talk {
            name,
            ..Talk::default()
        };
        Adapter { engine, talk }
    }

    pub fn frame(&mut self, frame: &dyn Tree, now: Millis) -> Vec<Out> {
        self.talk.now = now;
        (self.engine.frame)(&mut self.talk, &frame.text("type"), frame);
        std::mem::take(&mut self.talk.out)
    }

    pub fn order(&mut self, order: Order<'_>, now: Millis) -> Vec<Out> {
        self.talk.now = now;
        (self.engine.order)(&mut self.talk, order);
        std::mem::take(&mut self.talk.out)
    }
}

const LISTENING: &str = "listening";
const THINKING: &str = "thinking";
const SPEAKING: &str = "speaking";

/// The two lines that are being spoken, and the state of the talk: the same for every engine.
#[derive(Default)]
struct Talk {
    name: String,
    count: u32,
    state: &'static str,
    since: Millis,
    /// Id of the visitor's line, and its words by now.
    user: String,
    words: String,
    /// When the visitor was last heard.
    spoken_ms: Millis,
    /// Id of the agent's line, the line, and how many bytes of it were spoken.
    agent: String,
    text: String,
    heard: usize,
    /// The model writes.
    writes: bool,
    /// Where what is being spoken begins, and which item of the engine's that is; which one the visitor's words are.
    segment: usize,
    item: String,
    heard_item: String,
    /// The line was cut, and it is not known yet where.
    cut: bool,
    /// Milliseconds that a byte of this voice takes. 0: not known yet.
    pace: u64,
    response: Response,
    /// Another is to follow.
    again: bool,
    /// The engine uses the newer names of its messages.
    input: bool,
    output: bool,
    now: Millis,
    out: Vec<Out>,
}

/// What the engine writes, where it has to be asked for it.
#[derive(Clone, Copy, Default, PartialEq)]
enum Response {
    #[default]
    None,
    Asked,
    /// Asked for, and stopped before it began.
    Unwanted,
    Runs,
    Cancelled,
}

impl Talk {
    fn speaks(&self) -> bool {
        self.state == SPEAKING
    }

    fn is_heard(&self) -> bool {
        self.heard >= self.text.len()
    }

    fn hear_all(&mut self) {
        self.heard = self.text.len();
    }

    fn go(&mut self, state: &'static str) {
        if self.state != state {
            self.state = state;
            self.since = self.now;
            self.tell(EventType::VoiceState, None, state, 0, None);
        }
    }

    fn think(&mut self) {
        if !self.speaks() {
            self.go(THINKING);
        }
    }

    /// The engine is gone, or will not go on.
    fn over(&mut self, code: &str) {
        self.finish();
        let code = Some(String::from(code));
        self.tell(EventType::VoiceState, None, "ended", 0, code);
    }

    /// What the visitor says, as far as it is recognised.
    fn hears(&mut self, text: &str) {
        if self.user.is_empty() {
            self.user = self.next();
        }
        let id = Some(self.user.clone());
        self.tell(EventType::UserTranscript, id, text, 0, None);
    }

    /// All of it, unless it was nothing.
    fn heard_all(&mut self, text: &str) {
        let mut id = std::mem::take(&mut self.user);
        self.words.clear();
        if !text.is_empty() {
            if id.is_empty() {
                id = self.next();
            }
            self.said(id, "user", text, false);
        }
    }

    /// The agent's line goes on.
    fn writes(&mut self, text: &str) {
        let at = self.text.len();
        if text.is_empty() || at + text.len() > REPORT_BYTES {
            return;
        }
        if at == 0 {
            self.agent = self.next();
        }
        let id = Some(self.agent.clone());
        self.tell(EventType::AgentMessage, id, text, at, None);
        self.text.push_str(text);
    }

    /// The agent's line ends: all of it counts, or, where the visitor spoke over it, what was heard.
    fn close(&mut self, cut: bool) {
        let text = std::mem::take(&mut self.text);
        let heard = std::mem::take(&mut self.heard);
        if text.is_empty() {
            return;
        }
        let kept = if cut { clip(&text, heard) } else { &text };
        if cut {
            self.tell_cut(kept.len());
        }
        let id = std::mem::take(&mut self.agent);
        self.said(id, "agent", kept, cut);
    }

    /// The agent is silent from here on, though its line is not closed yet.
    fn show_cut(&mut self) {
        self.tell_cut(self.heard);
    }

    fn tell_cut(&mut self, heard: usize) {
        let id = Some(self.agent.clone());
        self.tell(EventType::VoiceCut, id, "", heard, None);
    }

    /// The call ends: what was heard is kept.
    fn finish(&mut self) {
        self.cut = false;
        self.close(!self.is_heard());
    }

    fn said(&mut self, id: String, role: &'static str, text: &str, interrupted: bool) {
        let text = clip(text.trim_ascii(), REPORT_BYTES);
        if !text.is_empty() {
            self.out.push(Out::Said(Said {
                id,
                role,
                text: String::from(text),
                interrupted,
            }));
        }
    }

    /// `text` is the state, or what is new of a line; `at` where, or how much was heard.
    #[inline(never)]
    fn tell(
        &mut self,
        kind: EventType,
        id: Option<String>,
        text: &str,
        at: usize,
        code: Option<String>,
    ) {
        let (text, at) = (Some(String::from(text)), Some(at as u64));
        self.out.push(Out::Event(Box::new(SessionEvent {
            kind,
            part_id: id.clone(),
            id,
            offset: at,
            heard: at,
            state: text.clone(),
            text,
            code,
            delta: true,
            ..SessionEvent::default()
        })));
    }

    #[inline(never)]
    fn send(&mut self, text: &'static str) {
        self.out.push(Out::SendText(text));
    }

    fn next(&mut self) -> String {
        self.count += 1;
        let mut id = self.name.clone();
        number::push(&mut id, u64::from(self.count));
        id
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
