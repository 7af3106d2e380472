//! Agent text → a small tree; no HTML anywhere. A subset of CommonMark: what agents really write in a chat.
//!
//! Hostile input is the normal case: one pass over the lines, inline nesting bounded by [`MAX_DEPTH`], every search bounded or remembered, so
//! time is linear in the text. Images become links (nothing that the model names is fetched), and only four link schemes exist.
//! Tables, HTML and reference links are not understood: their text is shown as it is.

/// How deep emphasis may nest. Deeper markers stay text.
const MAX_DEPTH: u8 = 4;
/// Longest link text and target looked for, in bytes; bounds the search after each `[`.
const MAX_LINK_TEXT: usize = 400;
const MAX_LINK_TARGET: usize = 2_000;
/// Text after this many bytes is shown unformatted.
const MAX_FORMATTED: usize = 64 * 1024;

mod plain;
pub use plain::plain;

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    Paragraph(Vec<Inline>),
    Heading(Vec<Inline>),
    Quote(Vec<Inline>),
    /// Preformatted: fenced code, and tables.
    Code(String),
    List {
        /// First number of an ordered list.
        start: Option<u32>,
        items: Vec<ListItem>,
    },
    Rule,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListItem {
    pub body: Vec<Inline>,
    /// One level of nesting; `start` as in [`Block::List`].
    pub nested_start: Option<u32>,
    pub nested: Vec<Vec<Inline>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Inline {
    Text(String),
    Break,
    Code(String),
    Bold(Vec<Inline>),
    Italic(Vec<Inline>),
    Link {
        /// `http:`, `https:`, `mailto:` or `tel:`; no control, space or bidi characters.
        href: String,
        body: Vec<Inline>,
    },
}

/// Parses an agent's text. `streaming`: more may follow, so what is still open at the end (a fence, emphasis, a link) is shown as what it will become.
pub fn parse(text: &str, streaming: bool) -> Vec<Block> {
    let formatted = bounded(text, MAX_FORMATTED);
    let rest = text.get(formatted.len()..).unwrap_or("");
    let mut blocks = Blocks {
        streaming: streaming && rest.is_empty(),
        ..Blocks::default()
    };
    for line in formatted.lines() {
        blocks.line(line);
    }
    blocks.finish();
    if !rest.is_empty() {
        blocks
            .done
            .push(Block::Paragraph(vec![Inline::Text(rest.to_owned())]));
    }
    blocks.done
}

/// The target of a link if it is one of the four schemes and carries nothing that deceives the eye.
pub fn safe_href(target: &str) -> Option<String> {
    let target = target.trim();
    if target.len() > MAX_LINK_TARGET
        || target
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || is_bidi(c))
    {
        return None;
    }
    let (scheme, rest) = target.split_once(':')?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    let web = (is("http") || is("https")) && rest.starts_with("//") && rest.len() > 2;
    let direct = (is("mailto") || is("tel")) && !rest.is_empty();
    (web || direct).then(|| target.to_owned())
}

/// Characters that reorder the text around them (U+202A–E, U+2066–9) or hide in it.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// Letters and digits, near enough: beyond ASCII everything but punctuation and spaces. Unicode's own tables would cost 3 kB.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || (c >= '\u{aa}'
            && !matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '«' | '»' | '·' | '¿'))
}

#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Paragraph(String),
    Quote(String),
    Table(String),
    /// Text so far and the closing fence.
    Fence(String, &'static str),
    List {
        start: Option<u32>,
        items: Vec<RawItem>,
        /// A blank line came: only another item goes on.
        loose: bool,
    },
}

#[derive(Default)]
struct RawItem {
    body: String,
    nested_start: Option<u32>,
    nested: Vec<String>,
}

#[derive(Default)]
struct Blocks {
    done: Vec<Block>,
    open: Open,
    streaming: bool,
}

impl Blocks {
    fn line(&mut self, line: &str) {
        if let Open::Fence(text, fence) = &mut self.open {
            if line.trim().starts_with(*fence) {
                self.close(false);
            } else {
                join(text, line);
            }
            return;
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let content = line.trim();
        if content.is_empty() {
            match &mut self.open {
                Open::List { loose, .. } => *loose = true,
                _ => self.close(false),
            }
            return;
        }
        if let Some(fence) = ["```", "~~~"].into_iter().find(|fence| {
            content
                .strip_prefix(fence)
                .is_some_and(|info| !info.contains('`'))
        }) {
            self.close(false);
            self.open = Open::Fence(String::new(), fence);
            return;
        }
        if let Some((start, body)) = list_marker(content) {
            return self.item(start, body, indent >= 2);
        }
        if let Some(body) = heading(content) {
            self.close(false);
            self.done.push(Block::Heading(inlines(body, false)));
            return;
        }
        if is_rule(content) {
            self.close(false);
            self.done.push(Block::Rule);
            return;
        }
        if let Some(body) = content.strip_prefix('>') {
            if !matches!(self.open, Open::Quote(_)) {
                self.close(false);
                self.open = Open::Quote(String::new());
            }
            if let Open::Quote(text) = &mut self.open {
                join(text, body.trim_start());
            }
            return;
        }
        if content.starts_with('|') && content.len() > 1 {
            if !matches!(self.open, Open::Table(_)) {
                self.close(false);
                self.open = Open::Table(String::new());
            }
            if let Open::Table(text) = &mut self.open {
                join(text, content);
            }
            return;
        }
        match &mut self.open {
            Open::Paragraph(text) => join(text, content),
            Open::List { items, loose, .. } if !*loose || indent >= 2 => {
                *loose = false;
                if let Some(item) = items.last_mut() {
                    join(item.nested.last_mut().unwrap_or(&mut item.body), content);
                }
            }
            _ => {
                self.close(false);
                self.open = Open::Paragraph(content.to_owned());
            }
        }
    }

    fn item(&mut self, start: Option<u32>, body: &str, nested: bool) {
        if let Open::List {
            start: kind,
            items,
            loose,
        } = &mut self.open
        {
            *loose = false;
            if nested && let Some(item) = items.last_mut() {
                if item.nested.is_empty() {
                    item.nested_start = start;
                }
                item.nested.push(body.to_owned());
                return;
            }
            if kind.is_some() == start.is_some() {
                items.push(RawItem {
                    body: body.to_owned(),
                    ..RawItem::default()
                });
                return;
            }
        }
        self.close(false);
        self.open = Open::List {
            start,
            items: vec![RawItem {
                body: body.to_owned(),
                ..RawItem::default()
            }],
            loose: false,
        };
    }

    fn finish(&mut self) {
        self.close(self.streaming);
    }

    /// Ends the open block. `tail`: it is the last one and more text may follow.
    fn close(&mut self, tail: bool) {
        let block = match std::mem::take(&mut self.open) {
            Open::Nothing => return,
            Open::Paragraph(text) => Block::Paragraph(inlines(&text, tail)),
            Open::Quote(text) => Block::Quote(inlines(&text, tail)),
            Open::Table(text) | Open::Fence(text, _) => Block::Code(text),
            Open::List { start, items, .. } => Block::List {
                start,
                items: items
                    .into_iter()
                    .map(|raw| ListItem {
                        body: inlines(&raw.body, tail),
                        nested_start: raw.nested_start,
                        nested: raw.nested.iter().map(|text| inlines(text, tail)).collect(),
                    })
                    .collect(),
            },
        };
        self.done.push(block);
    }
}

fn join(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

fn heading(line: &str) -> Option<&str> {
    let body = line.trim_start_matches('#');
    let level = line.len() - body.len();
    ((1..=6).contains(&level) && body.starts_with(' '))
        .then(|| body.trim().trim_end_matches('#').trim_end())
}

fn is_rule(line: &str) -> bool {
    line.len() >= 3
        && ["-", "*", "_"]
            .iter()
            .any(|mark| line.split(mark).all(|gap| gap.trim().is_empty()))
}

/// `- text`, `* text`, `+ text`, `1. text`, `1) text` → (number, text).
fn list_marker(line: &str) -> Option<(Option<u32>, &str)> {
    if let Some(body) = ["- ", "* ", "+ ", "• "]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
    {
        return (!is_rule(line)).then(|| (None, body.trim_start()));
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=9).contains(&digits) {
        return None;
    }
    let (number, rest) = line.split_at(digits);
    let body = rest
        .strip_prefix(". ")
        .or_else(|| rest.strip_prefix(") "))?;
    Some((Some(number.parse().ok()?), body.trim_start()))
}

/// Inline formatting of one block's text.
fn inlines(text: &str, tail: bool) -> Vec<Inline> {
    Span {
        text,
        at: 0,
        plain: String::new(),
        out: Vec::new(),
        tail,
        depth: 0,
        in_link: false,
        missing: 0,
    }
    .run()
}

struct Span<'a> {
    text: &'a str,
    at: usize,
    plain: String,
    out: Vec<Inline>,
    tail: bool,
    depth: u8,
    in_link: bool,
    /// Bit per marker: no closer follows, so it is not looked for again.
    missing: u8,
}

/// Markers of emphasis, longest first, and whether they are bold. `_` must stand at a word's edge.
const MARKS: [(&str, bool); 4] = [("**", true), ("__", true), ("*", false), ("_", false)];

impl<'a> Span<'a> {
    fn run(mut self) -> Vec<Inline> {
        while let Some(c) = self.rest().chars().next() {
            let taken = match c {
                '\\' => self.escape(),
                '`' => self.code(),
                '*' | '_' => self.emphasis(),
                '!' | '[' => self.link(),
                '<' => self.angle(),
                'h' | 'H' if !self.in_link => self.bare(),
                '\n' => {
                    self.flush();
                    self.out.push(Inline::Break);
                    self.at += 1;
                    true
                }
                _ => false,
            };
            if !taken {
                self.plain.push(c);
                self.at += c.len_utf8();
            }
        }
        self.flush();
        self.out
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn flush(&mut self) {
        if !self.plain.is_empty() {
            self.out.push(Inline::Text(std::mem::take(&mut self.plain)));
        }
    }

    fn inner(&self, text: &'a str, tail: bool, in_link: bool) -> Vec<Inline> {
        Span {
            text,
            at: 0,
            plain: String::new(),
            out: Vec::new(),
            tail,
            depth: self.depth + 1,
            in_link,
            missing: 0,
        }
        .run()
    }

    fn escape(&mut self) -> bool {
        match self.rest().as_bytes().get(1) {
            Some(mark) if mark.is_ascii_punctuation() => {
                self.plain.push(*mark as char);
                self.at += 2;
                true
            }
            _ => false,
        }
    }

    fn code(&mut self) -> bool {
        const BIT: u8 = 1 << 4;
        let rest = self.rest();
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let Some(fence) = rest.get(..ticks) else {
            return false;
        };
        let body = rest.get(ticks..).unwrap_or("");
        let (code, used) = match (self.missing & BIT == 0)
            .then(|| body.find(fence))
            .flatten()
        {
            Some(end) if end > 0 => (body.get(..end).unwrap_or(""), end + ticks),
            Some(_) => return self.keep(ticks),
            None if self.tail && !body.is_empty() => (body, body.len()),
            None => {
                self.missing |= BIT;
                return self.keep(ticks);
            }
        };
        self.flush();
        self.out.push(Inline::Code(code.trim().to_owned()));
        self.at += ticks + used;
        true
    }

    /// Takes bytes (ASCII markers) as text.
    fn keep(&mut self, bytes: usize) -> bool {
        self.plain.push_str(self.rest().get(..bytes).unwrap_or(""));
        self.at += bytes;
        true
    }

    fn emphasis(&mut self) -> bool {
        let rest = self.rest();
        let Some((index, (mark, bold))) = MARKS
            .iter()
            .enumerate()
            .find(|(_, (mark, _))| rest.starts_with(mark))
        else {
            return false;
        };
        let body = rest.get(mark.len()..).unwrap_or("");
        let before = self
            .text
            .get(..self.at)
            .and_then(|text| text.chars().next_back());
        let word_before = before.is_some_and(is_word);
        let opens = body.chars().next().is_some_and(|c| !c.is_whitespace())
            && !(word_before && mark.starts_with('_'));
        let bit = 1 << index;
        if !opens || self.depth >= MAX_DEPTH {
            return self.keep(mark.len());
        }
        let end = if self.missing & bit == 0 {
            closer(body, mark)
        } else {
            None
        };
        let (inner, used, tail) = match end {
            Some(end) => (body.get(..end).unwrap_or(""), end + mark.len(), false),
            None if self.tail => (body, body.len(), true),
            None => {
                self.missing |= bit;
                return self.keep(mark.len());
            }
        };
        let children = self.inner(inner, tail, self.in_link);
        self.flush();
        self.out.push(if *bold {
            Inline::Bold(children)
        } else {
            Inline::Italic(children)
        });
        self.at += mark.len() + used;
        true
    }

    /// `[text](target)` and `![alt](target)`.
    fn link(&mut self) -> bool {
        let rest = self.rest();
        let image = rest.starts_with("![");
        let skip = if image { 2 } else { 1 };
        if self.in_link || !(image || rest.starts_with('[')) {
            return false;
        }
        let body = rest.get(skip..).unwrap_or("");
        let Some(middle) = find_within(body, "](", MAX_LINK_TEXT) else {
            return false;
        };
        let label = body.get(..middle).unwrap_or("");
        let target = body.get(middle + 2..).unwrap_or("");
        let Some(end) = find_within(target, ")", MAX_LINK_TARGET) else {
            // The target is still being written: show the words, not the half address.
            let unfinished = self.tail && !target.contains(char::is_whitespace);
            if unfinished {
                let children = self.inner(label, false, true);
                self.flush();
                self.out.extend(children);
                self.at = self.text.len();
            }
            return unfinished;
        };
        let address = target
            .get(..end)
            .unwrap_or("")
            .split(' ')
            .next()
            .unwrap_or("");
        let Some(href) = safe_href(address) else {
            return false;
        };
        let children = if label.trim().is_empty() {
            vec![Inline::Text(href.clone())]
        } else {
            self.inner(label, false, true)
        };
        self.flush();
        self.out.push(Inline::Link {
            href,
            body: children,
        });
        self.at += skip + middle + 2 + end + 1;
        true
    }

    /// `<https://…>`, `<mailto:…>`.
    fn angle(&mut self) -> bool {
        let body = self.rest().get(1..).unwrap_or("");
        let Some(end) = find_within(body, ">", MAX_LINK_TARGET) else {
            return false;
        };
        let target = body.get(..end).unwrap_or("");
        match safe_href(target) {
            Some(href) if !self.in_link => {
                self.flush();
                self.out.push(Inline::Link {
                    href,
                    body: vec![Inline::Text(target.to_owned())],
                });
                self.at += end + 2;
                true
            }
            _ => false,
        }
    }

    /// `https://…` in running text, without the punctuation that ends the sentence.
    fn bare(&mut self) -> bool {
        let rest = self.rest();
        let before = self
            .text
            .get(..self.at)
            .and_then(|text| text.chars().next_back());
        if before.is_some_and(is_word)
            || !["http://", "https://"]
                .iter()
                .any(|scheme| starts_with_ignoring_case(rest, scheme))
        {
            return false;
        }
        let rest = bounded(rest, MAX_LINK_TARGET);
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | '*'))
            .unwrap_or(rest.len());
        let mut address = rest.get(..end).unwrap_or("");
        address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '…']);
        if !address.contains('(') {
            address = address.trim_end_matches(')');
        }
        let Some(href) = safe_href(address) else {
            return false;
        };
        if address
            .split_once("//")
            .is_none_or(|(_, host)| host.is_empty())
        {
            return false;
        }
        self.flush();
        self.out.push(Inline::Link {
            href,
            body: vec![Inline::Text(address.to_owned())],
        });
        self.at += address.len();
        true
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Position of `needle` if it begins within the first `limit` bytes.
fn find_within(text: &str, needle: &str, limit: usize) -> Option<usize> {
    bounded(text, limit + needle.len()).find(needle)
}

/// The first `limit` bytes at most, cut between characters.
fn bounded(text: &str, limit: usize) -> &str {
    let mut cut = text.len().min(limit);
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    text.get(..cut).unwrap_or("")
}

/// Where the emphasis that `mark` opened ends: after a non-space, and for a single mark not in the middle of a double one.
fn closer(body: &str, mark: &str) -> Option<usize> {
    let bytes = body.as_bytes();
    let sign = *mark.as_bytes().first()?;
    let mut at = 0;
    while let Some(found) = body.get(at..)?.find(mark) {
        let end = at + found;
        let run = bytes
            .get(end..)
            .map_or(0, |rest| rest.iter().take_while(|b| **b == sign).count());
        let closes = end > 0
            && !bytes.get(end - 1).is_some_and(u8::is_ascii_whitespace)
            && bytes.get(end - 1) != Some(&b'\\');
        let fits = if mark.len() == 1 { run != 2 } else { run >= 2 };
        let edge = sign != b'_'
            || !body
                .get(end + run..)
                .and_then(|rest| rest.chars().next())
                .is_some_and(is_word);
        if closes && fits && edge {
            // `***`: the inner mark closes first, so a double one ends at the run's end.
            return Some(if mark.len() == 2 { end + run - 2 } else { end });
        }
        at = end + run;
    }
    None
}

// proptest, which these use, does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
