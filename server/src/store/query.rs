//! What a visitor typed, as search terms: the words that say something, their stems and near meanings. The text itself never
//! reaches FTS5's query language: [`matching`] quotes every word, and words hold letters and digits only.

use super::Term;
use super::stem::stem;

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
    for word in rephrased(words(text)) {
        if STOP_WORDS.contains(&word.as_str())
            || (word.len() < 2 && !word.bytes().all(|b| b.is_ascii_digit()))
        {
            continue;
        }
        let stem = stem(&word);
        if terms.iter().any(|t| t.stem == stem) {
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
        });
    }
    terms
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

/// Stems of words that mean about the same as this stem, without itself.
pub fn related(stem_of: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for group in MEANINGS {
        let stems: Vec<String> = group.split(' ').map(stem).collect();
        if stems.iter().any(|s| s == stem_of) {
            for s in stems {
                if s != stem_of && !found.contains(&s) {
                    found.push(s);
                }
            }
        }
    }
    found
}

/// Every stem that some group knows: what a mistyped word may have meant besides the words of the documents.
pub fn known_stems() -> impl Iterator<Item = String> {
    MEANINGS.iter().flat_map(|group| group.split(' ')).map(stem)
}

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

/// How many mistakes a word of this length may hold and still be recognised.
pub fn tolerance(word: &str) -> usize {
    match word.chars().count() {
        0..=3 => 0,
        4..=7 => 1,
        _ => 2,
    }
}

/// Turns of phrase whose single words say nothing, replaced by the word they stand for.
fn rephrased(words: Vec<String>) -> Vec<String> {
    let mut out = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let phrase = PHRASES.iter().find(|(from, _)| {
            let mut parts = from.split(' ');
            let mut length = 0;
            parts.all(|part| {
                length += 1;
                rest.get(length - 1).is_some_and(|word| word == part)
            })
        });
        match phrase {
            Some((from, to)) => {
                out.extend(to.split(' ').filter(|w| !w.is_empty()).map(str::to_owned));
                at += from.split(' ').count();
            }
            None => {
                out.push(words[at].clone());
                at += 1;
            }
        }
    }
    out
}

/// Longer ones first where they begin alike.
const PHRASES: &[(&str, &str)] = &[
    ("send it back", "return"),
    ("send them back", "return"),
    ("send something back", "return"),
    ("send stuff back", "return"),
    ("sending it back", "return"),
    ("send back", "return"),
    ("bring it back", "return"),
    ("bring back", "return"),
    ("take it back", "return"),
    ("give it back", "return"),
    ("get my money back", "refund"),
    ("money back", "refund"),
    ("change my mind", "return"),
    ("changed my mind", "return"),
    ("how much", "price"),
    ("how expensive", "price"),
    ("how long", "days"),
    ("how fast", "days"),
    ("how quickly", "days"),
    ("how soon", "days"),
    ("what time", "hours"),
    ("what times", "hours"),
    ("what hours", "hours"),
    ("what day", "days"),
    ("which days", "days"),
    ("opening times", "opening hours"),
    ("where are you", "address"),
    ("where is your", "address"),
    ("where is the", "address"),
    ("where can i find you", "address"),
    ("find you", "address"),
    ("get to you", "address"),
    ("get hold of", "contact"),
    ("get in touch", "contact"),
    ("reach you", "contact"),
    ("talk to you", "contact"),
    ("write to you", "contact email"),
    ("pick up", "pickup collect"),
    ("pick it up", "pickup collect"),
    ("on sale", "discount"),
    ("credit card", "card payment"),
    ("credit cards", "card payment"),
    ("in stock", "stock"),
    ("out of stock", "stock"),
    ("sold out", "stock"),
    ("not working", "faulty"),
    ("doesnt work", "faulty"),
    ("does not work", "faulty"),
    ("didnt arrive", "lost missing"),
    ("hasnt arrived", "late missing"),
    ("not arrived", "late missing"),
    ("never arrived", "lost missing"),
    ("my order is late", "late order"),
    ("where is my order", "track order"),
    ("where is my parcel", "track parcel"),
    ("where is my package", "track package"),
    ("wheres my order", "track order"),
    ("wheres my parcel", "track parcel"),
    ("wheres my package", "track package"),
    ("united states", "usa"),
    ("united kingdom", "uk"),
    ("great britain", "uk"),
];

/// Words that mean about the same to someone who asks a shop. Small on purpose: a wrong relation answers the wrong question.
const MEANINGS: &[&str] = &[
    "ship shipping delivery deliver dispatch courier postage mail post",
    "parcel package order shipment",
    "arrive arrival delivery late delay delayed",
    "return returning refund reimburse reimbursement exchange",
    "exchange swap replace replacement",
    "open opening hours close closed closing",
    "pay payment paying paypal card visa mastercard klarna invoice checkout",
    "price cost costs fee fees charge charges pricing",
    "phone call telephone ring number",
    "contact email phone reach support",
    "address location located directions",
    "shop store showroom",
    "warranty guarantee guaranteed",
    "broken defective faulty defect fault damaged damage",
    "repair fix mend fixing spare",
    "cancel cancellation cancelling",
    "discount voucher coupon promo promotion sale code",
    "gift present wrapping wrapped",
    "size sizes sizing fit fits measure measurement dimension dimensions",
    "track tracking trace",
    "international abroad overseas worldwide foreign country countries",
    "weekend saturday sunday",
    "job jobs career careers vacancy vacancies hiring",
    "account login password profile",
    "sustainable sustainability environment environmental eco climate recycled",
    "free gratis",
    "collect collection pickup",
    "holiday holidays christmas easter",
    "material materials fabric made",
    "wash clean cleaning care washing",
    "subscription subscribe newsletter",
    "privacy data gdpr",
    "lost missing",
    "stock available availability",
    "customs duties duty import tax taxes vat",
    "usa america american",
    "uk britain england scotland wales",
    "eu europe european",
    "bike bicycle bikes",
    "quick fast express quickly",
    "wrong incorrect mistake",
    "workshop course class lesson",
    "wholesale bulk reseller trade",
];

/// Words that carry no subject. Sorted by nothing: the list is short and searched rarely.
#[rustfmt::skip]
const STOP_WORDS: &[&str] = &[
    "a", "an", "the", "and", "or", "but", "if", "then", "than", "so", "as", "of", "at", "by", "for", "with", "about", "into", "to",
    "from", "in", "on", "off", "over", "under", "up", "down", "out", "is", "am", "are", "was", "were", "be", "been", "being", "do",
    "does", "did", "doing", "done", "dont", "doesnt", "didnt", "have", "has", "had", "having", "havent", "hasnt", "can", "cant",
    "cannot", "could", "couldnt", "will", "wont", "would", "wouldnt", "shall", "should", "may", "might", "must", "i", "im", "ive",
    "id", "ill", "me", "my", "mine", "myself", "we", "us", "our", "ours", "you", "youre", "youve", "your", "yours", "yourself",
    "he", "him", "his", "she", "her", "it", "its", "they", "them", "their", "theyre", "this", "that", "thats", "these", "those",
    "there", "theres", "here", "what", "whats", "which", "who", "whom", "whose", "when", "where", "wheres", "why", "how", "hows",
    "all", "any", "some", "something", "anything", "thing", "things", "stuff", "both", "each", "more", "most", "much", "many",
    "very", "really", "just", "also", "too", "only", "even", "still", "again", "not", "no", "nor", "yes", "please", "pls", "plz",
    "thanks", "thank", "hi", "hello", "hey", "hiya", "ok", "okay", "well", "oh", "um", "want", "wanna", "wants", "wanted", "need",
    "needs", "needed", "like", "get", "gets", "getting", "got", "gonna", "go", "going", "know", "tell", "say", "let", "lets", "give",
    "help", "ask", "asking", "question", "questions", "wonder", "wondering", "possible", "able", "way", "guys", "folks", "u", "ur",
    "r", "s", "t", "d", "m", "re", "ve", "ll", "say", "says", "see", "think", "long", "come", "comes", "take", "takes", "make",
    "use", "find", "actually", "maybe", "perhaps", "sort", "kind", "bit", "quick", "quickly", "sir", "madam", "dear", "good",
    "great", "nice", "new", "one", "ones", "once", "now", "today", "happen", "happens", "case", "isnt", "arent", "wasnt", "because",
    "through", "during", "until", "while", "though", "between", "after", "before", "offer", "offers", "im", "lot", "curious",
    "information", "info", "mean", "means", "someone", "somebody", "anyone", "usually", "normally", "ever", "already", "yet", "else",
    "whether", "without", "via", "per",
];

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
