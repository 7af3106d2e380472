//! Colours of an owner: read as the widget reads them (`src/engine/config/color.rs`), so that what is saved is what is shown. The
//! readable text colour where none is given is the widget's to choose, because a page may bring another accent.

/// What WCAG 2.2 asks of large text and of controls.
const CONTRAST_MIN: f64 = 3.0;

/// `#rgb` or `#rrggbb`, any case → `#rrggbb` in lower case.
pub fn parse(text: &str) -> Option<String> {
    let digits = text.trim().strip_prefix('#')?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let repeat = match digits.len() {
        3 => 2,
        6 => 1,
        _ => return None,
    };
    let digits = digits
        .chars()
        .flat_map(|digit| std::iter::repeat_n(digit.to_ascii_lowercase(), repeat));
    Some(std::iter::once('#').chain(digits).collect())
}

/// Whether text in one of these colours (results of [`parse`]) can be read on the other.
pub fn readable(one: &str, other: &str) -> bool {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05) >= CONTRAST_MIN
}

/// Relative luminance, WCAG 2.2.
fn luminance(color: &str) -> f64 {
    let channel = |at: usize| {
        let byte = color.get(at..at + 2).unwrap_or_default();
        let value = f64::from(u8::from_str_radix(byte, 16).unwrap_or(0)) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the widget's own reader.
    #[test]
    fn hex_colours_are_normalised_and_others_refused() {
        for (input, expected) in [
            ("#2563eb", Some("#2563eb")),
            ("#ABC", Some("#aabbcc")),
            (" #D4FF4F ", Some("#d4ff4f")),
            ("2563eb", None),
            ("#2563ebff", None),
            ("#12345g", None),
            ("#ÿÿÿ", None),
            ("red", None),
            ("#fff;background:url(//evil)", None),
            ("", None),
        ] {
            assert_eq!(parse(input).as_deref(), expected, "{input}");
        }
    }

    #[test]
    fn text_must_stand_out() {
        for (one, other, expected) in [
            ("#000000", "#ffffff", true),
            ("#ffffff", "#2563eb", true),
            ("#ffffff", "#d4ff4f", false),
            ("#777777", "#777777", false),
        ] {
            assert_eq!(readable(one, other), expected, "{one} {other}");
            assert_eq!(readable(other, one), expected, "{other} {one}");
        }
    }
}
