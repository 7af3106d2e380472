//! English.

use super::{LauncherWords, Words};

pub static LAUNCHER: LauncherWords = LauncherWords {
    open_chat: "Open chat",
    close_chat: "Close chat",
};

pub static WORDS: Words = Words {
    language: "en",
    assistant: "Assistant",
    close: "Close chat",
    send: "Send message",
    stop: "Stop answering",
    placeholder: "Write a message…",
    conversation: "Conversation",
    suggestions: "Suggested questions",
    you: "You",
    typing: "is typing",
    unread: "unread",
    new_messages: "New messages",
    sending: "Sending…",
    not_sent: "Not sent.",
    resend: "Send again",
    stopped: "Stopped",
    answer_failed: "This answer failed.",
    sources: "Sources",
    new_tab: "opens in a new tab",
    person: "Talk to a person",
    online: "Online",
    connecting: "Connecting…",
    reconnecting: "Reconnecting…",
    offline: "Offline",
    unavailable: "Unavailable",
    no_network: "You seem to be offline. What you write will be sent when the connection is back.",
    unreachable: "We can't reach the chat right now and keep trying. What you write will be sent.",
    turn_failed: "Something went wrong with this answer.",
    limit: "The chat has reached its limit for now.",
    limit_wait: "The chat has reached its limit for now. You can write again in ",
    not_available_here: "Sorry, this chat is not available here at the moment.",
    sign_in: "Please sign in on this site to chat with us.",
    identity_failed: "Sorry, we could not confirm who you are. Please sign in again.",
    retry: "Try again",
    too_long: "This message is too long.",
};
