//! PDF → text, page by page. Layout is lost: columns and tables become lines in the order in which the file draws them.

use super::{TEXT_MAX_BYTES, Unreadable};
use lopdf::{Document, Error, LoadOptions};

/// What one stream may unpack to. A page of text has some ten kilobytes.
const STREAM_MAX_BYTES: usize = 32 * 1024 * 1024;
/// A book has a thousand pages.
const PAGES_MAX: usize = 5_000;

pub fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    let options = LoadOptions {
        max_decompressed_size: Some(STREAM_MAX_BYTES),
        ..LoadOptions::default()
    };
    let document = Document::load_mem_with_options(bytes, options).map_err(|e| why(&e))?;
    // A file that opens without a password was opened.
    if document.trailer.has(b"Encrypt") && !document.was_encrypted() {
        return Err(Unreadable::Encrypted);
    }
    let pages = document.get_pages();
    if pages.is_empty() {
        return Err(Unreadable::Broken);
    }
    if pages.len() > PAGES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let mut text = String::new();
    let mut failure = None;
    for page in pages.keys() {
        for chunk in document.extract_text_chunks_with_limit(&[*page], STREAM_MAX_BYTES) {
            match chunk {
                Ok(chunk) => text.push_str(&chunk),
                // One font that cannot be read must not cost the whole document.
                Err(error) => failure = Some(why(&error)),
            }
        }
        if text.len() > TEXT_MAX_BYTES {
            return Err(Unreadable::TooLarge);
        }
        if !text.ends_with("\n\n") {
            text.push_str("\n\n");
        }
    }
    match failure {
        Some(why) if text.trim().is_empty() || why == Unreadable::TooComplex => Err(why),
        Some(_) | None => Ok(text.replace('\0', "")),
    }
}

fn why(error: &Error) -> Unreadable {
    match error {
        Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. }) => {
            Unreadable::TooComplex
        }
        Error::InvalidPassword | Error::Decryption(_) => Unreadable::Encrypted,
        _ => Unreadable::Broken,
    }
}
