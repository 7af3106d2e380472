//! Cases and properties of the markdown subset.

use super::*;
use proptest::prelude::*;

/// A short notation, so that a case is one line.
fn show(doc: &Doc) -> String {
    let mut out = String::new();
    // What is open, each with what to write when it ends, and how many items it has.
    let mut open: Vec<(&str, u32)> = Vec::new();
    for (tag, text) in doc.steps() {
        if open.is_empty() && !out.is_empty() {
            out.push_str(" | ");
        }
        let inside = open.len();
        let (begin, end) = match tag {
            Tag::Text => {
                out.push_str(text);
                continue;
            }
            Tag::Close => {
                out.push_str(open.pop().expect("what closes was open").0);
                continue;
            }
            Tag::Paragraph => ("p:".into(), ""),
            Tag::Heading => ("h:".into(), ""),
            Tag::Quote => ("q:".into(), ""),
            Tag::Block => ("pre:".into(), ""),
            Tag::Rule => ("hr".into(), ""),
            Tag::List | Tag::Numbered if inside > 0 => (String::new(), ""),
            Tag::List => ("ul:".into(), ""),
            Tag::Numbered => (format!("ol{text}:"), ""),
            Tag::Item if inside > 1 => ("/".into(), ""),
            Tag::Item => {
                let list = open.last_mut().expect("an item is in a list");
                list.1 += 1;
                ((if list.1 > 1 { "," } else { "" }).into(), "")
            }
            Tag::Break => ("⏎".into(), ""),
            Tag::Code => ("‹".into(), "›"),
            Tag::Bold => ("b(".into(), ")"),
            Tag::Italic => ("i(".into(), ")"),
            Tag::Link => (format!("a[{text}]("), ")"),
        };
        out.push_str(&begin);
        open.push((end, 0));
    }
    assert!(open.is_empty(), "everything that opens closes");
    out
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
        let doc = parse(&format!("[x]({target})"), false);
        assert!(hrefs(&doc).is_empty(), "{target:?} became {doc:?}");
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
        "h", "http", "**a ", "[a](", "`", "`a", "``a ", "*a_", "[", "<", "http://", "> ", "- ",
        "  - a\n", "![", "_a*",
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

fn visible(doc: &Doc) -> String {
    let mut out = String::new();
    for (tag, text) in doc.steps() {
        match tag {
            Tag::Text => out.push_str(text),
            Tag::Break => out.push('\n'),
            _ => {}
        }
    }
    out
}

fn hrefs(doc: &Doc) -> Vec<String> {
    let links = doc.steps().filter(|(tag, _)| *tag == Tag::Link);
    links.map(|(_, href)| String::from(href)).collect()
}

#[test]
fn beginnings_are_compared_by_whole_elements() {
    for (old, new, expected) in [
        ("one", "one", 1),
        ("one", "one two", 0),
        ("one\n\ntwo", "one\n\ntwo three", 1),
        ("- a\n- b", "- a\n- b\n- c", 0),
        ("a\n\n---\nb", "a\n\n---\nc", 2),
        ("", "one", 0),
    ] {
        let (old, new) = (parse(old, false), parse(new, false));
        let (elements, steps) = old.common(&new);
        assert_eq!(elements, expected);
        assert!(old.steps().take(steps).eq(new.steps().take(steps)));
    }
}

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
        ("one\ntwo", "one\ntwo"),
        ("Run `ls`", "Run ls"),
        ("", ""),
    ] {
        assert_eq!(plain(text), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_parses_and_links_only_to_safe_schemes(text in "([\\[\\]()*_`!<>#|\\\\ \n-]|https?://|javascript:|[a-zé\u{202e}])*") {
        for streaming in [false, true] {
            show(&parse(&text, streaming));
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
