//! Weighs passages against a question: how much of what was asked does a passage speak of? Pure.
//!
//! bm25 has found the candidates, but its scores cannot tell a good answer from the best of bad ones. Coverage can: each word of the
//! question weighs as much as it is rare in the documents, and a word that no document knows weighs most.

use crate::store::query::words;
use crate::store::stem::stem;
use crate::store::{Found, Passage, Term};
use std::collections::HashSet;

/// Share of the question's weight that a passage must speak of to be given as the answer, or as a maybe.
const SURE: f64 = 0.55;
const UNSURE: f64 = 0.45;
/// What a word counts that is related, or mended, or says little by itself.
const RELATED: f64 = 0.8;
const MENDED: f64 = 0.9;
const SHOWN: f64 = 0.95;
const LIGHT: f64 = 0.3;
const HINT: f64 = 0.6;
/// What the words of the question before count when a follow-up leans on it.
const BEFORE: f64 = 0.35;
/// A passage whose heading or title speaks of a word is about it.
const IN_HEADING: f64 = 0.35;
const IN_TITLE: f64 = 0.25;
/// A second passage must speak of this share of what the first leaves open.
const SECOND: f64 = 0.7;
const SECOND_WEIGHT: f64 = 0.8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confidence {
    Sure,
    Unsure,
}

#[derive(Clone, Debug)]
pub struct Match {
    /// Index among the passages found.
    pub passage: usize,
    pub confidence: Confidence,
    /// What each term of the question counts when sentences are chosen.
    pub weights: Vec<f64>,
}

impl Match {
    /// Whether the passage holds any of these stems or something related to them.
    pub fn speaks_of(&self, found: &Found, stems: &[String]) -> bool {
        let passage = Bag::of(&whole(&found.passages[self.passage]));
        found
            .terms
            .iter()
            .any(|term| stems.contains(&term.stem) && strength(term, &passage) > 0.0)
    }
}

/// The passage that answers, or two where the question has two subjects. Empty: none is good enough.
/// `own`: the stems that the visitor asks now, where the rest comes from the question before.
/// `several`: the question may have two subjects.
pub fn best(found: &Found, own: Option<&[String]>, several: bool) -> Vec<Match> {
    let mut weights = weights(found);
    if let Some(own) = own {
        for (term, weight) in found.terms.iter().zip(&mut weights) {
            if !own.contains(&term.stem) {
                *weight *= BEFORE;
            }
        }
    }
    let bags: Vec<[Bag; 3]> = found
        .passages
        .iter()
        .map(|p| {
            let heading = p.heading.as_deref().unwrap_or_default();
            [Bag::of(&p.title), Bag::of(heading), Bag::of(&p.text)]
        })
        .collect();
    let Some((first, coverage)) = top(found, &bags, &weights) else {
        return Vec::new();
    };
    let held = |at: usize, term: &Term| {
        bags[at]
            .iter()
            .map(|bag| strength(term, bag))
            .fold(0.0, f64::max)
    };
    // What the first leaves open may be a question of its own: "opening hours, and do you take cards?"
    let open: Vec<f64> = found
        .terms
        .iter()
        .zip(&weights)
        .map(|(term, weight)| {
            if held(first, term) > 0.0 || term.hint {
                0.0
            } else {
                *weight
            }
        })
        .collect();
    let second = top(found, &bags, &open)
        .filter(|_| several)
        .filter(|(at, share)| {
            *at != first && *share >= SECOND && open.iter().sum::<f64>() >= SECOND_WEIGHT
        });
    let total: f64 = weights.iter().sum();
    let together =
        coverage + second.map_or(0.0, |(_, share)| share * open.iter().sum::<f64>() / total);
    let confidence = match together {
        share if share >= SURE => Confidence::Sure,
        share if share >= UNSURE => Confidence::Unsure,
        _ => return Vec::new(),
    };
    let mut matches = vec![Match {
        passage: first,
        confidence,
        weights,
    }];
    if let Some((passage, _)) = second {
        matches.push(Match {
            passage,
            confidence: Confidence::Sure,
            weights: open,
        });
    }
    matches
}

/// The passage that speaks of most, and the share of the weight that it covers.
fn top(found: &Found, bags: &[[Bag; 3]], weights: &[f64]) -> Option<(usize, f64)> {
    let top_score = found.passages.first().map_or(1.0, |p| p.score.max(1e-9));
    let rated = found.passages.iter().zip(bags).enumerate().map(
        |(at, (passage, [title, heading, body]))| {
            let mut covered = 0.0;
            let mut total = 0.0;
            let mut about = 0.0;
            for (term, weight) in found.terms.iter().zip(weights) {
                let held = [title, heading, body].map(|bag| strength(term, bag));
                let best = held.iter().copied().fold(0.0, f64::max);
                // A hint that is not met says nothing against a passage.
                if best > 0.0 || !term.hint {
                    total += weight;
                }
                covered += weight * best;
                about += weight * (held[1] * IN_HEADING + held[0] * IN_TITLE);
            }
            let share = if total > 0.0 { covered / total } else { 0.0 };
            (at, share, covered + about + 0.5 * passage.score / top_score)
        },
    );
    rated
        .filter(|(_, share, _)| *share > 0.0)
        .max_by(|a, b| a.2.total_cmp(&b.2))
        .map(|(at, share, _)| (at, share))
}

/// Rare words weigh more, words without a subject of their own less.
fn weights(found: &Found) -> Vec<f64> {
    let total = found.total.max(1) as f64;
    let weigh = |term: &Term| {
        let held = (term.passages as f64).clamp(0.5, total);
        let rare = (1.0 + (total - held + 0.5) / (held + 0.5)).ln();
        if term.hint {
            rare * HINT
        } else if LIGHT_WORDS.contains(&term.word.as_str()) || is_number(&term.word) {
            rare * LIGHT
        } else {
            rare
        }
    };
    found.terms.iter().map(weigh).collect()
}

/// How well a text speaks of a term: 1 for the word itself.
pub fn strength(term: &Term, bag: &Bag) -> f64 {
    // The address itself is a better answer than the word "address".
    if term.hint && term.stem == "address" && bag.place {
        1.0 + SHOWN
    } else if bag.stems.contains(&term.stem) {
        let mended = stem(&term.word) != term.stem;
        if mended { MENDED } else { 1.0 }
    } else if bag.shows(&term.stem) {
        SHOWN
    } else if term.related.iter().any(|s| bag.stems.contains(s)) {
        RELATED
    } else {
        0.0
    }
}

/// A text's words, for looking up.
#[derive(Debug, Default)]
pub struct Bag {
    stems: HashSet<String>,
    money: bool,
    clock: bool,
    span: bool,
    place: bool,
    phone: bool,
    mail: bool,
}

impl Bag {
    pub fn of(text: &str) -> Self {
        let words = words(text);
        let mut stems: HashSet<String> = words.iter().map(|w| stem(w)).collect();
        stems.extend(days_between(&words));
        Self {
            money: text.contains(['€', '$', '£']),
            clock: text.split(':').zip(text.split(':').skip(1)).any(|(a, b)| {
                a.ends_with(|c: char| c.is_ascii_digit())
                    && b.starts_with(|c: char| c.is_ascii_digit())
            }),
            span: number_then(&words, 2, &SPANS),
            place: number_then(&words, 3, &STREETS),
            phone: text
                .split('+')
                .skip(1)
                .any(|after| after.starts_with(|c: char| c.is_ascii_digit())),
            mail: text.contains('@'),
            stems,
        }
    }

    /// What is asked for need not be named: a price is there where a currency sign is.
    fn shows(&self, stem: &str) -> bool {
        match stem {
            "price" | "cost" => self.money,
            "hour" => self.clock,
            "dai" => self.span,
            "phone" | "telephon" | "call" => self.phone,
            "email" => self.mail,
            "contact" => self.phone || self.mail,
            _ => false,
        }
    }
}

/// A number with one of `what` among the next `within` words: "5 working days", "14 Juniper Lane".
fn number_then(words: &[String], within: usize, what: &[&str]) -> bool {
    words.iter().enumerate().any(|(at, word)| {
        let next = words.iter().skip(at + 1).take(within);
        is_number(word) && next.into_iter().any(|w| what.contains(&w.as_str()))
    })
}

fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}

const SPANS: [&str; 11] = [
    "day", "days", "week", "weeks", "month", "months", "year", "years", "hours", "minutes",
    "minute",
];
const STREETS: [&str; 13] = [
    "street",
    "st",
    "lane",
    "road",
    "rd",
    "avenue",
    "ave",
    "square",
    "quay",
    "drive",
    "strasse",
    "straße",
    "boulevard",
];

/// "Tuesday to Friday" also speaks of Wednesday.
fn days_between(words: &[String]) -> Vec<String> {
    const DAYS: [&str; 7] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let day = |word: &str| {
        DAYS.iter()
            .position(|d| *d == word || (word.len() >= 3 && word.len() <= 5 && d.starts_with(word)))
    };
    let mut found = Vec::new();
    for at in 0..words.len() {
        let last = match words.get(at + 1).map(String::as_str) {
            Some("to" | "until" | "till" | "through") => words.get(at + 2),
            other => other.and(words.get(at + 1)),
        };
        if let (Some(from), Some(to)) = (day(&words[at]), last.and_then(|w| day(w)))
            && from < to
        {
            found.extend(DAYS[from..=to].iter().map(|d| stem(d)));
        }
    }
    found
}

pub fn whole(passage: &Passage) -> String {
    let heading = passage.heading.as_deref().unwrap_or_default();
    format!("{}\n{heading}\n{}", passage.title, passage.text)
}

/// Words that shoppers use about everything.
#[rustfmt::skip]
const LIGHT_WORDS: &[&str] = &[
    "sell", "selling", "sold", "buy", "buying", "bought", "purchase", "purchased", "order", "ordered", "ordering", "orders", "shop",
    "store", "product", "products", "item", "items", "company", "business", "work", "works", "working", "bring",     "try", "tried", "leave", "left", "keep", "put", "show", "look", "looking", "start", "started", "stop", "hold", "send", "sending",
    "sent", "receive", "received", "receiving", "change", "check", "love", "prefer", "hope", "plan", "planning", "friend", "girlfriend",
    "boyfriend", "wife", "husband", "mum", "mom", "dad", "family", "home", "house", "time", "times", "day", "days", "week", "weeks",
    "month", "year", "last", "next", "first", "different", "big", "small", "best", "better", "bad", "cheap", "cheapest", "customer",
    "customers", "guy", "fan", "huge", "tomorrow", "tonight", "yesterday", "soon", "money", "problem", "issue", "wait", "waiting",
    "possible", "made", "produced", "called", "one", "two", "three", "four", "available", "accept", "accepted", "provide", "allow", "allowed", "require", "required", "expect", "website", "online",
    "site", "page", "read", "saw", "heard", "thing", "person", "people", "place", "option", "options", "way", "exactly", "please",
    "ask", "write", "written", "arrive", "arrived", "arrives", "live", "living", "based", "got", "bag",
    "bags", "happy", "recommend", "policy", "terms", "conditions", "rules", "details", "process", "procedure", "number", "choose", "pick", "add", "remove", "enter", "set", "run",
];
