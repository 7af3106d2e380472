//! What people say besides asking: greetings, thanks, "are you a robot?", "I want a human". Pure.

use crate::store::query::{terms, words};

mod german;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Courtesy {
    Greeting,
    Thanks,
    Goodbye,
    HowAreYou,
    Agreement,
    WhoAreYou,
    Help,
    Person,
}

/// The courtesy that a whole message is. None: there is something in it to look up.
pub fn of(message: &str) -> Option<Courtesy> {
    let words = words(message);
    let has = |any: &[&str]| words.iter().any(|w| any.contains(&w.as_str()));
    let says = |phrase: &str| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words
            .windows(phrase.len())
            .any(|w| w.iter().zip(&phrase).all(|(a, b)| a == b))
    };
    if wants_person(&words) {
        return Some(Courtesy::Person);
    }
    if let Some(courtesy) = german::of(&words) {
        return Some(courtesy);
    }
    let about = |few: &[&str]| {
        terms(message)
            .iter()
            .all(|t| few.contains(&t.word.as_str()))
    };
    if ABOUT_ME.iter().any(|p| says(p)) && about(&ME) {
        return Some(Courtesy::WhoAreYou);
    }
    if ABOUT_HELP.iter().any(|p| says(p)) && about(&["work", "chat"]) {
        return Some(Courtesy::Help);
    }
    if words.is_empty() || words.len() > 12 || !subject(message).is_empty() {
        return None;
    }
    let courtesies = [
        (
            [
                "how are you",
                "how is it going",
                "hows it going",
                "how do you do",
                "how are things",
                "how you doing",
            ]
            .iter()
            .any(|p| says(p)),
            Courtesy::HowAreYou,
        ),
        (
            has(&[
                "thanks", "thank", "thx", "ty", "cheers", "tysm", "danke", "merci", "gracias",
            ]),
            Courtesy::Thanks,
        ),
        (
            has(&["bye", "goodbye", "cya", "ciao"]) || says("see you") || says("good night"),
            Courtesy::Goodbye,
        ),
        (
            has(&[
                "hi",
                "hello",
                "hey",
                "hiya",
                "howdy",
                "hallo",
                "greetings",
                "yo",
                "bonjour",
                "hola",
                "moin",
                "hej",
            ]) || says("good morning")
                || says("good afternoon")
                || says("good evening")
                || says("good day"),
            Courtesy::Greeting,
        ),
        (
            words == ["help"]
                || words == ["help", "me"]
                || words == ["help", "please"]
                || says("need help")
                || says("i have a question")
                || says("can i ask"),
            Courtesy::Help,
        ),
        (
            has(&[
                "ok",
                "okay",
                "great",
                "perfect",
                "cool",
                "nice",
                "good",
                "yes",
                "no",
                "sure",
                "alright",
                "fine",
                "super",
                "awesome",
                "excellent",
                "understood",
            ]),
            Courtesy::Agreement,
        ),
    ];
    courtesies
        .into_iter()
        .find(|(is, _)| *is)
        .map(|(_, courtesy)| courtesy)
}

const ABOUT_ME: [&str; 18] = [
    "are you a bot",
    "are you a robot",
    "are you human",
    "are you a human",
    "are you real",
    "are you a real person",
    "are you a person",
    "are you an ai",
    "are you ai",
    "who are you",
    "what are you",
    "whats your name",
    "what is your name",
    "am i talking to a bot",
    "am i talking to a human",
    "am i talking to a person",
    "is this a bot",
    "is this a person",
];
const ME: [&str; 9] = [
    "bot", "robot", "human", "person", "real", "ai", "name", "talking", "chatbot",
];
const ABOUT_HELP: [&str; 8] = [
    "what can you do",
    "what can i ask",
    "what do you know",
    "how can you help",
    "what can you help",
    "how does this work",
    "can you help me",
    "what questions can",
];

/// The sentences of a message that ask or tell something, without the courtesies between them.
pub fn questions(message: &str) -> Vec<String> {
    let mut questions: Vec<String> = Vec::new();
    for sentence in super::quote::sentences(message) {
        if !subject(&sentence).is_empty() {
            questions.push(sentence);
        }
    }
    // A statement before the question ("My parcel is late.") is its setting; the question alone would miss the point.
    let asks = |s: &String| s.ends_with('?');
    if questions.iter().any(asks) && questions.iter().any(|s| !asks(s)) {
        let (asked, told): (Vec<String>, Vec<String>) = questions.into_iter().partition(asks);
        if asked.len() == 1 {
            return vec![format!("{} {}", told.join(" "), asked[0])];
        }
        return asked;
    }
    questions
}

/// "Opening hours, and do you take cards?": one sentence may ask two things.
pub fn several(question: &str) -> bool {
    let joined = |w: &String| matches!(w.as_str(), "and" | "also" | "plus" | "und" | "et" | "y");
    question.contains([',', ';', '&', '/', '+']) || words(question).iter().skip(1).any(joined)
}

/// "And to France?", "What about decaf?": leans on what was asked before.
pub fn follows_up(question: &str) -> bool {
    let words = words(question);
    let starts =
        |with: &[&str]| words.len() >= with.len() && words.iter().zip(with).all(|(a, b)| a == b);
    let opener = [
        &["and"][..],
        &["or"],
        &["what", "about"],
        &["how", "about"],
        &["what", "if"],
        &["also"],
        &["but"],
        &["for"],
        &["to"],
        &["in"],
        &["even"],
    ]
    .iter()
    .any(|o| starts(o));
    let pronoun = words.iter().any(|w| {
        matches!(
            w.as_str(),
            "it" | "that" | "those" | "them" | "this" | "they" | "there"
        )
    });
    (opener && words.len() <= 8) || (pronoun && words.len() <= 7)
}

/// Words that carry a subject, beyond pleasantries.
fn subject(text: &str) -> Vec<String> {
    let small = [
        "thx",
        "ty",
        "tysm",
        "cheers",
        "bye",
        "goodbye",
        "cya",
        "ciao",
        "howdy",
        "greetings",
        "yo",
        "morning",
        "afternoon",
        "evening",
        "night",
        "day",
        "perfect",
        "cool",
        "sure",
        "alright",
        "fine",
        "super",
        "awesome",
        "excellent",
        "understood",
        "danke",
        "merci",
        "gracias",
        "bonjour",
        "hola",
        "moin",
        "hej",
        "everyone",
        "team",
        "later",
        "days",
        "haha",
        "lol",
    ];
    terms(text)
        .into_iter()
        .map(|t| t.word)
        .filter(|w| !small.contains(&w.as_str()))
        .collect()
}

fn wants_person(words: &[String]) -> bool {
    const PERSON: [&str; 18] = [
        "human",
        "person",
        "someone",
        "somebody",
        "agent",
        "representative",
        "rep",
        "operator",
        "employee",
        "staff",
        "advisor",
        "adviser",
        "colleague",
        "people",
        "support",
        "service",
        "manager",
        "boss",
    ];
    const SURE: [&str; 6] = [
        "human",
        "person",
        "agent",
        "representative",
        "operator",
        "humans",
    ];
    const REACH: [&str; 18] = [
        "talk", "talking", "speak", "speaking", "chat", "connect", "transfer", "contact",
        "escalate", "reach", "want", "need", "get", "give", "switch", "forward", "pass", "ask",
    ];
    let has = |any: &[&str]| words.iter().any(|w| any.contains(&w.as_str()));
    let asks_about =
        has(&["are", "is", "am", "why", "does", "do"]) && !has(&["can", "could", "may"]);
    let direct = has(&[
        "talk", "speak", "connect", "transfer", "escalate", "talking", "speaking",
    ]) && has(&PERSON);
    (direct && !has(&["am", "bot"]))
        || (words.len() <= 7 && has(&SURE) && has(&REACH) && !asks_about)
        || (words.len() <= 3 && has(&SURE) && !asks_about)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn check(message: &str, expected: Option<Courtesy>) {
        assert_eq!(of(message), expected, "{message}");
    }

    #[test]
    fn courtesies_are_recognised() {
        for text in [
            "Hi",
            "hello!",
            "Hey there",
            "Good morning",
            "hallo",
            "Hi 👋",
        ] {
            check(text, Some(Courtesy::Greeting));
        }
        for text in [
            "Thanks!",
            "thank you so much",
            "ok thx",
            "great, thanks for your help",
        ] {
            check(text, Some(Courtesy::Thanks));
        }
        check("bye", Some(Courtesy::Goodbye));
        check("How are you?", Some(Courtesy::HowAreYou));
        check("Are you a robot?", Some(Courtesy::WhoAreYou));
        check("Am I talking to a human?", Some(Courtesy::WhoAreYou));
        check("Who are you?", Some(Courtesy::WhoAreYou));
        check("What are you selling in the summer?", None);
        check("What can you do?", Some(Courtesy::Help));
        check("help", Some(Courtesy::Help));
        check("ok", Some(Courtesy::Agreement));
    }

    #[test]
    fn asking_for_a_person_is_recognised() {
        for text in [
            "I want to talk to a human",
            "Can I speak to someone?",
            "human please",
            "agent",
            "connect me with a representative",
            "I need a real person",
            "could I chat with a person",
            "let me speak with customer service",
        ] {
            check(text, Some(Courtesy::Person));
        }
        for text in [
            "Do you ship to people in Spain?",
            "What support do you offer?",
            "Is there a service fee?",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_greeting_before_a_question_is_no_courtesy() {
        check("Hi, where is my parcel?", None);
        check("Thanks! And how long does delivery take?", None);
        assert_eq!(
            questions("Hi there! Do you take PayPal?"),
            ["Do you take PayPal?"]
        );
        assert_eq!(
            questions("My bag arrived torn. What now?"),
            ["My bag arrived torn."]
        );
        assert_eq!(
            questions("I ordered last week. When will my parcel arrive?"),
            ["I ordered last week. When will my parcel arrive?"]
        );
    }
}
