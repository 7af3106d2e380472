//! Lines → blocks: paragraphs, headings, quotes, lists of two levels, fenced code.

use super::span::inline;
use super::{Doc, Tag};
use crate::engine::text::cut::each;

#[derive(Clone, Copy, PartialEq)]
enum Open {
    Nothing,
    Paragraph,
    Quote,
    Table,
    /// With its closing fence.
    Fence(&'static str),
    List {
        numbered: bool,
        /// The item that is open belongs to the list inside.
        nested: bool,
        /// A blank line came: only another item goes on.
        loose: bool,
    },
}

struct Blocks {
    doc: Doc,
    open: Open,
    /// Text of the open block, or of its open item, so far.
    text: String,
}

pub(super) fn parse(text: &str, streaming: bool) -> Doc {
    let mut blocks = Blocks {
        doc: Doc::default(),
        open: Open::Nothing,
        text: String::new(),
    };
    each(text, b'\n', &mut |line| blocks.line(line));
    blocks.close(streaming);
    blocks.doc
}

impl Blocks {
    fn line(&mut self, line: &str) {
        let content = line.trim();
        if let Open::Fence(fence) = self.open {
            if content.starts_with(fence) {
                self.close(false);
            } else {
                self.join(line.strip_suffix('\r').unwrap_or(line));
            }
            return;
        }
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        if content.is_empty() {
            match &mut self.open {
                Open::List { loose, .. } => *loose = true,
                _ => self.close(false),
            }
        } else if let Some(fence) = fence(content) {
            self.close(false);
            self.open = Open::Fence(fence);
            self.doc.step(Tag::Block, "");
        } else if let Some((number, body)) = list_marker(content) {
            self.item(number, body, indent >= 2);
        } else if let Some(body) = heading(content) {
            self.close(false);
            self.doc.step(Tag::Heading, "");
            inline(&mut self.doc, body, false);
            self.doc.close();
        } else if is_rule(content) {
            self.close(false);
            self.doc.step(Tag::Rule, "");
            self.doc.close();
        } else if let Some(body) = content.strip_prefix('>') {
            self.go_on(Open::Quote, Tag::Quote, body.trim_start());
        } else if content.starts_with('|') && content.len() > 1 {
            self.go_on(Open::Table, Tag::Block, content);
        } else if let Open::List { loose, .. } = &mut self.open
            && (!*loose || indent >= 2)
        {
            *loose = false;
            self.join(content);
        } else {
            self.go_on(Open::Paragraph, Tag::Paragraph, content);
        }
    }

    /// Another line of such a block, or its first.
    fn go_on(&mut self, open: Open, tag: Tag, line: &str) {
        if self.open != open {
            self.close(false);
            self.open = open;
            self.doc.step(tag, "");
        }
        self.join(line);
    }

    fn item(&mut self, number: &str, body: &str, indented: bool) {
        match &mut self.open {
            Open::List {
                numbered,
                nested,
                loose,
            } if indented || *numbered != number.is_empty() => {
                let was = std::mem::replace(nested, indented);
                *loose = false;
                self.flush(false);
                if indented && !was {
                    self.list(number);
                } else {
                    self.doc.close();
                    if was && !indented {
                        self.doc.close();
                        self.doc.close();
                    }
                }
            }
            _ => {
                self.close(false);
                self.open = Open::List {
                    numbered: !number.is_empty(),
                    nested: false,
                    loose: false,
                };
                self.list(number);
            }
        }
        self.doc.step(Tag::Item, "");
        self.join(body);
    }

    fn list(&mut self, number: &str) {
        let tag = if number.is_empty() {
            Tag::List
        } else {
            Tag::Numbered
        };
        self.doc.step(tag, number);
    }

    /// Ends the open block. `tail`: it is the last one and more text may follow.
    fn close(&mut self, tail: bool) {
        self.flush(tail);
        let elements = match self.open {
            Open::Nothing => 0,
            Open::Paragraph | Open::Quote | Open::Table | Open::Fence(_) => 1,
            Open::List { nested: false, .. } => 2,
            Open::List { nested: true, .. } => 4,
        };
        for _ in 0..elements {
            self.doc.close();
        }
        self.open = Open::Nothing;
    }

    /// The text so far is complete.
    fn flush(&mut self, tail: bool) {
        let text = std::mem::take(&mut self.text);
        match self.open {
            Open::Table | Open::Fence(_) => self.doc.step(Tag::Text, &text),
            _ => inline(&mut self.doc, &text, tail),
        }
    }

    fn join(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }
}

fn fence(line: &str) -> Option<&'static str> {
    ["```", "~~~"].into_iter().find(|fence| {
        line.strip_prefix(fence)
            .is_some_and(|info| !info.bytes().any(|byte| byte == b'`'))
    })
}

fn heading(line: &str) -> Option<&str> {
    let body = line.trim_start_matches('#');
    let level = line.len() - body.len();
    ((1..=6).contains(&level) && body.starts_with(' '))
        .then(|| body.trim().trim_end_matches('#').trim_end())
}

/// `---`, `* * *`.
fn is_rule(line: &str) -> bool {
    let mark = line.bytes().next().unwrap_or(0);
    line.len() >= 3
        && matches!(mark, b'-' | b'*' | b'_')
        && line.bytes().all(|byte| byte == mark || byte == b' ')
}

/// `- text`, `* text`, `+ text`, `1. text`, `1) text` → (number or nothing, text).
fn list_marker(line: &str) -> Option<(&str, &str)> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = line.split_at_checked(digits)?;
    let marks: &[&str] = if digits == 0 {
        &["- ", "* ", "+ ", "• "]
    } else {
        &[". ", ") "]
    };
    let body = marks.iter().find_map(|mark| rest.strip_prefix(mark))?;
    (digits <= 9 && !is_rule(line)).then(|| (number, body.trim_start()))
}
