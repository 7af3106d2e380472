//! Porter's stemmer (M. F. Porter, "An algorithm for suffix stripping", 1980), the one that SQLite's `porter` tokenizer applies,
//! so that words compared here meet the stems in the index.

/// The stem of a lower-case word. Words that are not plain a–z come back as they are.
pub fn stem(word: &str) -> String {
    if word.len() < 3 || word.len() > 64 || !word.bytes().all(|b| b.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let mut w = word.as_bytes().to_vec();
    plural(&mut w);
    past(&mut w);
    if ends(&w, b"y") && has_vowel(&w[..w.len() - 1]) {
        let last = w.len() - 1;
        w[last] = b'i';
    }
    replace_first(&mut w, DOUBLE, 0);
    replace_first(&mut w, SINGLE, 0);
    residue(&mut w);
    tidy(&mut w);
    String::from_utf8(w).unwrap_or_else(|_| word.to_owned())
}

/// Step 2: double suffixes to single ones.
#[rustfmt::skip]
const DOUBLE: &[(&[u8], &[u8])] = &[
    (b"ational", b"ate"), (b"tional", b"tion"), (b"enci", b"ence"), (b"anci", b"ance"), (b"izer", b"ize"),
    (b"bli", b"ble"), (b"alli", b"al"), (b"entli", b"ent"), (b"eli", b"e"), (b"ousli", b"ous"),
    (b"ization", b"ize"), (b"ation", b"ate"), (b"ator", b"ate"), (b"alism", b"al"), (b"iveness", b"ive"),
    (b"fulness", b"ful"), (b"ousness", b"ous"), (b"aliti", b"al"), (b"iviti", b"ive"), (b"biliti", b"ble"), (b"logi", b"log"),
];
/// Step 3.
#[rustfmt::skip]
const SINGLE: &[(&[u8], &[u8])] = &[
    (b"icate", b"ic"), (b"ative", b""), (b"alize", b"al"), (b"iciti", b"ic"), (b"ical", b"ic"), (b"ful", b""), (b"ness", b""),
];
/// Step 4.
#[rustfmt::skip]
const RESIDUE: &[&[u8]] = &[
    b"al", b"ance", b"ence", b"er", b"ic", b"able", b"ible", b"ant", b"ement", b"ment", b"ent", b"ion", b"ou", b"ism", b"ate",
    b"iti", b"ous", b"ive", b"ize",
];

fn plural(w: &mut Vec<u8>) {
    if ends(w, b"sses") || ends(w, b"ies") {
        w.truncate(w.len() - 2);
    } else if ends(w, b"s") && !ends(w, b"ss") {
        w.truncate(w.len() - 1);
    }
}

fn past(w: &mut Vec<u8>) {
    if ends(w, b"eed") {
        if measure(&w[..w.len() - 3]) > 0 {
            w.truncate(w.len() - 1);
        }
        return;
    }
    let cut = [b"ed".as_slice(), b"ing".as_slice()]
        .iter()
        .find(|end| ends(w, end))
        .map(|end| w.len() - end.len());
    let Some(cut) = cut else { return };
    if !has_vowel(&w[..cut]) {
        return;
    }
    w.truncate(cut);
    if ends(w, b"at") || ends(w, b"bl") || ends(w, b"iz") {
        w.push(b'e');
    } else if double_consonant(w) && !matches!(w.last(), Some(b'l' | b's' | b'z')) {
        w.pop();
    } else if measure(w) == 1 && consonant_vowel_consonant(w) {
        w.push(b'e');
    }
}

/// Replaces the longest suffix of the table that fits, where the measure before it is above `above`.
fn replace_first(w: &mut Vec<u8>, table: &[(&[u8], &[u8])], above: usize) {
    let longest = table
        .iter()
        .filter(|(from, _)| ends(w, from))
        .max_by_key(|(from, _)| from.len());
    if let Some((from, to)) = longest {
        let cut = w.len() - from.len();
        if measure(&w[..cut]) > above {
            w.truncate(cut);
            w.extend_from_slice(to);
        }
    }
}

fn residue(w: &mut Vec<u8>) {
    let longest = RESIDUE
        .iter()
        .filter(|end| ends(w, end))
        .max_by_key(|end| end.len());
    if let Some(end) = longest {
        let cut = w.len() - end.len();
        let fits = *end != b"ion" || matches!(w[..cut].last(), Some(b's' | b't'));
        if fits && measure(&w[..cut]) > 1 {
            w.truncate(cut);
        }
    }
}

fn tidy(w: &mut Vec<u8>) {
    if ends(w, b"e") {
        let head = &w[..w.len() - 1];
        let m = measure(head);
        if m > 1 || (m == 1 && !consonant_vowel_consonant(head)) {
            w.pop();
        }
    }
    if measure(w) > 1 && double_consonant(w) && ends(w, b"l") {
        w.pop();
    }
}

fn ends(w: &[u8], end: &[u8]) -> bool {
    w.len() > end.len() && w.ends_with(end)
}

fn is_consonant(w: &[u8], at: usize) -> bool {
    match w[at] {
        b'a' | b'e' | b'i' | b'o' | b'u' => false,
        b'y' => at == 0 || !is_consonant(w, at - 1),
        _ => true,
    }
}

fn has_vowel(w: &[u8]) -> bool {
    (0..w.len()).any(|at| !is_consonant(w, at))
}

/// How many times a vowel is followed by a consonant.
fn measure(w: &[u8]) -> usize {
    (1..w.len())
        .filter(|at| is_consonant(w, *at) && !is_consonant(w, at - 1))
        .count()
}

fn double_consonant(w: &[u8]) -> bool {
    w.len() >= 2 && w[w.len() - 1] == w[w.len() - 2] && is_consonant(w, w.len() - 1)
}

fn consonant_vowel_consonant(w: &[u8]) -> bool {
    let n = w.len();
    n >= 3
        && is_consonant(w, n - 3)
        && !is_consonant(w, n - 2)
        && is_consonant(w, n - 1)
        && !matches!(w[n - 1], b'w' | b'x' | b'y')
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn words_meet_the_stems_of_porters_paper() {
        #[rustfmt::skip]
        let cases = [
            ("caresses", "caress"), ("ponies", "poni"), ("cats", "cat"), ("feed", "feed"), ("agreed", "agre"),
            ("plastered", "plaster"), ("motoring", "motor"), ("sing", "sing"), ("conflated", "conflat"),
            ("hopping", "hop"), ("falling", "fall"), ("filing", "file"), ("happy", "happi"), ("sky", "sky"),
            ("relational", "relat"), ("conditional", "condit"), ("electrical", "electr"), ("goodness", "good"),
            ("adjustment", "adjust"), ("adoption", "adopt"), ("effective", "effect"), ("probate", "probat"),
            ("rate", "rate"), ("controlling", "control"), ("delivery", "deliveri"), ("deliveries", "deliveri"),
            ("returns", "return"), ("shipping", "ship"), ("shipped", "ship"), ("opening", "open"),
        ];
        for (word, expected) in cases {
            assert_eq!(stem(word), expected, "{word}");
        }
    }

    #[test]
    fn other_alphabets_and_numbers_stay_as_they_are() {
        for word in ["größe", "доставка", "42", "a1", "is"] {
            assert_eq!(stem(word), word);
        }
    }
}
