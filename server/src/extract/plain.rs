//! Plain text and Markdown in the encodings that people save: UTF-8, UTF-16 with a mark, and Windows-1252 for the rest.

use super::Unreadable;
use encoding_rs::{Encoding, WINDOWS_1252};

pub fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    let text = match Encoding::for_bom(bytes) {
        // Lone surrogates and cut pairs become U+FFFD: the rest of the document is worth reading.
        Some((encoding, _)) => encoding.decode_with_bom_removal(bytes).0,
        None => match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            // Every byte is a letter in Windows-1252, so what is no text at all must be told apart first.
            Err(_) if bytes.iter().any(|b| is_binary(*b)) => return Err(Unreadable::WrongType),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0,
        },
    };
    // UTF-16 without a mark shows itself here too: every second byte is NUL.
    if text.contains('\0') {
        return Err(Unreadable::WrongType);
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Control characters that no text file has.
fn is_binary(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b) || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<&str, Unreadable>) {
        assert_eq!(text(bytes).as_deref(), expected.as_deref(), "{bytes:?}");
    }

    #[test]
    fn the_encodings_people_save_are_read() {
        check("Grüße\r\nzwei\rdrei".as_bytes(), Ok("Grüße\nzwei\ndrei"));
        check("\u{feff}Grüße".as_bytes(), Ok("Grüße"));
        check(b"\xff\xfeG\0r\0\xfc\0", Ok("Grü"));
        check(b"\xfe\xff\0G\0r\0\xfc", Ok("Grü"));
        check(b"Gr\xfc\xdfe \x80 5 \x96 6", Ok("Grüße € 5 – 6"));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        check(b"a\0b", Err(Unreadable::WrongType));
        check(b"G\0r\0", Err(Unreadable::WrongType));
        check(b"\x89PNG\r\n\x1a\n\xff\xd8", Err(Unreadable::WrongType));
        check(b"\xff\xfe\0\0", Err(Unreadable::WrongType));
    }

    #[test]
    fn a_cut_character_is_marked_and_the_rest_is_kept() {
        check(b"\xff\xfeG\0r", Ok("G\u{fffd}"));
        check(b"\xff\xfe\x00\xd8G\0", Ok("\u{fffd}G"));
    }
}
