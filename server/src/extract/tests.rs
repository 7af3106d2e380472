//! The readers over small real files, and over what is left of such files when they are cut, bent or made up.

use super::*;
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/documents/");
    std::fs::read(format!("{folder}{name}")).expect("a fixture")
}

fn read(name: &str) -> Result<String, Unreadable> {
    let bytes = fixture(name);
    text(kind(name, &bytes)?, &bytes)
}

#[test]
fn a_word_document_is_read_with_its_headings_and_tables() {
    assert_eq!(
        read("shipping.docx").expect("text"),
        "# Shipping\n\nWe ship within three days & free above 50 €.\n\n## Europe\n\nCountry \tDays\nFrance \t4\n\n\
         First\tsecond\nthird\n\nOnce\n\n"
    );
}

#[test]
fn a_pdf_is_read_page_by_page() {
    let text = read("returns.pdf").expect("text");
    let lines: Vec<_> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    assert_eq!(
        lines.join("|"),
        "Returns|You have 30 days to send it back.|Grüße – Page two."
    );
}

#[test]
fn each_reason_has_a_file_that_gives_it() {
    for (name, expected) in [
        ("laughs.docx", Unreadable::Broken),
        ("bomb.docx", Unreadable::TooComplex),
        ("spreadsheet.docx", Unreadable::WrongType),
        ("picture.pdf", Unreadable::NoText),
        ("bomb.pdf", Unreadable::TooComplex),
        ("encrypted.pdf", Unreadable::Encrypted),
    ] {
        assert_eq!(read(name), Err(expected), "{name}");
    }
    let check = |name: &str, bytes: &[u8], expected| {
        let got = kind(name, bytes).and_then(|kind| text(kind, bytes));
        assert_eq!(got, Err(expected), "{name}");
    };
    for name in ["a.txt", "a.md", "a.pdf", "a.docx"] {
        check(name, b"", Unreadable::Empty);
    }
    check("a.exe", b"x", Unreadable::UnknownType);
    check("pdf", b"%PDF-1.4", Unreadable::UnknownType);
    check("a.pdf", &fixture("shipping.docx"), Unreadable::WrongType);
    check("a.docx", &fixture("returns.pdf"), Unreadable::WrongType);
    check("a.txt", &fixture("returns.pdf"), Unreadable::WrongType);
    check("a.md", &fixture("shipping.docx"), Unreadable::WrongType);
    check("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1", Unreadable::Encrypted);
    check("a.pdf", b"%PDF-1.4\n%%EOF", Unreadable::Broken);
    check("a.docx", b"PK\x03\x04", Unreadable::Broken);
    check("a.txt", b" \n\t ", Unreadable::NoText);
    check(
        "a.txt",
        &vec![b'a'; TEXT_MAX_BYTES + 1],
        Unreadable::TooLarge,
    );
    check(
        "a.pdf",
        &vec![b' '; FILE_MAX_BYTES + 1],
        Unreadable::TooLarge,
    );
}

#[test]
fn reasons_are_told_apart() {
    let reasons: std::collections::HashSet<_> =
        Unreadable::ALL.iter().map(|r| r.reason()).collect();
    assert_eq!(reasons.len(), Unreadable::ALL.len());
}

/// Any outcome but a panic. lopdf's panics are the child process's to bear ([`job`]); ours must not be.
fn survives(kind: Kind, bytes: &[u8]) {
    match catch_unwind(AssertUnwindSafe(|| text(kind, bytes))) {
        Ok(Ok(text)) => assert!(text.len() <= TEXT_MAX_BYTES && !text.contains('\0')),
        Ok(Err(_)) => {}
        Err(_) => assert_eq!(kind, Kind::Pdf, "{bytes:?}"),
    }
}

fn bent(name: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = fixture(name);
    let n = bytes.len();
    let changes = proptest::collection::vec((0..n, any::<u8>()), 0..8);
    (Just(bytes), 0..=n, changes).prop_map(|(mut bytes, cut, changes)| {
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        // Half of them are whole: what is bent in the middle is found at the end.
        if cut % 2 == 0 {
            bytes.truncate(cut);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_danger(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for kind in [Kind::Plain, Kind::Pdf, Kind::Docx] {
            survives(kind, &bytes);
        }
    }

    #[test]
    fn bent_word_documents_are_no_danger(bytes in bent("shipping.docx")) {
        survives(Kind::Docx, &bytes);
    }

    #[test]
    fn bent_pdfs_are_no_danger(bytes in bent("returns.pdf")) {
        survives(Kind::Pdf, &bytes);
    }

    #[test]
    fn bent_marks_are_no_danger(marks in "(<w:(p|t|tr|tc|tbl|body|pStyle w:val=\"Heading[0-9]{1,3}\")/?>|</w:(p|t|tr|tc)>|</?mc:Fallback>|&#x?[0-9a-f]{1,6};|&[a-z]{1,4};|<!\\[CDATA\\[|\\]\\]>|<|x|é){0,30}") {
        let _ = docx::read(&marks);
    }
}
