//! What a visitor typed, as search terms: the words that say something, their stems and near meanings. The text itself never
//! reaches FTS5's query language: [`matching`] quotes every word, and words hold letters and digits only.

use super::Term;
use super::stem::stem;
use std::sync::LazyLock;
use vocabulary::{FOREIGN_STOP_WORDS, HINTS, MEANINGS, PHRASES, STOP_WORDS, WIDER};

mod vocabulary;

/// A visitor's question has a handful of words that matter; a pasted novel must not become a thousand lookups.
pub const MAX_TERMS: usize = 24;

/// Lower-case words of letters and digits, without accents, as the index has them.
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars().chain(std::iter::once(' ')) {
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase().map(plain));
        } else if matches!(c, '\'' | '’' | '\u{300}'..='\u{36f}') {
            // "don't" is one word, and a combining accent belongs to the letter before it.
        } else if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
    }
    words
}

/// The terms of a question, without the index's opinion on them (`passages` is 0). Repeated words count once.
pub fn terms(text: &str) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let words = words(text).into_iter().flat_map(|w| apart(&w)).collect();
    for (word, hint) in rephrased(words) {
        if is_stop_word(&word) || word.chars().count() < 2 {
            continue;
        }
        let stem = stem(&word);
        if let Some(known) = terms.iter_mut().find(|t| t.stem == stem) {
            known.hint &= hint;
            continue;
        }
        if terms.len() == MAX_TERMS {
            break;
        }
        let related = related(&stem);
        terms.push(Term {
            word,
            stem,
            related,
            passages: 0,
            hint,
        });
    }
    // "How much does it cost?" asks for the price once.
    let named = |t: &Term| {
        let mut others = terms.iter().filter(|o| !o.hint);
        others.any(|o| o.related.contains(&t.stem))
    };
    let kept: Vec<bool> = terms.iter().map(|t| !t.hint || !named(t)).collect();
    let mut kept = kept.into_iter();
    terms.retain(|_| kept.next().unwrap_or(true));
    untangle(&mut terms);
    terms
}

/// In "opening hours" the word "open" must not answer for "hours" as well: what a term says itself is related to no other.
pub fn untangle(terms: &mut [Term]) {
    let stems: Vec<String> = terms.iter().map(|t| t.stem.clone()).collect();
    for term in terms {
        term.related.retain(|related| !stems.contains(related));
    }
}

/// The FTS5 query that finds any of the terms: quoted words joined by OR. None: nothing to look for.
pub fn matching(terms: &[Term]) -> Option<String> {
    let mut query = String::new();
    for word in terms
        .iter()
        .flat_map(|t| [&t.word, &t.stem].into_iter().chain(&t.related))
    {
        let word: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        if word.is_empty() {
            continue;
        }
        if !query.is_empty() {
            query.push_str(" OR ");
        }
        query.push('"');
        query.push_str(&word);
        query.push('"');
    }
    (!query.is_empty()).then_some(query)
}

/// Stems of words that mean about the same as this stem, or that a document would use for it; without itself.
pub fn related(stem_of: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let has = |stems: &[String]| stems.iter().any(|s| s == stem_of);
    let groups = RELATIONS.iter().filter(|(from, _)| has(from));
    for stem in groups.flat_map(|(_, to)| to) {
        if stem != stem_of && !found.contains(stem) {
            found.push(stem.clone());
        }
    }
    found
}

/// Every stem that some group knows: what a mistyped word may have meant besides the words of the documents.
pub fn known_stems() -> impl Iterator<Item = &'static String> {
    RELATIONS.iter().flat_map(|(from, _)| from)
}

/// [`MEANINGS`] and [`WIDER`] as stems, made once: from any of these to all of those.
static RELATIONS: LazyLock<Vec<(Vec<String>, Vec<String>)>> = LazyLock::new(|| {
    let stems = |words: &str| words.split(' ').map(stem).collect::<Vec<_>>();
    let both_ways = MEANINGS.iter().map(|group| (stems(group), stems(group)));
    let one_way = WIDER.iter().map(|(from, to)| (stems(from), stems(to)));
    both_ways.chain(one_way).collect()
});

/// How many single-character mistakes (a letter more, less, other, or two swapped) lie between two words; `limit + 1` for more.
pub fn mistakes(a: &str, b: &str, limit: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let other = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = other.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()].min(limit + 1)
}

/// How many mistakes a stem of this length may hold and still be recognised.
pub fn tolerance(stem: &str) -> usize {
    match stem.chars().count() {
        // "cake" must not become "cafe".
        0..=4 => 0,
        5..=7 => 1,
        _ => 2,
    }
}

/// "1kg" is written "1 kg" elsewhere; "v60" is a name.
fn apart(word: &str) -> Vec<String> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    match word.split_at(digits) {
        ("", _) | (_, "") => vec![word.to_owned()],
        (number, unit) => vec![number.to_owned(), unit.to_owned()],
    }
}

/// Turns of phrase whose single words say nothing, replaced by the words they stand for; true: by a hint.
fn rephrased(words: Vec<String>) -> Vec<(String, bool)> {
    let mut out = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let found = |phrases: &[(&'static str, &'static str)]| {
            let fits = |(from, _): &&(&str, &str)| {
                let from: Vec<&str> = from.split(' ').collect();
                rest.len() >= from.len() && from.iter().zip(rest).all(|(a, b)| a == b)
            };
            phrases.iter().find(fits).copied()
        };
        let (phrase, hint) = match found(HINTS) {
            Some(phrase) => (Some(phrase), true),
            None => (found(PHRASES), false),
        };
        match phrase {
            Some((from, to)) => {
                let to = to.split(' ').filter(|w| !w.is_empty());
                out.extend(to.map(|w| (w.to_owned(), hint)));
                at += from.split(' ').count();
            }
            None => {
                out.push((words[at].clone(), false));
                at += 1;
            }
        }
    }
    out
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word) || FOREIGN_STOP_WORDS.contains(&word)
}

/// Accents off, for the letters that European shops meet; the index does the same.
fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'ď' => 'd',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ğ' => 'g',
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'į' => 'i',
        'ľ' | 'ĺ' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ō' | 'ő' => 'o',
        'ř' | 'ŕ' => 'r',
        'ś' | 'š' | 'ş' => 's',
        'ť' | 'ţ' => 't',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|t| t.stem).collect()
    }

    #[test]
    fn chatty_words_are_dropped() {
        assert_eq!(
            stems("Hi! Could you please tell me about your warranty?"),
            ["warranti"]
        );
        assert_eq!(
            stems("I don't know what you're doing"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn other_languages_have_chatty_words_too() {
        assert_eq!(
            stems("Wie lange habt ihr am Samstag geöffnet?"),
            ["samstag", "geoffnet"]
        );
        assert_eq!(stems("Combien coûte la livraison ?"), ["cout", "livraison"]);
    }

    #[test]
    fn phrases_become_the_word_they_stand_for() {
        assert_eq!(stems("can I send it back"), ["return"]);
        assert_eq!(stems("How much is shipping?"), ["price", "ship"]);
    }

    #[test]
    fn accents_do_not_matter() {
        assert_eq!(words("Größe, CAFÉ, cafe\u{301}"), ["große", "cafe", "cafe"]);
    }

    #[test]
    fn query_syntax_is_only_words() {
        let query = matching(&terms(
            "\"refund\" AND (NEAR/2 OR title:x) * - ^ ' ; DROP TABLE",
        ))
        .unwrap_or_default();
        assert!(!query.contains(['(', ')', '*', ':', '^', '\'', ';', '/', '-']));
        assert_eq!(matching(&terms("?!… \"\" * ")), None);
    }

    #[test]
    fn swapped_and_missing_letters_are_one_mistake() {
        assert_eq!(mistakes("delivery", "delviery", 2), 1);
        assert_eq!(mistakes("return", "retrn", 2), 1);
        assert_eq!(mistakes("cat", "elephant", 2), 3);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_quoted_words_or_nothing(text in "\\PC{0,300}") {
            if let Some(query) = matching(&terms(&text)) {
                for part in query.split(" OR ") {
                    let word = part.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
                    proptest::prop_assert!(word.is_some_and(|w| !w.is_empty() && w.chars().all(char::is_alphanumeric)), "{}", query);
                }
            }
        }
    }
}
