//! `karta(command, ...args)` (seed 003, `contract.md` 3) → [`Command`]. Every argument is checked here; what a command then
//! does is the machine's business. A field that cannot be read is refused by itself, the rest of its object stands.

use super::Raw;
use crate::engine::command::{CallbackId, Command, Identity, Secret};
use crate::engine::config::{Layer, ThemeLayer};
use crate::engine::error::{BAD_ARGUMENT, BAD_VALUE, Report, UNKNOWN_COMMAND, clip};
use crate::engine::event::EventName;
use crate::engine::text::number;
use karta_protocol::MESSAGE_MAX_BYTES;

/// The only keys that the browser layer reads of a page's object.
pub const READABLE: [&str; 22] = [
    "baseUrl",
    "projectRef",
    "agentRef",
    "embedKey",
    "locale",
    "theme",
    "accent",
    "accentForeground",
    "agentName",
    "agentAvatar",
    "greeting",
    "suggestedPrompts",
    "footer",
    "position",
    "mode",
    "launcherLabel",
    "userId",
    "identityToken",
    "userToken",
    "attributes",
    "reason",
    "context",
];

/// Keys whose object is the page's own: all its own enumerable string keys are read, but those of [`FORBIDDEN`].
pub const FREE_FORM: [&str; 2] = ["attributes", "context"];

/// Never read, whatever the object.
pub const FORBIDDEN: [&str; 3] = ["__proto__", "constructor", "prototype"];

/// Every command. Frozen by a test.
pub const COMMANDS: [&str; 13] = [
    "init",
    "identify",
    "open",
    "close",
    "toggle",
    "sendMessage",
    "escalate",
    "on",
    "off",
    "once",
    "update",
    "shutdown",
    "reset",
];

/// Reads one call. None: nothing of it could be taken, and `report` says why.
pub fn read<R: Report>(args: &[Raw], report: &mut R) -> Option<Command> {
    let name = match args.first() {
        Some(Raw::Text(name)) => name.as_str(),
        other => {
            let kind = other.unwrap_or(&Raw::Undefined).kind();
            let pieces = [
                "karta(…): the first argument must be the name of a command, not ",
                kind,
            ];
            report.refuse(BAD_ARGUMENT, &pieces);
            return None;
        }
    };
    let first = args.get(1).unwrap_or(&Raw::Undefined);
    let second = args.get(2).unwrap_or(&Raw::Undefined);
    match name {
        "init" => Some(Command::Init(Box::new(layer(name, first, report)?))),
        "update" => Some(Command::Update(Box::new(update(first, report)?))),
        "identify" => Some(Command::Identify(Box::new(identity(first, report)?))),
        "open" => Some(Command::Open),
        "close" => Some(Command::Close),
        "toggle" => Some(Command::Toggle),
        "sendMessage" => message(first, report),
        "escalate" => escalate(first, report),
        "on" => on(name, first, second, false, report),
        "once" => on(name, first, second, true, report),
        "off" => off(first, second, report),
        "shutdown" => Some(Command::Shutdown),
        "reset" => Some(Command::Reset),
        unknown => {
            let known = COMMANDS.join(", ");
            let unknown = clip(unknown, 40);
            report.refuse(
                UNKNOWN_COMMAND,
                &["karta(\"", unknown, "\"): no such command. Known: ", &known],
            );
            None
        }
    }
}

/// The object of `init`. Also called by the launcher bundle, which needs the look before the engine is there.
pub fn layer<R: Report>(command: &str, raw: &Raw, report: &mut R) -> Option<Layer> {
    let object = Object::read(command, raw, report)?;
    let identity = Identity {
        user_id: object.text("userId", report),
        identity_token: object.text("identityToken", report).map(Secret),
        user_token: object.text("userToken", report).map(Secret),
        attributes: Vec::new(),
    };
    let theme = match object.get("theme") {
        Some(raw) => Object::read_at(command, "theme", raw, report)
            .map(|object| theme(&object, report))
            .unwrap_or_default(),
        None => ThemeLayer::default(),
    };
    Some(Layer {
        embed_key: object.text("embedKey", report),
        base_url: object.text("baseUrl", report),
        project_ref: object.text("projectRef", report),
        agent_ref: object.text("agentRef", report),
        locale: object.text("locale", report),
        theme,
        identity: (identity != Identity::default()).then_some(identity),
    })
}

fn theme<R: Report>(object: &Object<'_>, report: &mut R) -> ThemeLayer {
    ThemeLayer {
        accent: object.text("accent", report),
        accent_foreground: object.text("accentForeground", report),
        agent_name: object.text("agentName", report),
        agent_avatar: object.text("agentAvatar", report),
        greeting: object.text("greeting", report),
        suggested_prompts: object.texts("suggestedPrompts", report),
        footer: object.text("footer", report),
        position: object.text("position", report),
        mode: object.text("mode", report),
        launcher_label: object.text("launcherLabel", report),
        logo_url: None,
        privacy_notice: None,
    }
}

/// Theme and locale only: the rest cannot change under a running session.
fn update<R: Report>(raw: &Raw, report: &mut R) -> Option<Layer> {
    let all = layer("update", raw, report)?;
    let fixed = [
        (all.embed_key.is_some(), "embedKey"),
        (all.base_url.is_some(), "baseUrl"),
        (all.project_ref.is_some(), "projectRef"),
        (all.agent_ref.is_some(), "agentRef"),
        (all.identity.is_some(), "userId"),
    ];
    for (given, key) in fixed {
        if given {
            let pieces = [
                "karta(\"update\"): ",
                key,
                " cannot change; only theme and locale can",
            ];
            report.refuse(BAD_VALUE, &pieces);
        }
    }
    Some(Layer {
        locale: all.locale,
        theme: all.theme,
        ..Layer::default()
    })
}

fn identity<R: Report>(raw: &Raw, report: &mut R) -> Option<Identity> {
    let object = Object::read("identify", raw, report)?;
    Some(Identity {
        user_id: object.text("userId", report),
        identity_token: object.text("identityToken", report).map(Secret),
        user_token: object.text("userToken", report).map(Secret),
        attributes: object.free_form("attributes", report),
    })
}

fn message<R: Report>(raw: &Raw, report: &mut R) -> Option<Command> {
    let text = match raw {
        Raw::Text(text) => text,
        other => {
            let pieces = [
                "karta(\"sendMessage\"): the text must be a string, not ",
                other.kind(),
            ];
            report.refuse(BAD_ARGUMENT, &pieces);
            return None;
        }
    };
    if text.trim().is_empty() {
        report.refuse(BAD_ARGUMENT, &["karta(\"sendMessage\"): the text is empty"]);
        return None;
    }
    if text.len() > MESSAGE_MAX_BYTES {
        report.refuse(
            BAD_ARGUMENT,
            &["karta(\"sendMessage\"): the text is longer than 16384 bytes"],
        );
        return None;
    }
    Some(Command::SendMessage(text.clone()))
}

fn escalate<R: Report>(raw: &Raw, report: &mut R) -> Option<Command> {
    if matches!(raw, Raw::Undefined | Raw::Null) {
        return Some(Command::Escalate {
            reason: None,
            context: Vec::new(),
        });
    }
    let object = Object::read("escalate", raw, report)?;
    Some(Command::Escalate {
        reason: object.text("reason", report),
        context: object.free_form("context", report),
    })
}

fn event<R: Report>(command: &str, raw: &Raw, report: &mut R) -> Option<EventName> {
    let name = match raw {
        Raw::Text(name) => name,
        other => {
            let pieces = [
                "karta(\"",
                command,
                "\"): the event must be a string, not ",
                other.kind(),
            ];
            report.refuse(BAD_ARGUMENT, &pieces);
            return None;
        }
    };
    let event = EventName::parse(name);
    if event.is_none() {
        let mut known = String::new();
        for (_, name) in EventName::ALL {
            known.push(' ');
            known.push_str(name);
        }
        let name = clip(name, 40);
        let pieces = [
            "karta(\"",
            command,
            "\"): no event is called \"",
            name,
            "\". Known:",
            &known,
        ];
        report.refuse(BAD_ARGUMENT, &pieces);
    }
    event
}

fn callback<R: Report>(command: &str, raw: &Raw, report: &mut R) -> Option<CallbackId> {
    if let Raw::Function(id) = raw {
        return Some(*id);
    }
    let pieces = [
        "karta(\"",
        command,
        "\"): the callback must be a function, not ",
        raw.kind(),
    ];
    report.refuse(BAD_ARGUMENT, &pieces);
    None
}

fn on<R: Report>(
    command: &str,
    name: &Raw,
    function: &Raw,
    once: bool,
    report: &mut R,
) -> Option<Command> {
    Some(Command::On {
        event: event(command, name, report)?,
        callback: callback(command, function, report)?,
        once,
    })
}

fn off<R: Report>(name: &Raw, function: &Raw, report: &mut R) -> Option<Command> {
    let event = event("off", name, report)?;
    let callback = match function {
        Raw::Undefined | Raw::Null => None,
        given => Some(callback("off", given, report)?),
    };
    Some(Command::Off { event, callback })
}

/// A page's object with the path that warnings name.
struct Object<'a> {
    command: &'a str,
    path: &'static str,
    entries: &'a [(String, Raw)],
}

impl<'a> Object<'a> {
    /// The argument of a command. Absent counts as empty.
    fn read<R: Report>(command: &'a str, raw: &'a Raw, report: &mut R) -> Option<Self> {
        Self::read_at(command, "", raw, report)
    }

    fn read_at<R: Report>(
        command: &'a str,
        path: &'static str,
        raw: &'a Raw,
        report: &mut R,
    ) -> Option<Self> {
        let entries: &[(String, Raw)] = match raw {
            Raw::Object(entries) => entries,
            Raw::Undefined | Raw::Null => &[],
            other => {
                let what = if path.is_empty() {
                    "the argument"
                } else {
                    path
                };
                let pieces = [
                    "karta(\"",
                    command,
                    "\"): ",
                    what,
                    " must be an object, not ",
                    other.kind(),
                ];
                report.refuse(BAD_ARGUMENT, &pieces);
                return None;
            }
        };
        Some(Object {
            command,
            path,
            entries,
        })
    }

    fn get(&self, key: &str) -> Option<&'a Raw> {
        self.entries
            .iter()
            .find(|(have, _)| have == key)
            .map(|(_, value)| value)
            .filter(|value| !matches!(value, Raw::Undefined | Raw::Null))
    }

    fn refuse<R: Report>(&self, key: &str, expected: &str, found: &Raw, report: &mut R) {
        let dot = if self.path.is_empty() { "" } else { "." };
        let pieces = [
            "karta(\"",
            self.command,
            "\"): ",
            self.path,
            dot,
            key,
            " must be ",
            expected,
            ", not ",
            found.kind(),
        ];
        report.refuse(BAD_VALUE, &pieces);
    }

    fn text<R: Report>(&self, key: &'static str, report: &mut R) -> Option<String> {
        match self.get(key)? {
            Raw::Text(text) => Some(text.clone()),
            other => {
                self.refuse(key, "a string", other, report);
                None
            }
        }
    }

    fn texts<R: Report>(&self, key: &'static str, report: &mut R) -> Option<Vec<String>> {
        let list = match self.get(key)? {
            Raw::List(list) => list,
            other => {
                self.refuse(key, "an array of strings", other, report);
                return None;
            }
        };
        let mut texts = Vec::new();
        for entry in list {
            match entry {
                Raw::Text(text) => texts.push(text.clone()),
                other => self.refuse(key, "an array of strings", other, report),
            }
        }
        Some(texts)
    }

    /// Strings, numbers and booleans under any key.
    fn free_form<R: Report>(&self, key: &'static str, report: &mut R) -> Vec<(String, String)> {
        let entries = match self.get(key) {
            Some(Raw::Object(entries)) => entries,
            Some(other) => {
                self.refuse(key, "an object", other, report);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut texts = Vec::new();
        for (name, value) in entries {
            let text = match value {
                Raw::Text(text) => Some(text.clone()),
                Raw::Bool(true) => Some(String::from("true")),
                Raw::Bool(false) => Some(String::from("false")),
                Raw::Number(value) => number::decimal(*value),
                Raw::Undefined | Raw::Null => continue,
                Raw::List(_) | Raw::Object(_) | Raw::Function(_) | Raw::Unreadable(_) => None,
            };
            match text {
                Some(text) if !FORBIDDEN.contains(&name.as_str()) => {
                    texts.push((name.clone(), text))
                }
                Some(_) => {}
                None => self.refuse(name, "a string, a number or a boolean", value, report),
            }
        }
        texts
    }
}

#[cfg(test)]
mod tests;
