//! Files → text: what kind a file is, by its name and its first bytes, and what it says. Titles, storage and search are not its
//! business ([`crate::service::knowledge`]).

use std::fmt::{Display, Formatter};

mod docx;
pub mod job;
mod pdf;
mod plain;
#[cfg(test)]
mod tests;

pub use job::Extractor;

/// A book of a thousand pages has some three MB of text. More is a mistake, or belongs in several documents.
pub const TEXT_MAX_BYTES: usize = 4 * 1024 * 1024;
/// A file with pictures may be larger than its text.
pub const FILE_MAX_BYTES: usize = 20 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Pdf,
    Docx,
}

/// Why there is no text. [`Unreadable::reason`] is for programs, the words are for the file's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Empty,
    UnknownType,
    WrongType,
    TooLarge,
    Encrypted,
    Broken,
    NoText,
    TooComplex,
    TooSlow,
    /// Not the file's fault.
    Unavailable,
}

impl Unreadable {
    pub const ALL: &'static [Unreadable] = &[
        Unreadable::Empty,
        Unreadable::UnknownType,
        Unreadable::WrongType,
        Unreadable::TooLarge,
        Unreadable::Encrypted,
        Unreadable::Broken,
        Unreadable::NoText,
        Unreadable::TooComplex,
        Unreadable::TooSlow,
        Unreadable::Unavailable,
    ];

    pub const fn reason(self) -> &'static str {
        match self {
            Unreadable::Empty => "empty",
            Unreadable::UnknownType => "unknown_type",
            Unreadable::WrongType => "wrong_type",
            Unreadable::TooLarge => "too_large",
            Unreadable::Encrypted => "encrypted",
            Unreadable::Broken => "broken",
            Unreadable::NoText => "no_text",
            Unreadable::TooComplex => "too_complex",
            Unreadable::TooSlow => "too_slow",
            Unreadable::Unavailable => "unavailable",
        }
    }
}

impl Display for Unreadable {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Unreadable::Empty => "is empty",
            Unreadable::UnknownType => {
                "is not a .txt, .md, .pdf or .docx file; save it as one of these"
            }
            Unreadable::WrongType => {
                "does not hold what the end of its name says; name it by what it is"
            }
            Unreadable::TooLarge => {
                "is too large (20 MB a file, 4 MB of text); split it into several documents"
            }
            Unreadable::Encrypted => "is protected by a password; save it without one",
            Unreadable::Broken => "is damaged and cannot be read; save it anew",
            Unreadable::NoText => {
                "holds no text; pictures of pages need text recognition (OCR) first"
            }
            Unreadable::TooComplex => {
                "unpacks to far more than a document holds; save it in a simpler form"
            }
            Unreadable::TooSlow => "takes too long to read; save it in a simpler form",
            Unreadable::Unavailable => "cannot be read at the moment; try again",
        })
    }
}

/// What the name promises, and the first bytes do not contradict.
pub fn kind(file_name: &str, bytes: &[u8]) -> Result<Kind, Unreadable> {
    let extension = file_name.rsplit_once('.').map_or("", |(_, end)| end);
    let kind = match extension.to_ascii_lowercase().as_str() {
        "txt" | "md" | "markdown" => Kind::Plain,
        "pdf" => Kind::Pdf,
        "docx" => Kind::Docx,
        _ => return Err(Unreadable::UnknownType),
    };
    if bytes.is_empty() {
        return Err(Unreadable::Empty);
    }
    if bytes.len() > FILE_MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let fits = match kind {
        Kind::Plain => ![&b"%PDF-"[..], b"PK\x03\x04", b"\xd0\xcf\x11\xe0"]
            .iter()
            .any(|magic| bytes.starts_with(magic)),
        // Readers forgive some bytes before the header.
        Kind::Pdf => bytes[..bytes.len().min(1_024)]
            .windows(5)
            .any(|window| window == b"%PDF-"),
        Kind::Docx if bytes.starts_with(b"\xd0\xcf\x11\xe0") => {
            // An OLE container under this name is how Word encrypts, or an old .doc.
            return Err(Unreadable::Encrypted);
        }
        Kind::Docx => bytes.starts_with(b"PK\x03\x04"),
    };
    if fits {
        Ok(kind)
    } else {
        Err(Unreadable::WrongType)
    }
}

/// The text, with `\n` line ends and without NUL. Runs in the caller's thread: what comes from others goes through [`Extractor`].
pub fn text(kind: Kind, bytes: &[u8]) -> Result<String, Unreadable> {
    let text = match kind {
        Kind::Plain => plain::text(bytes)?,
        Kind::Pdf => pdf::text(bytes)?,
        Kind::Docx => docx::text(bytes)?,
    };
    if text.len() > TEXT_MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    if text.trim().is_empty() {
        return Err(Unreadable::NoText);
    }
    Ok(text)
}
