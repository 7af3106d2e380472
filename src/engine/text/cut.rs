//! Cutting text at a character. The standard library's search is made for long needles; for one byte it is a kilobyte too many.

/// What stands before the first `mark` (an ASCII character) and what behind it; everything and nothing where there is none.
pub fn cut(text: &str, mark: u8) -> (&str, &str) {
    let at = text.bytes().position(|byte| byte == mark);
    let at = at.unwrap_or(text.len());
    let before = text.get(..at).unwrap_or("");
    (before, text.get(at + 1..).unwrap_or(""))
}

/// Hands over what stands between the marks, in order; nothing where a mark is the end.
pub fn each<'a>(text: &'a str, mark: u8, take: &mut dyn FnMut(&'a str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, others) = cut(rest, mark);
        take(piece);
        rest = others;
    }
}

/// A whole number at the start; 0 where there is none, and the largest where it is too large.
pub fn digits(text: &str) -> u64 {
    let digits = text.bytes().take_while(u8::is_ascii_digit);
    digits.fold(0_u64, |number, digit| {
        let digit = u64::from(digit - b'0');
        number.saturating_mul(10).saturating_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_first_mark() {
        for (text, expected) in [
            ("a:b:c", ("a", "b:c")),
            ("é:", ("é", "")),
            (":é", ("", "é")),
            ("é", ("é", "")),
            ("", ("", "")),
        ] {
            assert_eq!(cut(text, b':'), expected);
        }
    }

    #[test]
    fn pieces_come_in_order() {
        for (text, expected) in [
            ("a\nb\n", vec!["a", "b"]),
            ("\na\n\nb", vec!["", "a", "", "b"]),
            ("é", vec!["é"]),
            ("", vec![]),
        ] {
            let mut pieces = Vec::new();
            each(text, b'\n', &mut |piece| pieces.push(piece));
            assert_eq!(pieces, expected, "{text:?}");
        }
    }

    #[test]
    fn digits_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("12", 12),
            ("7 s", 7),
            ("", 0),
            ("-1", 0),
            ("99999999999999999999", u64::MAX),
        ] {
            assert_eq!(digits(text), expected, "{text}");
        }
    }
}
