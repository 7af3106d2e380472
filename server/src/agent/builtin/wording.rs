//! What the answerer says in its own words, in English or German. What it quotes stays in the language of the document.
//!
//! The rule: the newest of the visitor's messages that gives itself away decides, by its small words ("ist", "wie" against "is",
//! "how"). A message with as many of one as of the other ("DHL?", "ok") leaves it to the one before. Nothing to go by: English.

use super::courtesy::Courtesy;
use crate::store::query::words;

pub struct Wording {
    pub unknown: &'static str,
    pub unclear: &'static str,
    pub unsure: &'static str,
    pub greeting: &'static str,
    pub thanks: &'static str,
    pub goodbye: &'static str,
    pub how_are_you: &'static str,
    pub agreement: &'static str,
    pub person: &'static str,
    pub topics: &'static str,
    pub no_topics: &'static str,
    /// Before and after the agent's name.
    who: (&'static str, &'static str),
}

impl Wording {
    /// `messages`: the visitor's, newest first.
    pub fn of<'a>(messages: impl Iterator<Item = &'a str>) -> &'static Wording {
        let mut decided = messages.map(lean).filter(|lean| *lean != 0);
        match decided.next() {
            Some(lean) if lean > 0 => &GERMAN,
            Some(_) | None => &ENGLISH,
        }
    }

    pub fn who(&self, name: &str) -> String {
        let name = if name.is_empty() { "Karta" } else { name };
        format!("{}{name}{}", self.who.0, self.who.1)
    }

    /// None: the answer is not a fixed phrase.
    pub fn courtesy(&self, courtesy: Courtesy) -> Option<&'static str> {
        match courtesy {
            Courtesy::Greeting => Some(self.greeting),
            Courtesy::Thanks => Some(self.thanks),
            Courtesy::Goodbye => Some(self.goodbye),
            Courtesy::HowAreYou => Some(self.how_are_you),
            Courtesy::Agreement => Some(self.agreement),
            Courtesy::Person => Some(self.person),
            Courtesy::WhoAreYou | Courtesy::Help => None,
        }
    }
}

/// Above zero: more German than English.
fn lean(message: &str) -> i32 {
    let count = |marks: &[&str], words: &[String]| {
        words.iter().filter(|w| marks.contains(&w.as_str())).count() as i32
    };
    let words = words(message);
    count(GERMAN_MARKS, &words) - count(ENGLISH_MARKS, &words)
}

/// As [`words`] gives them, without accents. None of them is an English word.
#[rustfmt::skip]
const GERMAN_MARKS: &[&str] = &[
    "ich", "du", "sie", "wir", "ihr", "mir", "mich", "uns", "das", "der", "den", "dem", "des", "ein", "eine", "einen", "einem", "und", "oder", "nicht",
    "kein", "keine", "ist", "sind", "bist", "gibt", "wird", "kann", "kannst", "konnen", "konnt", "habe", "haben", "habt", "mochte", "muss", "soll", "wie",
    "wo", "wer", "wann", "warum", "welche", "welcher", "welches", "wieviel", "viel", "mit", "fur", "auf", "von", "zu", "zum", "zur", "bei", "nach", "aus",
    "uber", "auch", "noch", "schon", "bitte", "danke", "hallo", "moin", "servus", "guten", "tschuss", "tschuß", "wiedersehen", "mein", "meine", "meinen",
    "dein", "deine", "ihre", "euer", "eure", "euch", "hilfe", "mensch", "menschen", "mitarbeiter", "ja", "nein", "lieferung", "versand",
];

#[rustfmt::skip]
const ENGLISH_MARKS: &[&str] = &[
    "i", "im", "you", "we", "they", "it", "my", "your", "our", "me", "us", "the", "a", "an", "and", "or", "not", "is", "are", "do", "does", "did", "can",
    "could", "would", "will", "have", "has", "how", "what", "where", "who", "when", "why", "which", "much", "many", "with", "for", "of", "to", "from", "on",
    "at", "about", "please", "thanks", "thank", "hello", "hi", "good", "bye", "yes", "no", "there", "this", "that", "need", "want", "help",
];

static ENGLISH: Wording = Wording {
    unknown: "I'm sorry, I don't know that. I couldn't find it in our documents. Would you like to ask a person?",
    unclear: "I'm not sure what you mean. Could you ask in other words, or would you like to talk to a person?",
    unsure: "I'm not sure that this is what you mean. The closest I found:",
    greeting: "Hello! What would you like to know?",
    thanks: "You're welcome! Is there anything else you would like to know?",
    goodbye: "Goodbye, and have a good day!",
    how_are_you: "I'm fine, thank you! What would you like to know?",
    agreement: "All right. Ask me whatever you would like to know.",
    person: "Of course. I can pass this conversation on to a person.",
    topics: "You can ask me about:",
    no_topics: "Ask me anything about us, and I'll look it up.",
    who: (
        "I'm ",
        ", an automatic assistant. I answer from our own documents, and I can offer you a person when I don't know something.",
    ),
};

static GERMAN: Wording = Wording {
    unknown: "Das weiß ich leider nicht. Ich habe dazu nichts in unseren Unterlagen gefunden. Möchten Sie einen Menschen fragen?",
    unclear: "Ich bin nicht sicher, was Sie meinen. Können Sie es anders sagen, oder möchten Sie mit einem Menschen sprechen?",
    unsure: "Ich bin nicht sicher, ob Sie das meinen. Am nächsten kommt:",
    greeting: "Hallo! Was möchten Sie wissen?",
    thanks: "Gern geschehen! Möchten Sie noch etwas wissen?",
    goodbye: "Auf Wiedersehen und einen schönen Tag!",
    how_are_you: "Gut, danke! Was möchten Sie wissen?",
    agreement: "In Ordnung. Fragen Sie mich, was Sie wissen möchten.",
    person: "Gern. Ich kann dieses Gespräch an einen Menschen weitergeben.",
    topics: "Sie können mich nach diesen Themen fragen:",
    no_topics: "Fragen Sie mich etwas über uns, und ich sehe nach.",
    who: (
        "Ich bin ",
        ", ein automatischer Assistent. Ich antworte aus unseren eigenen Unterlagen, und wenn ich etwas nicht weiß, kann ich Ihnen einen Menschen anbieten.",
    ),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_message_that_gives_itself_away_decides() {
        fn check(messages: &[&str], german: bool) {
            let chosen = Wording::of(messages.iter().copied());
            assert_eq!(std::ptr::eq(chosen, &GERMAN), german, "{messages:?}");
        }
        check(&[], false);
        check(&["DHL?"], false);
        check(&["Wie viel kostet der Versand nach Irland?"], true);
        check(&["Hallo!"], true);
        check(&["Vielen Dank, das war's für heute"], true);
        check(&["How much does shipping to Ireland cost?"], false);
        check(&["Was ist der Unterschied zwischen Guji und Huila?"], true);
        check(&["Is the Wiener Mischung in stock?"], false);
        check(&["ok", "Wo ist mein Paket?"], true);
        check(&["And when?", "Wo ist mein Paket?"], false);
        check(&["???", "ok", "Where is my parcel?"], false);
    }
}
