//! A text that is still being written, cut into what can be spoken already: sentences, without the marks that are only for the eye.

use std::ops::Range;

/// A "sentence" longer than this is spoken in parts, so that nobody waits for its end.
const LONG_BYTES: usize = 240;
/// After these a full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "st", "e.g", "i.e", "etc", "no", "approx", "vs",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// Where it stands in the part, in bytes.
    pub range: Range<usize>,
    /// What is to be said. Never empty.
    pub words: String,
}

#[derive(Default)]
pub struct Sentences {
    text: String,
    cut: usize,
}

impl Sentences {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn push(&mut self, piece: &str) -> Vec<Sentence> {
        self.text.push_str(piece);
        let mut found = Vec::new();
        while let Some(end) = boundary(&self.text[self.cut..]) {
            found.extend(self.take(self.cut + end));
        }
        found
    }

    /// The rest: nothing more is written.
    pub fn finish(&mut self) -> Option<Sentence> {
        self.take(self.text.len())
    }

    fn take(&mut self, end: usize) -> Option<Sentence> {
        let range = self.cut..end;
        self.cut = end;
        let words = speakable(&self.text[range.clone()]);
        // Rules, bullets, emoji: nothing to say.
        words
            .chars()
            .any(char::is_alphanumeric)
            .then_some(Sentence { range, words })
    }
}

/// Where the first sentence ends, white space after it included. None: more must come first.
fn boundary(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    let mut comma = None;
    while let Some((at, c)) = chars.next() {
        let after = at + c.len_utf8();
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match c {
            '\n' => true,
            // A decimal point, an address or an ellipsis goes on at once; what follows the last one is not known yet.
            '.' => next.is_some_and(char::is_whitespace) && !abbreviates(&text[..at]),
            '!' | '?' | '…' => next.is_some_and(char::is_whitespace),
            '。' | '！' | '？' => true,
            ',' | ';' | ':' | ' ' => {
                comma = Some(after);
                false
            }
            _ => false,
        };
        if ends && !text[..after].trim().is_empty() {
            let spaces = text[after..].len() - text[after..].trim_start().len();
            return Some(after + spaces);
        }
        if at > LONG_BYTES
            && let Some(comma) = comma
        {
            return Some(comma);
        }
    }
    None
}

fn abbreviates(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next();
    let word = word.unwrap_or_default().to_lowercase();
    // "J." is an initial, and "1." begins a list's item, where nothing stands before it.
    let initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic) && word != "i";
    let item = word.bytes().all(|b| b.is_ascii_digit()) && before.trim().len() == word.len();
    initial || item || ABBREVIATIONS.contains(&word.as_str())
}

/// Markdown as one would read it to somebody.
fn speakable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((words, after)) = link(rest) {
            out.push_str(words);
            rest = after;
            continue;
        }
        match c {
            '*' | '`' | '#' | '_' | '>' | '|' | '~' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    let words: Vec<&str> = out
        .split_whitespace()
        .map(|word| {
            if word.starts_with("http") && word.contains("://") {
                "the link"
            } else {
                word
            }
        })
        .collect();
    words.join(" ")
}

/// `[words](address)` or an image: the words, and what follows.
fn link(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix("![").or_else(|| text.strip_prefix('['))?;
    let (words, rest) = inside.split_once("](")?;
    let (address, after) = rest.split_once(')')?;
    let plain = !words.contains(['[', '\n']) && !address.contains(char::is_whitespace);
    plain.then_some((words, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        for size in [1, 3, 1_000] {
            let mut sentences = Sentences::default();
            let mut found = Vec::new();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(size) {
                found.extend(sentences.push(&piece.iter().collect::<String>()));
            }
            found.extend(sentences.finish());
            let words: Vec<&str> = found.iter().map(|s| s.words.as_str()).collect();
            assert_eq!(words, expected, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn sentences_are_found_as_they_are_written() {
        check("We open at 9. Come by!", &["We open at 9.", "Come by!"]);
        check(
            "It costs 3.50 euros. Fine?",
            &["It costs 3.50 euros.", "Fine?"],
        );
        check(
            "Ask Mr. Bean, e.g. today. Bye",
            &["Ask Mr. Bean, e.g. today.", "Bye"],
        );
        check("One\n\nTwo", &["One", "Two"]);
        check("", &[]);
        check(" \n…\n---\n", &[]);
        check("营业时间。再见", &["营业时间。", "再见"]);
    }

    #[test]
    fn marks_for_the_eye_are_not_spoken() {
        check(
            "See **our** [shipping page](https://a.example/x) now.\n- `tea`\n- milk",
            &["See our shipping page now.", "- tea", "- milk"],
        );
        check(
            "Go to https://a.example/long today.",
            &["Go to the link today."],
        );
    }

    #[test]
    fn a_very_long_sentence_is_spoken_in_parts() {
        let text = "a few words, ".repeat(60);
        let mut sentences = Sentences::default();
        let found = sentences.push(&text);
        assert!(found.len() >= 2 && found.iter().all(|s| s.words.len() <= LONG_BYTES + 20));
    }

    proptest! {
        #[test]
        fn every_byte_belongs_to_at_most_one_sentence(pieces in proptest::collection::vec(".{0,40}", 0..20)) {
            let mut sentences = Sentences::default();
            let mut found: Vec<Sentence> = pieces.iter().flat_map(|p| sentences.push(p)).collect();
            found.extend(sentences.finish());
            let mut at = 0;
            for sentence in found {
                prop_assert!(sentence.range.start >= at && sentence.range.end > sentence.range.start);
                at = sentence.range.end;
            }
            prop_assert!(at <= sentences.text().len());
        }
    }
}
