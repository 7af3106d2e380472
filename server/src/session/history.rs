//! The log read as a conversation: what was said, and what still waits for an answer. Pure.

use crate::agent::Line;
use karta_protocol::{EventType, SessionEvent, StopReason};

/// How far back a turn reads. Models forget, and a log can be long.
pub const WINDOW: u64 = 600;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// Answered questions and their answers. A question asked while another was being answered stands before its own answer.
    pub lines: Vec<Line>,
    /// What the turn that began last has to answer: also what an earlier, failed turn left over.
    pub questions: Vec<String>,
    /// Asked after the last turn began, or typed in a call that ended without an answer to it.
    pub waiting: Vec<String>,
    /// Oldest first.
    pub files: Vec<Sent>,
}

/// A file that the visitor sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub id: String,
    pub name: String,
    pub media_type: String,
    pub size: u64,
    /// No turn that was told of it is over.
    pub fresh: bool,
}

pub fn read(events: &[SessionEvent]) -> Conversation {
    let mut conversation = Conversation::default();
    let mut answer = None;
    let mut told = 0;
    // In a call that was handed over; its engine answers.
    let mut typed = Vec::new();
    for event in events {
        let text = event.text.clone().unwrap_or_default();
        match event.kind {
            EventType::UserMessage if event.handed => typed.push(text),
            EventType::UserTranscript if event.handed => {
                conversation.lines.push(Line::Visitor(text));
            }
            EventType::AgentMessage if event.handed => {
                conversation
                    .lines
                    .extend(typed.drain(..).map(Line::Visitor));
                conversation.lines.push(Line::Reported(text));
            }
            EventType::UserMessage | EventType::UserTranscript => conversation.waiting.push(text),
            EventType::UserFile => conversation.files.push(Sent {
                id: event.id.clone().unwrap_or_default(),
                name: event.name.clone().unwrap_or_default(),
                media_type: event.media_type.clone().unwrap_or_default(),
                size: event.size.unwrap_or_default(),
                fresh: true,
            }),
            EventType::StatusRunning => {
                told = conversation.files.len();
                conversation.questions.append(&mut typed);
                conversation.questions.append(&mut conversation.waiting);
            }
            EventType::AgentMessage => answer = Some(text),
            EventType::StatusIdle => {
                let answer = answer.take();
                if event.stop_reason != Some(StopReason::Error) {
                    let questions = conversation.questions.drain(..).map(Line::Visitor);
                    conversation.lines.extend(questions);
                    conversation.lines.extend(answer.map(Line::Agent));
                    for file in &mut conversation.files[..told] {
                        file.fresh = false;
                    }
                }
            }
            EventType::AgentThinking
            | EventType::AgentToolUse
            | EventType::AgentToolResult
            | EventType::SessionError
            | EventType::LimitReached
            | EventType::Synced
            | EventType::VoiceState
            | EventType::VoiceCut
            | EventType::Pong
            | EventType::Error
            | EventType::Unknown => {}
        }
    }
    typed.append(&mut conversation.waiting);
    conversation.waiting = typed;
    conversation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(script: &str) -> Vec<SessionEvent> {
        let event = |kind, text: &str| SessionEvent {
            kind,
            text: Some(text.into()),
            ..SessionEvent::default()
        };
        let handed = |event| SessionEvent {
            handed: true,
            ..event
        };
        let idle = |reason| SessionEvent {
            kind: EventType::StatusIdle,
            stop_reason: Some(reason),
            ..SessionEvent::default()
        };
        script
            .split(' ')
            .map(|word| match word.split_at(1) {
                ("u", n) => event(EventType::UserMessage, n),
                ("U", n) => handed(event(EventType::UserMessage, n)),
                ("S", n) => handed(event(EventType::UserTranscript, n)),
                ("A", n) => handed(event(EventType::AgentMessage, n)),
                ("a", n) => event(EventType::AgentMessage, n),
                ("f", n) => event(EventType::UserFile, n),
                ("r", _) => event(EventType::StatusRunning, ""),
                ("i", _) => idle(StopReason::Complete),
                ("x", _) => idle(StopReason::Interrupted),
                _ => idle(StopReason::Error),
            })
            .collect()
    }

    fn check(script: &str, lines: &str, questions: &str, waiting: &str) {
        let got = read(&log(script));
        let said: Vec<String> = got
            .lines
            .iter()
            .map(|line| match line {
                Line::Visitor(text) => format!("u{text}"),
                Line::Agent(text) => format!("a{text}"),
                Line::Reported(text) => format!("A{text}"),
            })
            .collect();
        assert_eq!(said.join(" "), lines, "lines of {script}");
        assert_eq!(got.questions.join(" "), questions, "questions of {script}");
        assert_eq!(got.waiting.join(" "), waiting, "waiting of {script}");
    }

    #[test]
    fn questions_belong_to_the_turn_that_began_after_them() {
        check("u1 r", "", "1", "");
        check("u1 r a1 i", "u1 a1", "", "");
        check("u1 r u2 a1 i r", "u1 a1", "2", "");
        check("u1 r u2 u3 a1 i r a23 i", "u1 a1 u2 u3 a23", "", "");
        check("u1 r u2", "", "1", "2");
    }

    #[test]
    fn a_file_is_fresh_until_a_turn_that_was_told_of_it_is_over() {
        for (script, fresh) in [
            ("f", "true"),
            ("f u1 r", "true"),
            ("f u1 r e", "true"),
            ("f u1 r a1 i", "false"),
            ("f u1 r f a1 i", "false true"),
            ("f u1 r f a1 i u2 r a2 i", "false false"),
        ] {
            let files = read(&log(script)).files;
            let got: Vec<String> = files.iter().map(|file| file.fresh.to_string()).collect();
            assert_eq!(got.join(" "), fresh, "{script}");
        }
    }

    #[test]
    fn a_handed_call_is_known_and_asks_nothing_but_what_nobody_answered() {
        check("S1 A2 u3 r", "u1 A2", "3", "");
        check("U1 A2 S3 A4", "u1 A2 u3 A4", "", "");
        check("u1 r S2 A3 a4 i", "u2 A3 u1 a4", "", "");
        check("S1 A2 U3", "u1 A2", "", "3");
        check("U1 U2 r", "", "1 2", "");
        check("U1 r a2 i u3 r", "u1 a2", "3", "");
        check("S1", "u1", "", "");
    }

    #[test]
    fn a_failed_turn_leaves_its_questions_to_the_next() {
        check("u1 r e", "", "1", "");
        check("u1 r e u2 r", "", "1 2", "");
    }

    #[test]
    fn an_interrupted_turn_is_over() {
        check("u1 r a1 x u2 r", "u1 a1", "2", "");
        check("u1 r x u2 r", "u1", "2", "");
    }
}
