use super::*;
use crate::engine::command::Secret;
use crate::engine::config::Field;

fn text(text: &str) -> Raw {
    Raw::Text(text.into())
}

fn object(entries: &[(&str, Raw)]) -> Raw {
    Raw::Object(
        entries
            .iter()
            .map(|(key, value)| (String::from(*key), value.clone()))
            .collect(),
    )
}

fn call(args: &[Raw]) -> (Option<Command>, Vec<Rejection>) {
    let mut rejections = Vec::new();
    (read(args, &mut rejections), rejections)
}

/// The command is taken as a whole and nothing is refused.
fn taken(args: &[Raw]) -> Command {
    let (command, rejections) = call(args);
    assert_eq!(rejections, Vec::new());
    command.expect("the call is well formed")
}

/// Nothing is taken; the one warning contains `words`.
fn refused(args: &[Raw], code: &str, words: &str) {
    let (command, rejections) = call(args);
    assert_eq!(command, None);
    assert_eq!(rejections.len(), 1, "{rejections:?}");
    assert_eq!(rejections[0].code, code);
    assert!(
        rejections[0].message.contains(words),
        "{:?} lacks {words:?}",
        rejections[0].message
    );
}

#[test]
fn commands_without_arguments() {
    for (name, command) in [
        ("open", Command::Open),
        ("close", Command::Close),
        ("toggle", Command::Toggle),
        ("startVoice", Command::StartVoice),
        ("endVoice", Command::EndVoice),
        ("mute", Command::Mute(true)),
        ("unmute", Command::Mute(false)),
        ("shutdown", Command::Shutdown),
        ("reset", Command::Reset),
    ] {
        assert_eq!(taken(&[text(name)]), command);
        assert_eq!(
            taken(&[text(name), Raw::Number(1.0)]),
            command,
            "extra arguments are ignored"
        );
    }
}

#[test]
fn every_command_is_read() {
    for (name, _) in COMMANDS {
        let (_, rejections) = call(&[text(name)]);
        assert!(
            rejections.iter().all(|r| r.code != UNKNOWN_COMMAND),
            "{name} is not read"
        );
    }
}

#[test]
fn unknown_commands_are_named() {
    refused(&[text("opne")], UNKNOWN_COMMAND, "karta(\"opne\")");
    refused(&[text("")], UNKNOWN_COMMAND, "Known: init identify");
    refused(&[text("Open")], UNKNOWN_COMMAND, "no such command");
    let long = "x".repeat(10_000);
    let (_, rejections) = call(&[text(&long)]);
    assert!(rejections[0].message.len() < 300);
}

#[test]
fn first_argument_must_be_a_string() {
    refused(&[], BAD_ARGUMENT, "not undefined");
    refused(&[Raw::Number(1.0)], BAD_ARGUMENT, "not a number");
    refused(&[object(&[])], BAD_ARGUMENT, "not an object");
    refused(&[Raw::Unreadable("a symbol")], BAD_ARGUMENT, "not a symbol");
}

#[test]
fn init_of_seed_003_is_read() {
    let theme = object(&[("accent", text("#d4ff4f")), ("agentName", text("Beans"))]);
    let init = object(&[
        ("baseUrl", text("https://agent.karta.sh")),
        ("projectRef", text("coffeeco/support-bot")),
        ("embedKey", text("pk_live_xxx")),
        ("theme", theme),
    ]);
    let Command::Init(layer) = taken(&[text("init"), init]) else {
        panic!("init is read")
    };
    assert_eq!(layer.rejected, []);
    for (field, value) in [
        (Field::EmbedKey, "pk_live_xxx"),
        (Field::BaseUrl, "https://agent.karta.sh"),
        (Field::ProjectRef, "coffeeco/support-bot"),
        (Field::Accent, "#d4ff4f"),
        (Field::AgentName, "Beans"),
    ] {
        assert_eq!(layer.get(field), Some(value));
    }
    assert_eq!(taken(&[text("init")]), Command::Init(Box::default()));
}

#[test]
fn bad_field_of_init_is_refused_alone() {
    let init = object(&[
        ("embedKey", text("pk_1")),
        ("baseUrl", Raw::Number(5.0)),
        ("theme", text("dark")),
    ]);
    let (command, rejections) = call(&[text("init"), init]);
    let Some(Command::Init(layer)) = command else {
        panic!("the rest of init stands")
    };
    assert_eq!(layer.get(Field::EmbedKey), Some("pk_1"));
    let rejections = rejections.iter().chain(&layer.rejected);
    let messages: Vec<&str> = rejections.map(|r| r.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "karta(\"init\"): theme must be an object, not a string",
            "karta(\"init\"): baseUrl must be a string, not a number",
        ]
    );
}

#[test]
fn init_takes_only_an_object() {
    refused(
        &[text("init"), text("pk_1")],
        BAD_ARGUMENT,
        "must be an object, not a string",
    );
    refused(
        &[text("init"), Raw::List(vec![])],
        BAD_ARGUMENT,
        "not an array",
    );
    refused(
        &[text("identify"), Raw::Bool(true)],
        BAD_ARGUMENT,
        "karta(\"identify\")",
    );
}

#[test]
fn identify_reads_proof_and_advisory_attributes() {
    let attributes = object(&[
        ("plan", text("pro")),
        ("seats", Raw::Number(3.0)),
        ("ratio", Raw::Number(-0.25)),
        ("trial", Raw::Bool(false)),
        ("none", Raw::Null),
        ("__proto__", text("x")),
    ]);
    let command = taken(&[
        text("identify"),
        object(&[
            ("userId", text("u_123")),
            ("identityToken", text("t")),
            ("attributes", attributes),
        ]),
    ]);
    let Command::Identify(identity) = command else {
        panic!("identify is read")
    };
    assert_eq!(identity.user_id.as_deref(), Some("u_123"));
    assert_eq!(identity.identity_token, Some(Secret("t".into())));
    let pairs: Vec<(&str, &str)> = identity
        .attributes
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("plan", "pro"),
            ("seats", "3"),
            ("ratio", "-0.25"),
            ("trial", "false")
        ]
    );
}

#[test]
fn user_id_that_is_not_text_is_refused() {
    let (command, rejections) = call(&[text("identify"), object(&[("userId", Raw::Number(7.0))])]);
    assert_eq!(command, Some(Command::Identify(Box::default())));
    assert!(
        rejections[0]
            .message
            .contains("userId must be a string, not a number")
    );
}

#[test]
fn send_message_wants_text() {
    assert_eq!(
        taken(&[text("sendMessage"), text("hi")]),
        Command::SendMessage("hi".into())
    );
    refused(&[text("sendMessage")], BAD_ARGUMENT, "not undefined");
    refused(&[text("sendMessage"), text(" \n ")], BAD_ARGUMENT, "empty");
    refused(
        &[text("sendMessage"), Raw::Unreadable("a value that throws")],
        BAD_ARGUMENT,
        "that throws",
    );
    refused(
        &[
            text("sendMessage"),
            text(&"x".repeat(MESSAGE_MAX_BYTES + 1)),
        ],
        BAD_ARGUMENT,
        "16384",
    );
    taken(&[text("sendMessage"), text(&"x".repeat(MESSAGE_MAX_BYTES))]);
}

#[test]
fn escalate_may_be_bare() {
    let bare = Command::Escalate {
        reason: None,
        context: Vec::new(),
    };
    assert_eq!(taken(&[text("escalate")]), bare);
    assert_eq!(
        taken(&[
            text("escalate"),
            object(&[
                ("reason", text("refund")),
                ("context", object(&[("order", Raw::Number(17.0))]))
            ]),
        ]),
        Command::Escalate {
            reason: Some("refund".into()),
            context: vec![("order".into(), "17".into())],
        }
    );
    refused(
        &[text("escalate"), text("help")],
        BAD_ARGUMENT,
        "must be an object",
    );
}

#[test]
fn subscriptions_want_an_event_and_a_function() {
    let function = Raw::Function(CallbackId(3));
    for (_, name) in EventName::ALL {
        taken(&[text("on"), text(name), function.clone()]);
    }
    let once = Command::On {
        event: EventName::Ready,
        callback: CallbackId(3),
        once: true,
    };
    assert_eq!(
        taken(&[text("once"), text("ready"), function.clone()]),
        once
    );
    let off_all = Command::Off {
        event: EventName::Open,
        callback: None,
    };
    assert_eq!(taken(&[text("off"), text("open")]), off_all);
    refused(
        &[text("on"), text("reday"), function.clone()],
        BAD_ARGUMENT,
        "message:received",
    );
    refused(
        &[text("on"), function.clone()],
        BAD_ARGUMENT,
        "not a function",
    );
    refused(
        &[text("on"), text("ready")],
        BAD_ARGUMENT,
        "callback must be a function, not undefined",
    );
    refused(
        &[text("off"), text("ready"), text("x")],
        BAD_ARGUMENT,
        "not a string",
    );
}
