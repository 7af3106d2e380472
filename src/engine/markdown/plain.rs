//! Markdown as a voice would read it: the words without the marks.

use super::{Block, Inline, parse};

/// The words of a complete text.
pub fn plain(text: &str) -> String {
    let mut words = String::new();
    for block in parse(text, false) {
        match block {
            Block::Paragraph(body) | Block::Heading(body) | Block::Quote(body) => {
                line(&mut words, &body)
            }
            Block::Rule => {}
            Block::Code(code) => {
                words.push_str(&code);
                words.push('\n');
            }
            Block::List { items, .. } => {
                for item in &items {
                    line(&mut words, &item.body);
                    item.nested.iter().for_each(|body| line(&mut words, body));
                }
            }
        }
    }
    words.truncate(words.trim_end().len());
    words
}

fn line(words: &mut String, body: &[Inline]) {
    spoken(words, body);
    words.push('\n');
}

fn spoken(words: &mut String, body: &[Inline]) {
    for inline in body {
        match inline {
            Inline::Text(text) | Inline::Code(text) => words.push_str(text),
            Inline::Break => words.push('\n'),
            // Nested only as deep as the parser allows.
            Inline::Bold(body) | Inline::Italic(body) | Inline::Link { body, .. } => {
                spoken(words, body)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn marks_are_not_read_out() {
        for (text, expected) in [
            ("Hello", "Hello"),
            ("**Opening** hours: *daily*", "Opening hours: daily"),
            ("See [our page](https://a.test/x).", "See our page."),
            (
                "# Title\n\n- one\n- two\n  - three",
                "Title\none\ntwo\nthree",
            ),
            ("Run `ls`", "Run ls"),
            ("", ""),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }
}
