//! Cuts a document into passages by heading and paragraph, so that search finds, and an answer quotes, the right place.
//! Reads plain text and the block structure of Markdown; renders nothing.

/// A passage is ended before it grows past this: about what fits on a phone's screen.
const GOAL_BYTES: usize = 1_000;
/// One paragraph longer than this is cut between sentences.
const MAX_BYTES: usize = 1_200;

/// One passage of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The headings above it below the document's title, joined by ` › `.
    pub heading: Option<String>,
    pub text: String,
}

/// The document's passages, in order. No text is lost but headings and blank lines.
pub fn split(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut trail: Vec<(usize, String)> = Vec::new();
    let mut section: Vec<String> = Vec::new();
    let mut seen_title = false;
    for block in blocks(text) {
        match block {
            Block::Heading(level, words) => {
                flush(&mut pieces, &trail, &mut section);
                trail.retain(|(above, _)| *above < level);
                // The first heading of level 1 is the document's title, which every passage carries anyway.
                if level > 1 || seen_title {
                    trail.push((level, words));
                }
                seen_title |= level == 1;
            }
            Block::Text(words) => section.push(words),
        }
    }
    flush(&mut pieces, &trail, &mut section);
    pieces
}

/// The first heading of a document, for its title.
pub fn first_heading(text: &str) -> Option<String> {
    blocks(text).into_iter().find_map(|block| match block {
        Block::Heading(_, words) => Some(words),
        Block::Text(_) => None,
    })
}

enum Block {
    Heading(usize, String),
    Text(String),
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut fenced = false;
    let close = |open: &mut Vec<&str>, blocks: &mut Vec<Block>| {
        if !open.is_empty() {
            blocks.push(Block::Text(open.join("\n")));
            open.clear();
        }
    };
    for line in text.lines() {
        let line = line.trim_end();
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            open.push(line);
        } else if let Some((level, words)) = heading(line) {
            close(&mut open, &mut blocks);
            blocks.push(Block::Heading(level, words));
        } else if line.is_empty() {
            close(&mut open, &mut blocks);
        } else {
            open.push(line);
        }
    }
    close(&mut open, &mut blocks);
    blocks
}

/// `## Words` or a line that is bold as a whole, as FAQ pages often have it.
fn heading(line: &str) -> Option<(usize, String)> {
    let line = line.trim();
    let marks = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&marks) {
        let words = line[marks..].strip_prefix(' ')?;
        let words = words.trim_end_matches('#').trim();
        return (!words.is_empty()).then(|| (marks, plain(words)));
    }
    let bold = line.strip_prefix("**")?.strip_suffix("**")?.trim();
    (!bold.is_empty() && !bold.contains("**")).then(|| (7, plain(bold)))
}

fn plain(words: &str) -> String {
    words.replace(['*', '`'], "")
}

fn flush(pieces: &mut Vec<Piece>, trail: &[(usize, String)], section: &mut Vec<String>) {
    let heading = (!trail.is_empty()).then(|| {
        let words: Vec<&str> = trail.iter().map(|(_, words)| words.as_str()).collect();
        words.join(" › ")
    });
    let mut text = String::new();
    for block in section.drain(..) {
        for part in shorten(&block) {
            if !text.is_empty() && text.len() + part.len() > GOAL_BYTES {
                pieces.push(Piece {
                    heading: heading.clone(),
                    text: std::mem::take(&mut text),
                });
            }
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            text.push_str(&part);
        }
    }
    if !text.is_empty() {
        pieces.push(Piece { heading, text });
    }
}

/// A block in parts of at most [`MAX_BYTES`]: cut after a sentence or line, else at a space, else at a character.
fn shorten(block: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = block;
    while rest.len() > MAX_BYTES {
        let mut limit = MAX_BYTES;
        while !rest.is_char_boundary(limit) {
            limit -= 1;
        }
        let head = &rest[..limit];
        let cut = [". ", "! ", "? ", "\n", " "]
            .iter()
            .filter_map(|end| head.rfind(end).map(|at| at + end.len()))
            .find(|at| *at > MAX_BYTES / 2)
            .unwrap_or(limit);
        parts.push(rest[..cut].trim().to_owned());
        rest = rest[cut..].trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest.to_owned());
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(Option<&str>, &str)]) {
        let pieces = split(text);
        let got: Vec<(Option<&str>, &str)> = pieces
            .iter()
            .map(|p| (p.heading.as_deref(), p.text.as_str()))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn headings_start_passages_and_name_their_path() {
        check(
            "# Shipping\nIntro.\n\n## Europe\nThree days.\n\n### Islands\nFive days.\n\n## World\nTen days.",
            &[
                (None, "Intro."),
                (Some("Europe"), "Three days."),
                (Some("Europe › Islands"), "Five days."),
                (Some("World"), "Ten days."),
            ],
        );
    }

    #[test]
    fn bold_question_lines_are_headings() {
        check(
            "**Can I pay later?**\n\nYes, with an invoice.",
            &[(Some("Can I pay later?"), "Yes, with an invoice.")],
        );
    }

    #[test]
    fn a_hash_inside_a_code_block_is_no_heading() {
        check(
            "```\n# not a heading\n```",
            &[(None, "```\n# not a heading\n```")],
        );
    }

    #[test]
    fn plain_text_without_headings_is_cut_between_paragraphs() {
        let paragraph = "A sentence of some words. ".repeat(20).trim().to_owned();
        let pieces = split(&[paragraph.clone(), paragraph.clone(), paragraph].join("\n\n"));
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|p| p.text.len() <= MAX_BYTES));
    }

    #[test]
    fn a_long_paragraph_is_cut_after_a_sentence() {
        let pieces = split(&"Every word counts here. ".repeat(200));
        assert!(pieces.len() > 3);
        assert!(
            pieces
                .iter()
                .all(|p| p.text.len() <= MAX_BYTES && p.text.ends_with('.'))
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_cut_without_losing_letters(text in "[ a-zäß€#*.\n`]{0,4000}") {
            let letters = |s: &str| s.chars().filter(|c| c.is_alphabetic()).count();
            let pieces = split(&text);
            let body: usize = pieces.iter().map(|p| letters(&p.text)).sum();
            proptest::prop_assert!(body <= letters(&text));
            proptest::prop_assert!(pieces.iter().all(|p| p.text.len() <= MAX_BYTES + 2));
            if !text.contains('#') && !text.contains("**") {
                proptest::prop_assert_eq!(body, letters(&text));
            }
        }
    }
}
