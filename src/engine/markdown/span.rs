//! Inline formatting: one block's text → emphasis, code, links, line breaks.

use super::{Doc, MAX_LINK_TARGET, Tag, bounded, safe_href};
use crate::engine::text::cut::cut;

/// How deep emphasis may nest. Deeper markers stay text.
const MAX_DEPTH: u8 = 4;
/// Longest link text looked for, in bytes; bounds the search after each `[`.
const MAX_LINK_TEXT: usize = 400;
/// Most backticks that open code.
const MAX_TICKS: usize = 8;

/// Formats one block's text. `tail`: more may follow it.
pub(super) fn inline(doc: &mut Doc, text: &str, tail: bool) {
    Span {
        doc,
        text,
        at: 0,
        tail,
        depth: 0,
        in_link: false,
        missing: 0,
    }
    .run();
}

struct Span<'a> {
    doc: &'a mut Doc,
    text: &'a str,
    at: usize,
    tail: bool,
    depth: u8,
    in_link: bool,
    /// Bit per marker: no closer follows, so it is not looked for again.
    missing: u8,
}

impl<'a> Span<'a> {
    fn run(&mut self) {
        while let Some(c) = self.rest().chars().next() {
            let taken = match c {
                '\\' => self.escape(),
                '`' => self.code(),
                '*' | '_' => self.emphasis(c),
                '!' | '[' => self.link(),
                '<' => self.angle(),
                'h' | 'H' => self.bare(),
                '\n' => {
                    self.doc.step(Tag::Break, "");
                    self.doc.close();
                    self.at += 1;
                    true
                }
                _ => false,
            };
            if !taken {
                self.doc.text.push(c);
                self.at += c.len_utf8();
            }
        }
        self.doc.flush();
    }

    fn rest(&self) -> &'a str {
        tail(self.text, self.at)
    }

    /// Text inside an element that is open.
    fn inner(&mut self, text: &'a str, tail: bool, in_link: bool) {
        Span {
            doc: &mut *self.doc,
            text,
            at: 0,
            tail,
            depth: self.depth + 1,
            in_link: self.in_link || in_link,
            missing: 0,
        }
        .run();
    }

    /// Takes `used` bytes as an element that holds just these words.
    fn element(&mut self, tag: Tag, about: &str, words: &str, used: usize) -> bool {
        self.doc.step(tag, about);
        self.doc.step(Tag::Text, words);
        self.doc.close();
        self.at += used;
        true
    }

    /// Takes bytes (ASCII markers) as text.
    fn keep(&mut self, bytes: usize) -> bool {
        self.doc.text.push_str(head(self.rest(), bytes));
        self.at += bytes;
        true
    }

    fn escape(&mut self) -> bool {
        let escapes = self.rest().as_bytes().get(1);
        if !escapes.is_some_and(u8::is_ascii_punctuation) {
            return false;
        }
        self.at += 1;
        self.keep(1)
    }

    fn code(&mut self) -> bool {
        const BIT: u8 = 1 << 4;
        let rest = self.rest();
        let ticks = run_of(rest, b'`');
        let body = tail(rest, ticks);
        let end = if self.missing & BIT == 0 && ticks <= MAX_TICKS {
            find(body, head(rest, ticks))
        } else {
            None
        };
        let (code, used) = match end {
            Some(end) => (head(body, end), end + ticks),
            None if self.tail && !body.is_empty() => (body, body.len()),
            None => {
                self.missing |= BIT;
                return self.keep(ticks);
            }
        };
        self.element(Tag::Code, "", code.trim(), ticks + used)
    }

    /// `**bold**`, `*italic*`, and the same with `_`, which must stand at a word's edge.
    fn emphasis(&mut self, sign: char) -> bool {
        let rest = self.rest();
        let width = run_of(rest, sign as u8).min(2);
        let underscore = sign == '_';
        let bit = 1 << (width + usize::from(underscore) * 2 - 1);
        let body = tail(rest, width);
        let opens = body.chars().next().is_some_and(|c| !c.is_whitespace())
            && !(underscore && self.follows_word());
        if !opens || self.depth >= MAX_DEPTH {
            return self.keep(width);
        }
        let end = if self.missing & bit == 0 {
            closer(body, sign as u8, width)
        } else {
            None
        };
        let tag = if width == 2 { Tag::Bold } else { Tag::Italic };
        let (inner, used) = match end {
            Some(end) => (head(body, end), end + width),
            None if self.tail => (body, body.len()),
            None => {
                self.missing |= bit;
                return self.keep(width);
            }
        };
        self.doc.step(tag, "");
        self.inner(inner, end.is_none(), false);
        self.doc.close();
        self.at += width + used;
        true
    }

    /// `[text](target)` and `![alt](target)`.
    fn link(&mut self) -> bool {
        let rest = self.rest();
        let body = rest.strip_prefix('!').unwrap_or(rest);
        let Some(body) = body.strip_prefix('[').filter(|_| !self.in_link) else {
            return false;
        };
        let skip = rest.len() - body.len();
        let Some(middle) = find(bounded(body, MAX_LINK_TEXT + 2), "](") else {
            return false;
        };
        let label = head(body, middle);
        let target = tail(body, middle + 2);
        let Some(end) = find(bounded(target, MAX_LINK_TARGET + 1), ")") else {
            // The target is still being written: show the words, not the half address.
            let unfinished = self.tail && !target.chars().any(char::is_whitespace);
            if unfinished {
                self.inner(label, false, true);
                self.at = self.text.len();
            }
            return unfinished;
        };
        let Some(href) = safe_href(cut(head(target, end), b' ').0) else {
            return false;
        };
        self.doc.step(Tag::Link, href);
        let named = !label.trim().is_empty();
        self.inner(if named { label } else { href }, false, true);
        self.doc.close();
        self.at += skip + middle + 2 + end + 1;
        true
    }

    /// `<https://…>`, `<mailto:…>`.
    fn angle(&mut self) -> bool {
        let body = tail(self.rest(), 1);
        // Before anything is searched for: a text full of `<` must not cost a search for each.
        let scheme = cut(bounded(body, "mailto:".len()), b':').0;
        let known = ["http", "https", "mailto", "tel"];
        if !known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return false;
        }
        let Some(end) = find(bounded(body, MAX_LINK_TARGET + 1), ">") else {
            return false;
        };
        match safe_href(head(body, end)) {
            Some(href) if !self.in_link => self.element(Tag::Link, href, href, end + 2),
            _ => false,
        }
    }

    /// `https://…` in running text, without the punctuation that ends the sentence.
    fn bare(&mut self) -> bool {
        let rest = bounded(self.rest(), MAX_LINK_TARGET);
        let scheme = ["http://", "https://"]
            .into_iter()
            .find(|scheme| head(rest, scheme.len()).eq_ignore_ascii_case(scheme));
        let Some(scheme) = scheme.filter(|_| !self.in_link && !self.follows_word()) else {
            return false;
        };
        let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '*');
        let end = rest.char_indices().find(|(_, c)| ends(*c));
        let mut address = head(rest, end.map_or(rest.len(), |(at, _)| at));
        let bracketed = address.bytes().any(|byte| byte == b'(');
        while let Some(c) = address.chars().next_back()
            && (matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '…')
                || c == ')' && !bracketed)
        {
            address = head(address, address.len() - c.len_utf8());
        }
        // A scheme alone is no address.
        match safe_href(address).filter(|_| address.len() > scheme.len()) {
            Some(href) => self.element(Tag::Link, href, href, href.len()),
            None => false,
        }
    }

    fn follows_word(&self) -> bool {
        let before = head(self.text, self.at).chars().next_back();
        before.is_some_and(is_word)
    }
}

/// Letters and digits, near enough: beyond ASCII everything but punctuation and spaces. Unicode's own tables would cost 3 kB.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || (c >= '\u{aa}'
            && !matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '«' | '»' | '·' | '¿'))
}

fn head(text: &str, end: usize) -> &str {
    text.get(..end).unwrap_or("")
}

fn tail(text: &str, start: usize) -> &str {
    text.get(start..).unwrap_or("")
}

/// How many of `sign` stand at the start.
fn run_of(text: &str, sign: u8) -> usize {
    text.bytes().take_while(|byte| *byte == sign).count()
}

/// Where a short marker begins. The standard library's search is made for long ones, and is larger than this whole file.
fn find(text: &str, marker: &str) -> Option<usize> {
    text.as_bytes()
        .windows(marker.len().max(1))
        .position(|window| window == marker.as_bytes())
}

/// Where the emphasis that `width` signs opened ends: after a non-space, and for a single one not in the middle of a double one.
fn closer(body: &str, sign: u8, width: usize) -> Option<usize> {
    let bytes = body.as_bytes();
    let mut at = 0;
    loop {
        at += tail(body, at).bytes().position(|byte| byte == sign)?;
        let run = run_of(tail(body, at), sign);
        let end = at + run;
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let closes = before.is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'\\');
        let fits = if width == 1 { run != 2 } else { run >= 2 };
        let edge = sign != b'_' || !tail(body, end).chars().next().is_some_and(is_word);
        if closes && fits && edge {
            // `***`: the inner mark closes first, so a double one ends at the run's end.
            return Some(if width == 2 { end - 2 } else { at });
        }
        at = end;
    }
}
