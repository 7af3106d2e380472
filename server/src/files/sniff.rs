//! What a file is, by its content, told while it arrives. The name and the sender's word may only narrow that down, never widen it.
//! Looks for marks and parses nothing: parsers run in a process of their own (`extract`).

use super::name::ending;

/// What visitors may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Png,
    Jpeg,
    Gif,
    Webp,
    Pdf,
    Docx,
    Plain,
    Markdown,
    Csv,
}

impl Kind {
    pub const ALL: &'static [Kind] = &[
        Kind::Png,
        Kind::Jpeg,
        Kind::Gif,
        Kind::Webp,
        Kind::Pdf,
        Kind::Docx,
        Kind::Plain,
        Kind::Markdown,
        Kind::Csv,
    ];

    pub const fn media_type(self) -> &'static str {
        match self {
            Kind::Png => "image/png",
            Kind::Jpeg => "image/jpeg",
            Kind::Gif => "image/gif",
            Kind::Webp => "image/webp",
            Kind::Pdf => "application/pdf",
            Kind::Docx => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            Kind::Plain => "text/plain",
            Kind::Markdown => "text/markdown",
            Kind::Csv => "text/csv",
        }
    }

    /// The first one is what the extractor knows the kind by.
    pub const fn endings(self) -> &'static [&'static str] {
        match self {
            Kind::Png => &["png"],
            Kind::Jpeg => &["jpg", "jpeg", "jfif"],
            Kind::Gif => &["gif"],
            Kind::Webp => &["webp"],
            Kind::Pdf => &["pdf"],
            Kind::Docx => &["docx"],
            Kind::Plain => &["txt", "text", "log"],
            Kind::Markdown => &["md", "markdown"],
            Kind::Csv => &["csv"],
        }
    }

    pub fn of_media_type(media_type: &str) -> Option<Kind> {
        let mut kinds = Kind::ALL.iter().copied();
        kinds.find(|kind| kind.media_type() == media_type)
    }

    const fn is_text(self) -> bool {
        matches!(self, Kind::Plain | Kind::Markdown | Kind::Csv)
    }
}

/// Longest mark at the beginning of a file.
const HEAD: usize = 12;
/// Names inside of an archive that make it a Word document, and the one that makes it a program.
const DOCX: [&[u8]; 2] = [b"[Content_Types].xml", b"word/document.xml"];
const MACROS: &[u8] = b"vbaProject";
/// The longest of these, less one byte.
const TAIL: usize = 18;

/// Takes a file in piece by piece.
#[derive(Debug)]
pub struct Sniffer {
    head: Vec<u8>,
    /// The last bytes, in which a name may have begun.
    tail: Vec<u8>,
    found: [bool; 2],
    macros: bool,
    text: bool,
    /// The beginning of a character whose rest is still to come.
    pending: Vec<u8>,
}

impl Default for Sniffer {
    fn default() -> Self {
        Sniffer {
            head: Vec::new(),
            tail: Vec::new(),
            found: [false; 2],
            macros: false,
            text: true,
            pending: Vec::new(),
        }
    }
}

impl Sniffer {
    pub fn take(&mut self, piece: &[u8]) {
        let missing = HEAD.saturating_sub(self.head.len()).min(piece.len());
        self.head.extend_from_slice(&piece[..missing]);
        if self.head.starts_with(b"PK") {
            self.take_archive(piece);
        }
        if self.text {
            self.text = self.take_text(piece);
        }
    }

    fn take_archive(&mut self, piece: &[u8]) {
        let mut window = std::mem::take(&mut self.tail);
        window.extend_from_slice(piece);
        let holds = |name: &[u8]| window.windows(name.len()).any(|part| part == name);
        for (found, name) in self.found.iter_mut().zip(DOCX) {
            *found = *found || holds(name);
        }
        self.macros = self.macros || holds(MACROS);
        self.tail = window.split_off(window.len().saturating_sub(TAIL));
    }

    /// UTF-8 without the control characters that no text has.
    fn take_text(&mut self, piece: &[u8]) -> bool {
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(piece);
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return false,
        };
        self.pending = bytes.split_off(whole);
        !bytes.iter().any(|byte| {
            *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c) || *byte == 0x7f
        })
    }

    /// What the file is, if that is allowed and its name and the sender's word do not say otherwise.
    pub fn kind(&self, name: &str, declared: Option<&str>) -> Option<Kind> {
        let end = ending(name);
        let named = match &end {
            None => None,
            // An ending that is not on the list is refused whatever is in the file: page.html, run.sh.
            Some(end) => {
                let mut kinds = Kind::ALL.iter().copied();
                Some(kinds.find(|kind| kind.endings().contains(&end.as_str()))?)
            }
        };
        let kind = match (self.content()?, named) {
            // Texts differ by their names only.
            (Kind::Plain, Some(named)) if named.is_text() => named,
            (kind, _) => kind,
        };
        let fits = named.is_none_or(|named| named == kind) && self.declared_fits(declared, kind);
        fits.then_some(kind)
    }

    /// Systems differ in what they call a file, so only a word that names something else counts.
    fn declared_fits(&self, declared: Option<&str>, kind: Kind) -> bool {
        let declared = declared.unwrap_or_default();
        let essence = declared.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        match Kind::of_media_type(&essence) {
            Some(said) => said == kind || said.is_text() && kind.is_text(),
            None => {
                !["text/html", "image/svg+xml", "application/xhtml+xml"].contains(&essence.as_str())
            }
        }
    }

    fn content(&self) -> Option<Kind> {
        let head = self.head.as_slice();
        let kind = match head {
            _ if head.starts_with(b"\x89PNG\r\n\x1a\n") => Kind::Png,
            _ if head.starts_with(b"\xff\xd8\xff") => Kind::Jpeg,
            _ if head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a") => Kind::Gif,
            _ if head.starts_with(b"RIFF") && head.ends_with(b"WEBP") => Kind::Webp,
            _ if head.starts_with(b"%PDF-") => Kind::Pdf,
            _ if head.starts_with(b"PK\x03\x04") => {
                return (self.found == [true; 2] && !self.macros).then_some(Kind::Docx);
            }
            _ if self.text && self.pending.is_empty() => Kind::Plain,
            _ => return None,
        };
        Some(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD: &[u8] = b"PK\x03\x04....[Content_Types].xml....word/document.xml....";

    fn check(bytes: &[u8], name: &str, declared: &str, expected: Option<Kind>) {
        let declared = (!declared.is_empty()).then_some(declared);
        // In one piece, and byte by byte.
        for size in [bytes.len().max(1), 1] {
            let mut sniffer = Sniffer::default();
            bytes.chunks(size).for_each(|piece| sniffer.take(piece));
            let kind = sniffer.kind(name, declared);
            assert_eq!(kind, expected, "{name} {declared:?} by {size}");
        }
    }

    #[test]
    fn content_decides_and_the_name_must_agree() {
        let png = b"\x89PNG\r\n\x1a\n....".as_slice();
        for (bytes, name, declared, expected) in [
            (png, "a.png", "image/png", Some(Kind::Png)),
            (png, "a.PNG", "", Some(Kind::Png)),
            (png, "a", "application/octet-stream", Some(Kind::Png)),
            (png, "a.jpg", "image/jpeg", None),
            (png, "a.png", "image/jpeg", None),
            (png, "a.png", "text/html", None),
            (png, "a.txt", "text/plain", None),
            (png, "a.html", "", None),
            (b"\xff\xd8\xff\xe0", "a.JPEG", "", Some(Kind::Jpeg)),
            (b"GIF89a..", "a.gif", "", Some(Kind::Gif)),
            (b"RIFF....WEBPVP8 ", "a.webp", "", Some(Kind::Webp)),
            (b"RIFF....WAVE", "a.webp", "", None),
            (b"%PDF-1.7", "a.pdf", "application/pdf", Some(Kind::Pdf)),
            (b"<html>%PDF-1.7", "a.pdf", "", None),
            (WORD, "a.docx", "", Some(Kind::Docx)),
            (WORD, "a.zip", "application/zip", None),
            (b"PK\x03\x04nothing", "a.docx", "", None),
            (
                "Grüße".as_bytes(),
                "a.txt",
                "text/plain; charset=utf-8",
                Some(Kind::Plain),
            ),
            (b"# A", "a.md", "text/plain", Some(Kind::Markdown)),
            (b"a,b", "a.csv", "application/vnd.ms-excel", Some(Kind::Csv)),
            (b"a,b", "a", "", Some(Kind::Plain)),
            (b"a,b", "a.png", "image/png", None),
            (b"<svg/>", "a.svg", "image/svg+xml", None),
            (b"<p>", "a.txt", "text/html", None),
            (b"#!/bin/sh", "a.sh", "text/plain", None),
            (b"a\0b", "a.txt", "", None),
            (b"Gr\xfc\xdfe", "a.txt", "", None),
            (b"cut \xc3", "a.txt", "", None),
            (b"MZ\x90\0", "a.pdf", "application/pdf", None),
        ] {
            check(bytes, name, declared, expected);
        }
        let macros = [WORD, b"word/vbaProject.bin"].concat();
        check(&macros, "a.docx", "", None);
    }
}
