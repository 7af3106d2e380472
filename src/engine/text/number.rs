//! Numbers as text, without the formatting machinery (9 kB of wasm for floats alone).

/// Appends `value` in decimal.
pub fn push(text: &mut String, value: u64) {
    if value >= 10 {
        push(text, value / 10);
    }
    text.push((b'0' + (value % 10) as u8) as char);
}

/// A page's number as it would write it itself, for integers and up to six decimals. None: not finite, or too large.
pub fn decimal(value: f64) -> Option<String> {
    let size = value.abs();
    // Above 2^53 a number no longer names one integer. The comparison also turns NaN away.
    if size.is_nan() || size > 9_007_199_254_740_992.0 {
        return None;
    }
    let mut whole = size as u64;
    let mut millionths = ((size - whole as f64) * 1_000_000.0 + 0.5) as u64;
    if millionths >= 1_000_000 {
        whole += 1;
        millionths -= 1_000_000;
    }
    let mut text = String::new();
    if value < 0.0 && (whole > 0 || millionths > 0) {
        text.push('-');
    }
    push(&mut text, whole);
    if millionths > 0 {
        text.push('.');
        let mut place = 100_000;
        while millionths > 0 {
            text.push((b'0' + (millionths / place) as u8) as char);
            millionths %= place;
            place /= 10;
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_read_as_the_page_wrote_them() {
        for (value, expected) in [
            (0.0, Some("0")),
            (-0.0, Some("0")),
            (7.0, Some("7")),
            (19.99, Some("19.99")),
            (-0.25, Some("-0.25")),
            (0.000001, Some("0.000001")),
            (0.9999999, Some("1")),
            (100.05, Some("100.05")),
            (9_007_199_254_740_992.0, Some("9007199254740992")),
            (1e300, None),
            (f64::NAN, None),
            (f64::NEG_INFINITY, None),
        ] {
            assert_eq!(decimal(value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn integers_have_no_leading_zero() {
        for value in [0, 9, 10, 1_000, u64::MAX] {
            let mut text = String::new();
            push(&mut text, value);
            assert_eq!(text, value.to_string());
        }
    }
}
