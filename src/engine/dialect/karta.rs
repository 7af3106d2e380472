//! `karta(command, ...args)` (seed 003, `contract.md` 3) → [`Command`]. Every argument is checked here; what a command then
//! does is the machine's business. A field that cannot be read is refused by itself, the rest of its object stands.
//! `Kataven.init(…)` and its sisters arrive as the same calls: the loader puts the method's name in front.

use super::Raw;
use crate::engine::command::{CallbackId, Command};
use crate::engine::config::field::is_known;
use crate::engine::config::{Layer, Source};
use crate::engine::error::{BAD_ARGUMENT, BAD_VALUE, Rejection, UNKNOWN_COMMAND, clip, refuse};
use crate::engine::event::EventName;
use crate::engine::text::number;
use karta_protocol::MESSAGE_MAX_BYTES;

/// Keys whose object is the page's own: all its own enumerable string keys are read, but those of [`FORBIDDEN`].
pub const FREE_FORM: [&str; 2] = ["attributes", "context"];

/// Never read, whatever the object.
pub const FORBIDDEN: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// A key of a page's object that anything here reads.
pub fn is_readable(key: &str) -> bool {
    matches!(key, "theme" | "reason") || is_known(key)
}

pub type Read = fn(&mut Call<'_>, &Raw, &Raw) -> Option<Command>;

/// Every command, and how its two arguments are read. Frozen by a test.
pub const COMMANDS: [(&str, Read); 17] = [
    ("init", |call, settings, _| {
        Some(Command::Init(call.settings(Source::Init, settings)?))
    }),
    ("identify", |call, who, _| {
        call.object("the argument", who)?;
        let mut layer = Layer::default();
        layer.identify(Source::Identify, who);
        call.rejected.append(&mut layer.rejected);
        let mut identity = layer.identity.unwrap_or_default();
        identity.attributes = call.free_form(who, "attributes");
        Some(Command::Identify(Box::new(identity)))
    }),
    ("open", |_, _, _| Some(Command::Open)),
    ("close", |_, _, _| Some(Command::Close)),
    ("toggle", |_, _, _| Some(Command::Toggle)),
    ("sendMessage", |call, text, _| {
        Some(Command::SendMessage(call.message(text)?))
    }),
    ("escalate", |call, why, _| {
        call.object("the argument", why)?;
        Some(Command::Escalate {
            reason: match why.entry("reason") {
                Raw::Undefined | Raw::Null => None,
                reason => call.text("reason", reason),
            },
            context: call.free_form(why, "context"),
        })
    }),
    ("on", |call, event, callback| {
        call.on(event, callback, false)
    }),
    ("off", |call, event, callback| {
        Some(Command::Off {
            event: call.event(event)?,
            callback: match callback {
                Raw::Undefined | Raw::Null => None,
                callback => Some(call.callback(callback)?),
            },
        })
    }),
    ("once", |call, event, callback| {
        call.on(event, callback, true)
    }),
    ("update", |call, settings, _| {
        Some(Command::Update(call.settings(Source::Update, settings)?))
    }),
    ("startVoice", |_, _, _| Some(Command::StartVoice)),
    ("endVoice", |_, _, _| Some(Command::EndVoice)),
    ("mute", |_, _, _| Some(Command::Mute(true))),
    ("unmute", |_, _, _| Some(Command::Mute(false))),
    ("shutdown", |_, _, _| Some(Command::Shutdown)),
    ("reset", |_, _, _| Some(Command::Reset)),
];

/// Reads one call. None: nothing of it could be taken, and `rejected` says why.
pub fn read(args: &[Raw], rejected: &mut Vec<Rejection>) -> Option<Command> {
    let arg = |at: usize| args.get(at).unwrap_or(&Raw::Undefined);
    let Raw::Text(name) = arg(0) else {
        let words = "karta(…): the first argument must be the name of a command, not ";
        refuse(rejected, BAD_ARGUMENT, &[words], &[arg(0).kind()]);
        return None;
    };
    let name = clip(name, 40);
    let mut call = Call { name, rejected };
    for (command, read) in COMMANDS {
        if command == name {
            return read(&mut call, arg(1), arg(2));
        }
    }
    let names = known(&mut COMMANDS.iter().map(|(name, _)| *name));
    call.refuse(UNKNOWN_COMMAND, &["no such command. Known:", &names]);
    None
}

/// ` one two three`
fn known(names: &mut dyn Iterator<Item = &'static str>) -> String {
    let mut words = String::new();
    for name in names {
        words.push(' ');
        words.push_str(name);
    }
    words
}

pub struct Call<'a> {
    pub(super) name: &'a str,
    pub(super) rejected: &'a mut Vec<Rejection>,
}

impl Call<'_> {
    fn refuse(&mut self, code: &'static str, words: &[&str]) {
        let place = ["karta(\"", self.name, "\"): "];
        refuse(self.rejected, code, &place, words);
    }

    pub(super) fn must(&mut self, code: &'static str, what: &str, expected: &str, found: &Raw) {
        self.refuse(code, &[what, " must be ", expected, ", not ", found.kind()]);
    }

    /// Absent counts as empty.
    fn object(&mut self, what: &str, raw: &Raw) -> Option<()> {
        if let Raw::Object(_) | Raw::Undefined | Raw::Null = raw {
            return Some(());
        }
        self.must(BAD_ARGUMENT, what, "an object", raw);
        None
    }

    pub(super) fn text(&mut self, what: &str, raw: &Raw) -> Option<String> {
        if let Raw::Text(text) = raw {
            return Some(text.clone());
        }
        self.must(BAD_ARGUMENT, what, "a string", raw);
        None
    }

    fn settings(&mut self, source: Source, raw: &Raw) -> Option<Box<Layer>> {
        self.object("the argument", raw)?;
        let _ = self.object("theme", raw.entry("theme"));
        Some(Box::new(Layer::read(source, raw)))
    }

    fn message(&mut self, raw: &Raw) -> Option<String> {
        let text = self.text("the text", raw)?;
        let fault = if text.trim().is_empty() {
            "the text is empty"
        } else if text.len() > MESSAGE_MAX_BYTES {
            "the text is longer than 16384 bytes"
        } else {
            return Some(text);
        };
        self.refuse(BAD_ARGUMENT, &[fault]);
        None
    }

    fn event(&mut self, raw: &Raw) -> Option<EventName> {
        let name = self.text("the event", raw)?;
        let event = EventName::parse(&name);
        if event.is_none() {
            let names = known(&mut EventName::ALL.iter().map(|(_, name)| *name));
            let name = clip(&name, 40);
            self.refuse(
                BAD_ARGUMENT,
                &["no event is called \"", name, "\". Known:", &names],
            );
        }
        event
    }

    fn callback(&mut self, raw: &Raw) -> Option<CallbackId> {
        if let Raw::Function(id) = raw {
            return Some(*id);
        }
        self.must(BAD_ARGUMENT, "the callback", "a function", raw);
        None
    }

    fn on(&mut self, event: &Raw, callback: &Raw, once: bool) -> Option<Command> {
        Some(Command::On {
            event: self.event(event)?,
            callback: self.callback(callback)?,
            once,
        })
    }

    /// Strings, numbers and booleans under any key.
    fn free_form(&mut self, object: &Raw, key: &str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        let entries = object.entry(key);
        let Raw::Object(entries) = entries else {
            let _ = self.object(key, entries);
            return texts;
        };
        for (name, value) in entries {
            let text = match value {
                Raw::Undefined | Raw::Null => continue,
                Raw::Text(text) => Some(text.clone()),
                Raw::Bool(truth) => Some(String::from(if *truth { "true" } else { "false" })),
                Raw::Number(value) => number::decimal(*value),
                Raw::List(_) | Raw::Object(_) | Raw::Function(_) | Raw::Unreadable(_) => None,
            };
            match text {
                Some(_) if FORBIDDEN.contains(&name.as_str()) => {}
                Some(text) => texts.push((name.clone(), text)),
                None => self.must(BAD_VALUE, name, "a string, a number or a boolean", value),
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests;
