//! What a failed request means, in one place for all of them.

use super::core::Cx;
use crate::engine::effect::Failure;
use karta_protocol::ErrorCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The server will not talk to this page or visitor: no use in trying again.
    Halt(&'static str),
    /// The token is not good any more.
    Token,
    /// Too much at once.
    Wait,
    /// The owner's or visitor's allowance is used up.
    Limit,
    /// The session is not there.
    Gone,
    /// This very request is not acceptable.
    Refused,
    /// No network, a server in trouble, an answer that cannot be read.
    Later,
}

/// The code decides; where there is none, the status does. A 403 or 404 without a code comes from something in between (a
/// proxy, a captive portal, a wrong path), which may pass.
pub(super) fn judge(failure: &Failure) -> Verdict {
    if let Some((_, verdict)) = known(failure) {
        return *verdict;
    }
    match failure.status {
        401 => Verdict::Token,
        429 | 503 => Verdict::Wait,
        400 | 413 | 415 | 422 => Verdict::Refused,
        _ => Verdict::Later,
    }
}

/// The code and what it means, if it means anything to this widget.
pub(super) fn known(failure: &Failure) -> Option<&'static (&'static str, Verdict)> {
    MEANINGS.iter().find(|(code, _)| *code == failure.code)
}

/// [`meaning`] as a list, made while compiling: the bundle holds no code that means nothing to it.
static MEANINGS: [(&str, Verdict); meanings().1] = {
    let (all, len) = meanings();
    let mut list = [("", Verdict::Later); meanings().1];
    let mut index = 0;
    while index < len {
        list[index] = all[index];
        index += 1;
    }
    list
};

const fn meanings() -> ([(&'static str, Verdict); ErrorCode::ALL.len()], usize) {
    let mut list = [("", Verdict::Later); ErrorCode::ALL.len()];
    let (mut index, mut len) = (0, 0);
    while index < list.len() {
        let code = ErrorCode::ALL[index];
        if let Some(verdict) = meaning(code) {
            list[len] = (code.as_str(), verdict);
            len += 1;
        }
        index += 1;
    }
    (list, len)
}

/// None: the status says enough.
const fn meaning(code: ErrorCode) -> Option<Verdict> {
    Some(match code {
        ErrorCode::ClientKeyMissing
        | ErrorCode::ClientKeyUnknown
        | ErrorCode::ClientKeyDisabled
        | ErrorCode::OriginNotAllowed
        | ErrorCode::WidgetDisabledForAgent
        | ErrorCode::GuestNotAllowed
        | ErrorCode::UserNotAllowed
        | ErrorCode::IdentityInvalid
        | ErrorCode::IdentityMismatch
        | ErrorCode::SecretKeyInBrowser => Verdict::Halt(code.as_str()),
        ErrorCode::TokenMissing
        | ErrorCode::TokenExpired
        | ErrorCode::TokenInvalid
        | ErrorCode::TokenUsed => Verdict::Token,
        ErrorCode::RateLimited | ErrorCode::Overloaded => Verdict::Wait,
        ErrorCode::LimitReached => Verdict::Limit,
        ErrorCode::SessionNotFound => Verdict::Gone,
        ErrorCode::PayloadTooLarge
        | ErrorCode::RequestInvalid
        | ErrorCode::UploadsDisabled
        | ErrorCode::FileTypeNotAllowed
        | ErrorCode::SdpInvalid => Verdict::Refused,
        ErrorCode::ConnectionNotFound
        | ErrorCode::PreconditionRequired
        | ErrorCode::PreconditionFailed
        | ErrorCode::NotFound
        | ErrorCode::MethodNotAllowed
        // Of the admin API, which the widget never calls.
        | ErrorCode::AdminTokenMissing
        | ErrorCode::AdminTokenInvalid
        | ErrorCode::AdminInBrowser
        | ErrorCode::AgentInUse
        | ErrorCode::VoiceUnavailable
        | ErrorCode::AgentFailed
        | ErrorCode::Internal => return None,
    })
}

impl Cx<'_> {
    /// The server refuses for good: kind words on screen, an event for the page, one warning for the developer.
    pub fn halt(&mut self, code: &'static str, message: &str) {
        if self.core.halt.is_some() {
            return;
        }
        self.core.halt = Some(code);
        let message = if message.is_empty() {
            fix(code)
        } else {
            message
        };
        self.warn(code, message);
        self.fail(code, message, "");
        self.render();
    }
}

/// What a developer can do about it, where the server did not say.
fn fix(code: &str) -> &'static str {
    match code {
        "origin_not_allowed" => "this page's origin is not in the key's list of origins: add it",
        "client_key_unknown" => {
            "the server does not know this embed key: check it for typing errors"
        }
        "client_key_disabled" => "this embed key is disabled: enable it or use another",
        "guest_not_allowed" => {
            "this agent wants identified visitors: call karta(\"identify\", { userId, identityToken })"
        }
        "token_expired" | "token_invalid" | "token_used" => {
            "a user token works once and for five minutes: call karta(\"identify\", { userToken }) with a fresh one"
        }
        _ => "the server refused this page; docs/ERRORS.md explains the code",
    }
}
