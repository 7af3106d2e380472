//! Colours as `#rrggbb`, and the readable text colour on them.

/// `#rgb` or `#rrggbb`, any case → `#rrggbb` in lower case.
pub fn parse(text: &str) -> Option<String> {
    let (hash, digits) = text.as_bytes().split_first()?;
    let times = match digits.len() {
        6 => 1,
        3 => 2,
        _ => return None,
    };
    let mut color = String::from("#");
    for digit in digits {
        for _ in 0..times {
            color.push(char::from(digit.to_ascii_lowercase()));
        }
    }
    (*hash == b'#' && digits.iter().all(u8::is_ascii_hexdigit)).then_some(color)
}

/// Black or white, whichever has the higher WCAG contrast on `background` (a result of [`parse`]).
pub fn foreground(background: &str) -> &'static str {
    // White is the better one while (1 + 0.05) / (L + 0.05) > (L + 0.05) / 0.05, so below L = 0.1791.
    if luminance(background) < 0.179_1 {
        "#ffffff"
    } else {
        "#000000"
    }
}

/// Relative luminance, WCAG 2.2.
fn luminance(color: &str) -> f32 {
    let digits = color.as_bytes();
    let channel = |at: usize| {
        let digit = |at: usize| {
            let byte = digits.get(at).copied().unwrap_or(b'0');
            char::from(byte).to_digit(16).unwrap_or(0)
        };
        linear((digit(at) * 16 + digit(at + 1)) as f32 / 255.0)
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

/// sRGB → linear light by a cubic that stays within 0.003 of the standard's curve: `powf` would cost 2 kB of wasm.
fn linear(value: f32) -> f32 {
    value * (value * (value * 0.305_306 + 0.682_171_1) + 0.012_522_9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_colours_are_normalised_and_others_refused() {
        for (input, expected) in [
            ("#2563eb", Some("#2563eb")),
            ("#ABC", Some("#aabbcc")),
            ("#D4FF4F", Some("#d4ff4f")),
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
    fn foreground_has_the_better_contrast_on_every_sampled_colour() {
        let exact = |value: f64| {
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let color = format!("#{red:02x}{green:02x}{blue:02x}");
                    let l = 0.2126 * exact(f64::from(red) / 255.0)
                        + 0.7152 * exact(f64::from(green) / 255.0)
                        + 0.0722 * exact(f64::from(blue) / 255.0);
                    let (white, black) = (1.05 / (l + 0.05), (l + 0.05) / 0.05);
                    let chosen = if foreground(&color) == "#ffffff" {
                        white
                    } else {
                        black
                    };
                    assert!(chosen >= 4.5, "{color}: {chosen}");
                }
            }
        }
    }
}
