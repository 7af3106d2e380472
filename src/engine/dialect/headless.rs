//! Calls of a page that draws the conversation by itself (www/headless.js): every command of `karta(...)`, and what the prebuilt panel has elements for.

use super::karta::{self, Call};
use super::{Raw, Rejection};
use crate::engine::command::{Command, Intent};
use crate::engine::error::BAD_ARGUMENT;
use crate::engine::text::cut::digits;

type Read = fn(&mut Call<'_>, &Raw, &Raw) -> Option<Intent>;

/// Every intent, and how its two arguments are read. Frozen by a test: pages bring a client of any age.
pub const INTENTS: [(&str, Read); 5] = [
    ("connect", |_, _, _| Some(Intent::Connect)),
    ("stop", |_, _, _| Some(Intent::Stop)),
    ("retry", |call, message, _| {
        Some(match message {
            Raw::Undefined | Raw::Null => Intent::Retry,
            // What names no message finds none.
            id => Intent::Resend(digits(&call.text("the message id", id)?).try_into().ok()?),
        })
    }),
    ("confirmTool", |call, request, allow| {
        let request = call.text("the request id", request)?;
        let Raw::Bool(allow) = allow else {
            call.must(BAD_ARGUMENT, "the decision", "a boolean", allow);
            return None;
        };
        Some(Intent::Confirm {
            request,
            allow: *allow,
        })
    }),
    ("hear", |_, _, _| Some(Intent::Hear)),
];

/// Reads one call. None: nothing of it could be taken, and `rejected` says why.
pub fn read(args: &[Raw], rejected: &mut Vec<Rejection>) -> Option<Command> {
    let arg = |at: usize| args.get(at).unwrap_or(&Raw::Undefined);
    if let Raw::Text(name) = arg(0)
        && let Some((name, read)) = INTENTS.iter().find(|(intent, _)| intent == name)
    {
        let mut call = Call { name, rejected };
        return read(&mut call, arg(1), arg(2)).map(Command::Headless);
    }
    karta::read(args, rejected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[Raw], expected: Option<Intent>, codes: &[&str]) {
        let mut rejected = Vec::new();
        let command = read(args, &mut rejected);
        assert_eq!(command, expected.map(Command::Headless), "{args:?}");
        let found: Vec<_> = rejected.iter().map(|rejection| rejection.code).collect();
        assert_eq!(found, codes, "{args:?}");
    }

    fn text(words: &str) -> Raw {
        Raw::Text(words.into())
    }

    #[test]
    fn intents_are_read_or_refused() {
        check(&[text("connect")], Some(Intent::Connect), &[]);
        check(&[text("stop"), text("now")], Some(Intent::Stop), &[]);
        check(&[text("hear")], Some(Intent::Hear), &[]);
        check(&[text("retry")], Some(Intent::Retry), &[]);
        check(&[text("retry"), Raw::Null], Some(Intent::Retry), &[]);
        check(&[text("retry"), text("12")], Some(Intent::Resend(12)), &[]);
        check(&[text("retry"), text("m_1")], Some(Intent::Resend(0)), &[]);
        check(&[text("retry"), text("99999999999")], None, &[]);
        check(&[text("retry"), Raw::Number(1.0)], None, &["bad_argument"]);
        let confirm = |allow| Intent::Confirm {
            request: "t_1".into(),
            allow,
        };
        let call = [text("confirmTool"), text("t_1"), Raw::Bool(true)];
        check(&call, Some(confirm(true)), &[]);
        let call = [text("confirmTool"), text("t_1"), Raw::Bool(false)];
        check(&call, Some(confirm(false)), &[]);
        let call = [text("confirmTool"), text("t_1"), text("yes")];
        check(&call, None, &["bad_argument"]);
        check(&[text("confirmTool")], None, &["bad_argument"]);
    }

    #[test]
    fn every_other_call_is_one_of_the_pages() {
        let mut rejected = Vec::new();
        assert_eq!(read(&[text("open")], &mut rejected), Some(Command::Open));
        assert_eq!(read(&[text("opne")], &mut rejected), None);
        assert_eq!(read(&[], &mut rejected), None);
        let codes: Vec<_> = rejected.iter().map(|rejection| rejection.code).collect();
        assert_eq!(codes, ["unknown_command", "bad_argument"]);
    }
}
