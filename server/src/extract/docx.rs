//! Word documents (.docx) → text: the main part's paragraphs, headings as Markdown headings, tables row by row. Notes, headers and
//! comments are left out.

use super::{TEXT_MAX_BYTES, Unreadable};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::io::{Cursor, Read as _};
use zip::ZipArchive;
use zip::result::ZipError;

const MAIN_PART: &str = "word/document.xml";
/// Marks outweigh words about ten to one in these files.
const XML_MAX_BYTES: u64 = 64 * 1024 * 1024;

pub fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| why(&e))?;
    let part = archive.by_name(MAIN_PART).map_err(|error| match error {
        // Some other archive: a spreadsheet, a jar.
        ZipError::FileNotFound => Unreadable::WrongType,
        error => why(&error),
    })?;
    // What the archive says about sizes is not believed.
    let mut xml = Vec::new();
    part.take(XML_MAX_BYTES + 1)
        .read_to_end(&mut xml)
        .map_err(|_| Unreadable::Broken)?;
    if xml.len() as u64 > XML_MAX_BYTES {
        return Err(Unreadable::TooComplex);
    }
    let xml = String::from_utf8(xml).map_err(|_| Unreadable::Broken)?;
    read(&xml)
}

fn why(error: &ZipError) -> Unreadable {
    match error {
        ZipError::InvalidPassword => Unreadable::Encrypted,
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) => Unreadable::Encrypted,
        _ => Unreadable::Broken,
    }
}

pub(super) fn read(xml: &str) -> Result<String, Unreadable> {
    let mut reader = Reader::from_str(xml);
    let mut words = Words::default();
    loop {
        match reader.read_event().map_err(|_| Unreadable::Broken)? {
            Event::Start(tag) => words.open(&tag, false),
            Event::Empty(tag) => words.open(&tag, true),
            Event::End(tag) => words.close(tag.local_name().as_ref()),
            Event::Text(text) => words.say(&text.xml_content(quick_xml::XmlVersion::default())),
            Event::CData(text) => words.say(&text),
            Event::GeneralRef(entity) => {
                let known = entity.resolve_char_ref().map_err(|_| Unreadable::Broken)?;
                let known = known.or(match entity.as_ref() {
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "amp" => Some('&'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => None,
                });
                // No entity of the document's own is ever expanded, so none can multiply.
                let known = known.ok_or(Unreadable::Broken)?;
                words.say(known.encode_utf8(&mut [0; 4]));
            }
            // Word writes none, and forbids it.
            Event::DocType(_) => return Err(Unreadable::Broken),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
        if words.text.len() > TEXT_MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
    }
    if !words.body {
        return Err(Unreadable::Broken);
    }
    Ok(words.text.replace('\0', ""))
}

#[derive(Default)]
struct Words {
    text: String,
    /// The paragraph so far.
    line: String,
    heading: usize,
    /// Inside a `w:t` that is not in a fallback: nothing else holds words.
    inside: bool,
    /// Depth inside `mc:Fallback`, which says again what `mc:Choice` has said.
    fallback: usize,
    in_row: bool,
    body: bool,
}

impl Words {
    fn open(&mut self, tag: &BytesStart<'_>, empty: bool) {
        let name = tag.local_name();
        match name.as_ref() {
            "Fallback" if !empty => self.fallback += 1,
            _ if self.fallback > 0 => {}
            "body" => self.body = true,
            "t" => self.inside = !empty,
            "tab" => self.line.push('\t'),
            "br" | "cr" => self.line.push('\n'),
            "pStyle" => self.heading = level(tag),
            "tr" => self.in_row = !empty,
            _ => {}
        }
        if empty && name.as_ref() == "p" {
            self.close("p");
        }
    }

    fn close(&mut self, name: &str) {
        match name {
            "Fallback" => self.fallback = self.fallback.saturating_sub(1),
            _ if self.fallback > 0 => {}
            "t" => self.inside = false,
            "p" if self.in_row => self.line.push(' '),
            "tc" => self.line.push('\t'),
            "tr" => {
                self.in_row = false;
                self.end_line("\n");
            }
            "tbl" => self.text.push('\n'),
            "p" => self.end_line("\n\n"),
            _ => {}
        }
    }

    fn say(&mut self, words: &str) {
        if self.inside {
            self.line.push_str(words);
        }
    }

    fn end_line(&mut self, end: &str) {
        let line = self.line.trim();
        if !line.is_empty() {
            if self.heading > 0 {
                self.text.push_str(&"#".repeat(self.heading));
                self.text.push(' ');
            }
            self.text.push_str(line);
            self.text.push_str(end);
        }
        self.line.clear();
        self.heading = 0;
    }
}

/// `Heading2` → 2, `Title` → 1, anything else → 0.
fn level(tag: &BytesStart<'_>) -> usize {
    let style = tag
        .attributes()
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == "val");
    let Some(style) = style else { return 0 };
    let value: &str = &style.value;
    match value
        .strip_prefix("Heading")
        .or(value.strip_prefix("heading"))
    {
        Some(number) => number.trim().parse().unwrap_or(0).min(6),
        None if value == "Title" => 1,
        None => 0,
    }
}
