//! Names of files, as visitors call them: cleaned for whoever reads them, and written into a header. They never become a path.

use std::fmt::Write as _;

/// Longest name, in characters.
pub const NAME_MAX: usize = 128;
/// Of these the end says what the file is; a longer one is no ending.
const ENDING_MAX: usize = 10;

/// Without folders, control characters and what turns the direction of writing round; never empty.
pub fn clean(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !is_hidden(*c)).collect();
    let name = shown.trim_matches(|c: char| c.is_whitespace());
    // A name of dots is a folder.
    let name = name.trim_end_matches('.').trim_end();
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) if end.chars().count() <= ENDING_MAX => (stem, format!(".{end}")),
        Some(_) | None => (name, String::new()),
    };
    let stem = if stem.trim().is_empty() { "file" } else { stem };
    let room = NAME_MAX - end.chars().count();
    stem.chars().take(room).chain(end.chars()).collect()
}

/// What follows the last dot, in lower case.
pub fn ending(name: &str) -> Option<String> {
    let (_, end) = name.rsplit_once('.')?;
    Some(end.to_ascii_lowercase())
}

/// Invisible, or makes the rest look like something else: `gpj.exe` for `exe.jpg`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `Content-Disposition` for a download: plain letters for old readers, everything for those that know RFC 8187.
pub fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| match c {
            '"' | '\\' | '%' => '_',
            ' '..='~' => c,
            _ => '_',
        })
        .collect();
    let mut header = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        // attr-char of RFC 8187.
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            let _ = write!(header, "%{byte:02X}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_folders_and_what_cannot_be_seen() {
        for (given, expected) in [
            ("photo.png", "photo.png"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\a b.txt", "a b.txt"),
            ("..", "file"),
            ("", "file"),
            (" . ", "file"),
            (".png", "file.png"),
            ("a\r\nSet-Cookie: x\0.txt", "aSet-Cookie: x.txt"),
            ("annual\u{202e}gnp.exe", "annualgnp.exe"),
            ("Rechnung März 日本.pdf", "Rechnung März 日本.pdf"),
            ("dots...", "dots"),
        ] {
            assert_eq!(clean(given), expected, "{given:?}");
        }
        let long = clean(&format!("{}.png", "ä".repeat(500)));
        assert_eq!(long.chars().count(), NAME_MAX);
        assert!(long.ends_with("ä.png"));
        assert_eq!(clean(&"x".repeat(500)).len(), NAME_MAX);
        assert_eq!(clean(&format!("x.{}", "y".repeat(500))).len(), NAME_MAX);
    }

    #[test]
    fn the_header_holds_any_name() {
        assert_eq!(
            disposition("a \"b\"\\%.txt"),
            "attachment; filename=\"a _b___.txt\"; filename*=UTF-8''a%20%22b%22%5C%25.txt"
        );
        assert_eq!(
            disposition("März.pdf"),
            "attachment; filename=\"M_rz.pdf\"; filename*=UTF-8''M%C3%A4rz.pdf"
        );
    }
}
