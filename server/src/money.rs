//! Money: millionths of a unit, whole numbers only, so that sums are exact. Which currency it is, is the owner's business: prices and caps are in
//! the same one. Written as a decimal, like `12.50`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

const UNIT: u64 = 1_000_000;
const DECIMALS: usize = 6;
/// A trillion units: more is a mistake, and sums of it would not fit a database's integer.
const MOST: u64 = 1_000_000_000_000;

/// Never below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(u64);

impl Money {
    pub fn micros(self) -> u64 {
        self.0
    }

    /// What so many tokens cost at this price for a million, in millionths of a millionth: rounded only once all parts are added.
    fn of(self, tokens: u64) -> u128 {
        u128::from(self.0) * u128::from(tokens)
    }
}

/// Prices of a model, for a million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    pub input: Money,
    pub output: Money,
}

impl Prices {
    /// Millionths of a unit, rounded up: nothing that costs something counts as free.
    pub fn cost_micros(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let input = self.input.of(input_tokens);
        let cost = input.saturating_add(self.output.of(output_tokens));
        u64::try_from(cost.div_ceil(u128::from(UNIT))).unwrap_or(u64::MAX)
    }
}

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Money, String> {
        let wrong = || {
            format!(
                "an amount of money is a decimal like 12.50, with at most {DECIMALS} decimals, up to {MOST}"
            )
        };
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > DECIMALS {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<DECIMALS$}").parse().map_err(|_| wrong())?;
        let micros = whole.checked_mul(UNIT).and_then(|m| m.checked_add(part));
        micros
            .filter(|micros| *micros <= MOST * UNIT)
            .map(Money)
            .ok_or_else(wrong)
    }
}

/// The shortest that reads back as the same.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / UNIT, self.0 % UNIT);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let part = format!("{part:0>DECIMALS$}");
        write!(f, "{whole}.{}", part.trim_end_matches('0'))
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text, so that no reader or writer on the way rounds it. A JSON number is taken for its decimals.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Amount {
            Text(String),
            Number(serde_json::Number),
        }
        let text = match Amount::deserialize(deserializer) {
            Ok(Amount::Text(text)) => text,
            Ok(Amount::Number(number)) => number.to_string(),
            Err(_) => String::new(),
        };
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_they_are_written() {
        for (text, micros, shown) in [
            ("0", 0, "0"),
            ("12.50", 12_500_000, "12.5"),
            ("0.15", 150_000, "0.15"),
            ("0.000001", 1, "0.000001"),
            ("007", 7_000_000, "7"),
            ("1000000000000", MOST * UNIT, "1000000000000"),
        ] {
            let money: Money = text.parse().expect(text);
            assert_eq!((money.0, money.to_string().as_str()), (micros, shown));
        }
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,5",
            "0.0000001",
            " 1",
            "1 ",
            "$1",
            "NaN",
            "1000000000001",
            "99999999999999999999",
            "1.2.3",
            "٣",
        ] {
            assert!(text.parse::<Money>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn json_is_a_text_or_a_number() {
        for (json, micros) in [(r#""0.15""#, 150_000), ("0.15", 150_000), ("3", 3_000_000)] {
            let money: Money = serde_json::from_str(json).expect(json);
            assert_eq!(money.0, micros, "{json}");
        }
        for json in ["-1", "1e30", "true", "[]", "{}", r#""x""#, "0.1234567"] {
            assert!(serde_json::from_str::<Money>(json).is_err(), "{json}");
        }
        let shown = serde_json::to_string(&Money(12_500_000)).expect("written");
        assert_eq!(shown, r#""12.5""#);
    }

    #[test]
    fn a_turn_costs_what_its_tokens_do_rounded_up() {
        let prices = Prices {
            input: "0.15".parse().expect("a price"),
            output: "0.60".parse().expect("a price"),
        };
        for (input, output, micros) in [
            (0, 0, 0),
            (1_000_000, 0, 150_000),
            (0, 1_000_000, 600_000),
            (1_000, 500, 450),
            // 0.15 millionths.
            (1, 0, 1),
            (7, 1, 2),
        ] {
            assert_eq!(
                prices.cost_micros(input, output),
                micros,
                "{input}, {output}"
            );
        }
        let dear = Prices {
            input: Money(u64::MAX),
            output: Money(u64::MAX),
        };
        assert_eq!(dear.cost_micros(u64::MAX, u64::MAX), u64::MAX);
    }
}
