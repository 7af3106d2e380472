//! German.

use super::{LauncherWords, Words};

pub static LAUNCHER: LauncherWords = LauncherWords {
    open_chat: "Chat öffnen",
    close_chat: "Chat schließen",
};

pub static WORDS: Words = Words {
    language: "de",
    assistant: "Assistent",
    close: "Chat schließen",
    send: "Nachricht senden",
    stop: "Antwort stoppen",
    placeholder: "Nachricht schreiben…",
    conversation: "Unterhaltung",
    suggestions: "Vorgeschlagene Fragen",
    you: "Sie",
    typing: "schreibt",
    unread: "ungelesen",
    new_messages: "Neue Nachrichten",
    sending: "Wird gesendet…",
    not_sent: "Nicht gesendet.",
    resend: "Erneut senden",
    stopped: "Abgebrochen",
    answer_failed: "Diese Antwort ist fehlgeschlagen.",
    sources: "Quellen",
    new_tab: "öffnet in neuem Tab",
    person: "Mit einem Menschen sprechen",
    online: "Online",
    connecting: "Verbinden…",
    reconnecting: "Neu verbinden…",
    offline: "Offline",
    unavailable: "Nicht verfügbar",
    no_network: "Sie scheinen offline zu sein. Was Sie schreiben, wird gesendet, sobald die Verbindung wieder da ist.",
    unreachable: "Der Chat ist gerade nicht erreichbar, wir versuchen es weiter. Was Sie schreiben, wird gesendet.",
    turn_failed: "Bei dieser Antwort ist etwas schiefgegangen.",
    limit: "Der Chat hat sein Limit vorerst erreicht.",
    limit_wait: "Der Chat hat sein Limit vorerst erreicht. Sie können wieder schreiben in ",
    not_available_here: "Dieser Chat ist hier im Moment leider nicht verfügbar.",
    sign_in: "Bitte melden Sie sich auf dieser Seite an, um mit uns zu chatten.",
    identity_failed: "Wir konnten Sie leider nicht zuordnen. Bitte melden Sie sich erneut an.",
    retry: "Erneut versuchen",
    too_long: "Diese Nachricht ist zu lang.",
};
