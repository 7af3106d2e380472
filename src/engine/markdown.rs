//! Agent text → what to draw, in order; no HTML anywhere. A subset of CommonMark: what agents really write in a chat.
//!
//! The result is flat ([`Doc`]): elements open and close, text stands between. Hostile input is the normal case: one pass over the lines, inline
//! nesting bounded, every search bounded or remembered, so time is linear in the text. Images become links (nothing that the model names is
//! fetched), and only four link schemes exist. Tables, HTML and reference links are not understood: their text is shown as it is.

mod blocks;
mod span;

use super::text::cut::cut;

/// Text after this many bytes is shown unformatted.
const MAX_FORMATTED: usize = 64 * 1024;
/// Longest link target, in bytes.
const MAX_LINK_TARGET: usize = 2_000;

/// One step of drawing. All but [`Tag::Text`] and [`Tag::Close`] open an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Words of the element that is open.
    Text,
    /// The element that was opened last ends.
    Close,
    Paragraph,
    Heading,
    Quote,
    /// Preformatted: fenced code, and tables.
    Block,
    Rule,
    List,
    /// Its text is the first number.
    Numbered,
    Item,
    Break,
    Code,
    Bold,
    Italic,
    /// Its text is the target: `http:`, `https:`, `mailto:` or `tel:`; no control, space or bidi characters.
    Link,
}

/// What to draw. The texts of all steps stand one behind the other in one string, so that a document is two pieces of memory however rich it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Doc {
    text: String,
    /// Each with the end of its text.
    steps: Vec<(Tag, usize)>,
}

impl Doc {
    /// Step by step, each with its text.
    pub fn steps(&self) -> impl Iterator<Item = (Tag, &str)> {
        let mut start = 0;
        self.steps.iter().map(move |(tag, end)| {
            let text = self.text.get(start..*end).unwrap_or("");
            start = *end;
            (*tag, text)
        })
    }

    /// How many top-level elements at the start are the same in both, and how many steps they are.
    pub fn common(&self, other: &Doc) -> (usize, usize) {
        let (mut common, mut depth, mut elements) = ((0, 0), 0_usize, 0);
        for (at, (own, others)) in self.steps().zip(other.steps()).enumerate() {
            if own != others {
                break;
            }
            match own.0 {
                Tag::Text => {}
                Tag::Close => depth = depth.saturating_sub(1),
                _ => depth += 1,
            }
            if depth == 0 {
                elements += 1;
                common = (elements, at + 1);
            }
        }
        common
    }

    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn step(&mut self, tag: Tag, text: &str) {
        self.flush();
        self.text.push_str(text);
        self.steps.push((tag, self.text.len()));
    }

    fn close(&mut self) {
        self.step(Tag::Close, "");
    }

    /// Text that was pushed by itself becomes a step.
    fn flush(&mut self) {
        let end = self.text.len();
        if self.steps.last().map_or(0, |(_, end)| *end) < end {
            self.steps.push((Tag::Text, end));
        }
    }
}

/// Parses an agent's text. `streaming`: more may follow, so what is still open at the end (a fence, emphasis, a link) is shown as what it will become.
pub fn parse(text: &str, streaming: bool) -> Doc {
    let formatted = bounded(text, MAX_FORMATTED);
    let rest = text.get(formatted.len()..).unwrap_or("");
    let mut doc = blocks::parse(formatted, streaming && rest.is_empty());
    if !rest.is_empty() {
        doc.step(Tag::Paragraph, "");
        doc.step(Tag::Text, rest);
        doc.close();
    }
    doc
}

/// The words of a complete text, as a voice would read them.
pub fn plain(text: &str) -> String {
    let mut words = String::new();
    for (tag, text) in parse(text, false).steps() {
        match tag {
            Tag::Text => words.push_str(text),
            Tag::Code | Tag::Bold | Tag::Italic | Tag::Link | Tag::Close => {}
            // An element that begins a line.
            _ if words.is_empty() || words.ends_with('\n') => {}
            _ => words.push('\n'),
        }
    }
    words.truncate(words.trim_end().len());
    words
}

/// The target of a link if it is one of the four schemes and carries nothing that deceives the eye.
pub fn safe_href(target: &str) -> Option<&str> {
    let target = target.trim();
    if target.len() > MAX_LINK_TARGET
        || target
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || is_bidi(c))
    {
        return None;
    }
    let (scheme, rest) = cut(target, b':');
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    let web = (is("http") || is("https")) && rest.starts_with("//") && rest.len() > 2;
    let direct = (is("mailto") || is("tel")) && !rest.is_empty();
    (web || direct).then_some(target)
}

/// Characters that reorder the text around them (U+202A–E, U+2066–9) or hide in it.
pub fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// The first `limit` bytes at most, cut between characters.
fn bounded(text: &str, limit: usize) -> &str {
    crate::engine::error::clip(text, limit)
}

// proptest, which these use, does not build for wasm.
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;
