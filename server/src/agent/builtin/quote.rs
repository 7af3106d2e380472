//! Chooses the sentences or list items of a passage that answer a question, and quotes them as they stand. Pure.

use super::rank::{Bag, strength};
use crate::store::{Passage, Term};

/// Units that score this share of the best one are quoted too.
const NEARLY: f64 = 0.7;
/// What a word counts that the heading has in other words.
const SHARPER: f64 = 0.6;
/// A paragraph up to this long is quoted whole: half a thought answers badly.
const PARAGRAPH_BYTES: usize = 320;
/// About how much a quote may hold, and how much of a passage that answers as a whole.
const QUOTE_BYTES: usize = 600;
const WHOLE_BYTES: usize = 320;

/// A sentence or list item, and the block it stands in.
struct Unit {
    block: usize,
    item: bool,
    text: String,
    score: f64,
}

/// The part of the passage that speaks of the terms most, as Markdown. Never empty for a passage with text.
pub fn from(passage: &Passage, terms: &[Term], weights: &[f64]) -> String {
    let mut units = units(&passage.text);
    // "Paying, vouchers and invoices" lists subjects: it does not say that every sentence is about all of them.
    let title = if passage.title.contains(',') {
        ""
    } else {
        passage.title.as_str()
    };
    let heading = passage.heading.as_deref().unwrap_or_default();
    let above = Bag::of(&format!("{title}\n{heading}"));
    for unit in &mut units {
        let bag = Bag::of(&unit.text);
        for (term, weight) in terms.iter().zip(weights) {
            // What the heading says is true of all that stands under it, and tells no sentence from another; unless the sentence
            // has the very word, and the heading only one like it.
            let held = strength(term, &bag);
            unit.score += match strength(term, &above) {
                0.0 => weight * held,
                heading if held > heading => weight * held * SHARPER,
                _ => 0.0,
            };
        }
    }
    let best = units.iter().map(|u| u.score).fold(0.0, f64::max);
    let mut chosen: Vec<bool> = units
        .iter()
        .map(|u| best > 0.0 && u.score >= best * NEARLY)
        .collect();
    if best == 0.0 {
        // The heading alone speaks of the question, so what stands under it is the answer.
        chosen = vec![true; units.len()];
    } else {
        // Where the best is told twice over, as in a list of similar items, one needs them all or only the best.
        complete_paragraphs(&units, &mut chosen);
    }
    let room = if best == 0.0 {
        WHOLE_BYTES
    } else {
        QUOTE_BYTES
    };
    written(passage, &units, &chosen, room)
}

/// Sentences of a text, list items and lines apart.
pub fn sentences(text: &str) -> Vec<String> {
    units(text).into_iter().map(|u| u.text).collect()
}

fn complete_paragraphs(units: &[Unit], chosen: &mut [bool]) {
    let blocks = units
        .iter()
        .map(|u| u.block)
        .max()
        .map_or(0, |last| last + 1);
    for block in 0..blocks {
        let members: Vec<usize> = (0..units.len())
            .filter(|at| units[*at].block == block)
            .collect();
        let length: usize = members.iter().map(|at| units[*at].text.len()).sum();
        let prose = members.iter().all(|at| !units[*at].item);
        if prose && length <= PARAGRAPH_BYTES && members.iter().any(|at| chosen[*at]) {
            members.iter().for_each(|at| chosen[*at] = true);
        }
    }
}

fn written(passage: &Passage, units: &[Unit], chosen: &[bool], room: usize) -> String {
    let mut text = String::new();
    let mut last: Option<&Unit> = None;
    if let Some(heading) = &passage.heading {
        // Tells what the sentences are about: a product's own description seldom names it.
        text.push_str(&format!("**{heading}**"));
    }
    for (unit, _) in units.iter().zip(chosen).filter(|(_, chosen)| **chosen) {
        let opens = last.is_some_and(|l| l.block != unit.block);
        let coming = match opens {
            // A block is begun only if all that is wanted of it fits.
            true => length(units, chosen, unit.block),
            false => unit.text.len(),
        };
        if last.is_some() && text.len() + coming > room {
            break;
        }
        let same = last.is_some_and(|l| l.block == unit.block);
        text.push_str(match (text.is_empty(), same, unit.item) {
            (true, _, _) => "",
            (false, true, true) => "\n",
            (false, true, false) => " ",
            (false, false, _) => "\n\n",
        });
        if unit.item {
            text.push_str("- ");
        }
        text.push_str(&unit.text);
        last = Some(unit);
    }
    text
}

fn length(units: &[Unit], chosen: &[bool], block: usize) -> usize {
    let wanted = units
        .iter()
        .zip(chosen)
        .filter(|(u, c)| **c && u.block == block);
    wanted.map(|(u, _)| u.text.len()).sum()
}

fn units(text: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut block = 0;
    let mut prose = String::new();
    let flush = |prose: &mut String, block: &mut usize, units: &mut Vec<Unit>| {
        let sentences = split_sentences(prose);
        if !sentences.is_empty() {
            units.extend(sentences.into_iter().map(|text| Unit {
                block: *block,
                item: false,
                text,
                score: 0.0,
            }));
            *block += 1;
        }
        prose.clear();
    };
    let mut in_list = false;
    for line in text.lines() {
        let line = line.trim();
        if let Some(item) = list_item(line) {
            flush(&mut prose, &mut block, &mut units);
            units.push(Unit {
                block,
                item: true,
                text: item.to_owned(),
                score: 0.0,
            });
            in_list = true;
        } else if line.is_empty() {
            flush(&mut prose, &mut block, &mut units);
            block += usize::from(std::mem::take(&mut in_list));
        } else if in_list && let Some(last) = units.last_mut() {
            // A list item that goes on in the next line.
            last.text.push(' ');
            last.text.push_str(line);
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    flush(&mut prose, &mut block, &mut units);
    units
}

fn list_item(line: &str) -> Option<&str> {
    let item = ["- ", "* ", "• ", "+ "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark));
    let numbered = || {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        (1..=2)
            .contains(&digits)
            .then(|| line[digits..].strip_prefix(". "))
            .flatten()
    };
    item.or_else(numbered)
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Ends a sentence at . ! ? or … when a space and something other than a lower-case letter follow, and at the end of a line that is a
/// sentence of its own.
fn split_sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut sentence = String::new();
    let mut chars = text.chars().peekable();
    let mut push = |sentence: &mut String| {
        let done = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
        if !done.is_empty() {
            sentences.push(done);
        }
        sentence.clear();
    };
    while let Some(c) = chars.next() {
        sentence.push(c);
        let end = matches!(c, '.' | '!' | '?' | '…') && !abbreviated(&sentence);
        if end && chars.peek().is_some_and(|next| next.is_whitespace()) {
            let mut ahead = chars.clone();
            let next = ahead.find(|c| !c.is_whitespace());
            if next.is_none_or(|n| !n.is_lowercase()) || c == '?' {
                push(&mut sentence);
            }
        }
    }
    push(&mut sentence);
    sentences
}

fn abbreviated(sentence: &str) -> bool {
    [
        "e.g.", "i.e.", "approx.", "No.", "St.", "Mr.", "Mrs.", "Dr.", "incl.", "etc.",
    ]
    .iter()
    .any(|end| sentence.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::terms;

    fn quote(text: &str, heading: Option<&str>, question: &str) -> String {
        let passage = Passage {
            document_id: "d".into(),
            title: "Title".into(),
            heading: heading.map(Into::into),
            url: None,
            text: text.into(),
            score: 1.0,
        };
        let terms = terms(question);
        let weights = vec![1.0; terms.len()];
        from(&passage, &terms, &weights)
    }

    #[test]
    fn sentences_end_where_people_end_them() {
        assert_eq!(
            sentences(
                "Open 9.30 to 17.00, e.g. Monday. Closed on Sunday! Really? yes.\n\n- One item\n- Two"
            ),
            [
                "Open 9.30 to 17.00, e.g. Monday.",
                "Closed on Sunday!",
                "Really?",
                "yes.",
                "One item",
                "Two"
            ]
        );
    }

    #[test]
    fn the_list_item_that_was_asked_for_is_quoted_with_its_heading() {
        let list = "- Monday: closed\n- Tuesday to Friday: 7:30–17:00\n- Sunday: 10:00–16:00";
        assert_eq!(
            quote(list, Some("Hours"), "sunday"),
            "**Hours**\n- Sunday: 10:00–16:00".replace("**\n", "**\n\n")
        );
        assert!(quote(list, None, "wednesday").contains("Tuesday to Friday"));
    }

    #[test]
    fn a_heading_that_says_it_all_gives_what_stands_under_it() {
        let list = "- Monday: closed\n- Sunday: open";
        assert_eq!(
            quote(list, None, "timetable"),
            "- Monday: closed\n- Sunday: open"
        );
    }

    #[test]
    fn short_paragraphs_are_quoted_whole() {
        let text =
            "Gift cards are valid for five years. They arrive at once.\n\nSomething else entirely.";
        assert_eq!(
            quote(text, None, "gift cards"),
            "Gift cards are valid for five years. They arrive at once."
        );
    }

    proptest::proptest! {
        #[test]
        fn any_passage_can_be_quoted(text in "[ -~\n€äß…]{0,600}", question in "[a-z ]{0,60}") {
            let quoted = quote(&text, None, &question);
            proptest::prop_assert!(quoted.len() <= text.len() + 3 * text.lines().count() + 8);
        }
    }
}
