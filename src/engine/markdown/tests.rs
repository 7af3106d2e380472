//! Cases and properties of the markdown subset.

use super::*;
use proptest::prelude::*;

/// A short notation of the tree, so that a case is one line.
fn show(blocks: &[Block]) -> String {
    blocks
        .iter()
        .map(show_block)
        .collect::<Vec<_>>()
        .join(" | ")
}

fn show_block(block: &Block) -> String {
    match block {
        Block::Paragraph(body) => format!("p:{}", line(body)),
        Block::Heading(body) => format!("h:{}", line(body)),
        Block::Quote(body) => format!("q:{}", line(body)),
        Block::Code(text) => format!("pre:{text}"),
        Block::Rule => "hr".into(),
        Block::List { start, items } => {
            let items: Vec<_> = items
                .iter()
                .map(|item| {
                    let nested: String = item
                        .nested
                        .iter()
                        .map(|body| format!("/{}", line(body)))
                        .collect();
                    format!("{}{nested}", line(&item.body))
                })
                .collect();
            format!(
                "{}:{}",
                start.map_or("ul".into(), |n| format!("ol{n}")),
                items.join(",")
            )
        }
    }
}

fn line(body: &[Inline]) -> String {
    body.iter()
        .map(|inline| match inline {
            Inline::Text(text) => text.clone(),
            Inline::Break => "⏎".into(),
            Inline::Code(text) => format!("‹{text}›"),
            Inline::Bold(body) => format!("b({})", line(body)),
            Inline::Italic(body) => format!("i({})", line(body)),
            Inline::Link { href, body } => format!("a[{href}]({})", line(body)),
        })
        .collect()
}

fn check(text: &str, expected: &str) {
    assert_eq!(show(&parse(text, false)), expected, "{text:?}");
}

#[test]
fn blocks_are_recognised() {
    check("", "");
    check("one\ntwo\n\nthree", "p:one⏎two | p:three");
    check("# Title\ntext", "h:Title | p:text");
    check("#hashtag", "p:#hashtag");
    check("- a\n- b\n  - c\n  - d\n- e", "ul:a,b/c/d,e");
    check("3. a\n4. b", "ol3:a,b");
    check("- a\n\n- b\n\nafter", "ul:a,b | p:after");
    check("- a\n  goes on", "ul:a⏎goes on");
    check("- a\n1. b", "ul:a | ol1:b");
    check("> said\n> so", "q:said⏎so");
    check(
        "```rust\nlet a = 1;\n\nlet b;\n```\nend",
        "pre:let a = 1;\n\nlet b; | p:end",
    );
    check(
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "pre:| a | b |\n|---|---|\n| 1 | 2 |",
    );
    check("a\n\n---\nb", "p:a | hr | p:b");
    check("2026. was a year", "ol2026:was a year");
    check("a\r\nb", "p:a⏎b");
}

#[test]
fn inlines_are_recognised() {
    check(
        "**bold** and *italic* and `code`",
        "p:b(bold) and i(italic) and ‹code›",
    );
    check(
        "__bold__ _italic_ snake_case_name",
        "p:b(bold) i(italic) snake_case_name",
    );
    check("***both***", "p:b(i(both))");
    check("5 * 3 * 2", "p:5 * 3 * 2");
    check("**open", "p:**open");
    check("\\*not\\*", "p:*not*");
    check("``a ` b``", "p:‹a ` b›");
    check(
        "[shop](https://a.example/x)",
        "p:a[https://a.example/x](shop)",
    );
    check(
        "[**bold** link](https://a.example)",
        "p:a[https://a.example](b(bold) link)",
    );
    check(
        "![cat](https://a.example/cat.png)",
        "p:a[https://a.example/cat.png](cat)",
    );
    check(
        "<https://a.example>",
        "p:a[https://a.example](https://a.example)",
    );
    check(
        "see https://a.example/x, or (https://b.example).",
        "p:see a[https://a.example/x](https://a.example/x), or (a[https://b.example](https://b.example)).",
    );
    check(
        "https://a.example/wiki/A_(b)",
        "p:a[https://a.example/wiki/A_(b)](https://a.example/wiki/A_(b))",
    );
    check(
        "[mail](mailto:a@b.example) [call](tel:+4930)",
        "p:a[mailto:a@b.example](mail) a[tel:+4930](call)",
    );
    check("<b>no html</b>", "p:<b>no html</b>");
}

#[test]
fn dangerous_targets_stay_text() {
    for target in [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "java\tscript:alert(1)",
        "https:a.example",
        "//a.example",
        "/relative",
        "file:///etc/passwd",
        "blob:a.example/x",
        "https://a.example/\u{202e}gpj.exe",
    ] {
        let blocks = parse(&format!("[x]({target})"), false);
        assert!(
            !format!("{blocks:?}").contains("Link"),
            "{target:?} became {blocks:?}"
        );
    }
}

#[test]
fn what_is_still_being_written_is_shown_as_what_it_will_become() {
    let streamed = |text: &str| show(&parse(text, true));
    assert_eq!(streamed("so **very"), "p:so b(very)");
    assert_eq!(streamed("see [the shop](https://a.exa"), "p:see the shop");
    assert_eq!(streamed("run `cargo te"), "p:run ‹cargo te›");
    assert_eq!(streamed("```\nlet a"), "pre:let a");
    assert_eq!(streamed("done **a** b"), "p:done b(a) b");
}

#[test]
fn time_is_linear_in_hostile_text() {
    // A quadratic parser would need minutes for these; the assertion is that the test ends.
    for unit in [
        "**a ", "[a](", "`", "*a_", "[", "<", "http://", "> ", "- ", "  - a\n", "![", "_a*",
    ] {
        let text = unit.repeat(60_000 / unit.len());
        assert!(!parse(&text, false).is_empty());
        assert!(!parse(&text, true).is_empty());
    }
}

#[test]
fn text_over_the_bound_is_kept_unformatted() {
    let text = format!("{}**b**", "é".repeat(40_000));
    let blocks = parse(&text, false);
    assert_eq!(visible(&blocks).chars().count(), 40_005);
}

fn visible(blocks: &[Block]) -> String {
    fn inline(body: &[Inline], out: &mut String) {
        for part in body {
            match part {
                Inline::Text(text) | Inline::Code(text) => out.push_str(text),
                Inline::Break => out.push('\n'),
                Inline::Bold(body) | Inline::Italic(body) | Inline::Link { body, .. } => {
                    inline(body, out)
                }
            }
        }
    }
    let mut out = String::new();
    for block in blocks {
        match block {
            Block::Paragraph(body) | Block::Heading(body) | Block::Quote(body) => {
                inline(body, &mut out)
            }
            Block::Code(text) => out.push_str(text),
            Block::List { items, .. } => {
                for item in items {
                    inline(&item.body, &mut out);
                    item.nested.iter().for_each(|body| inline(body, &mut out));
                }
            }
            Block::Rule => {}
        }
    }
    out
}

fn hrefs(blocks: &[Block]) -> Vec<String> {
    fn collect(body: &[Inline], out: &mut Vec<String>) {
        for part in body {
            match part {
                Inline::Link { href, body } => {
                    out.push(href.clone());
                    collect(body, out);
                }
                Inline::Bold(body) | Inline::Italic(body) => collect(body, out),
                Inline::Text(_) | Inline::Break | Inline::Code(_) => {}
            }
        }
    }
    let mut out = Vec::new();
    for block in blocks {
        match block {
            Block::Paragraph(body) | Block::Heading(body) | Block::Quote(body) => {
                collect(body, &mut out)
            }
            Block::List { items, .. } => items.iter().for_each(|item| {
                collect(&item.body, &mut out);
                item.nested.iter().for_each(|body| collect(body, &mut out));
            }),
            Block::Code(_) | Block::Rule => {}
        }
    }
    out
}

proptest! {
    #[test]
    fn any_text_parses_and_links_only_to_safe_schemes(text in "([\\[\\]()*_`!<>#|\\\\ \n-]|https?://|javascript:|[a-zé\u{202e}])*") {
        for streaming in [false, true] {
            for href in hrefs(&parse(&text, streaming)) {
                let lower = href.to_ascii_lowercase();
                prop_assert!(["http://", "https://", "mailto:", "tel:"].iter().any(|scheme| lower.starts_with(scheme)), "{}", href);
                prop_assert!(!href.chars().any(|c| c.is_control() || is_bidi(c)));
            }
        }
    }

    #[test]
    fn words_never_disappear(words in proptest::collection::vec("[a-z]{1,8}", 1..20), marks in proptest::collection::vec("[*_`]{0,3}", 20)) {
        let text: Vec<String> = words.iter().zip(&marks).map(|(word, mark)| format!("{mark}{word}{mark}")).collect();
        let shown = visible(&parse(&text.join(" "), false));
        for word in &words {
            prop_assert!(shown.contains(word.as_str()), "{word} is gone from {shown:?}");
        }
    }
}
