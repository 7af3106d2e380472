//! What a page says about its visitor (`identify`'s attributes): advisory, for the owner to see. Never authorisation, and never a
//! reason to refuse a conversation: what is too much is left out.

use serde_json::{Map, Value};

/// Attributes of a session; a page that says more has a mistake in a loop.
const COUNT_MAX: usize = 50;
const NAME_MAX_CHARS: usize = 64;
const TEXT_MAX_CHARS: usize = 500;

/// Texts cut to their bound, numbers and booleans as they are; lists, objects and null are left out.
pub fn bounded(given: Map<String, Value>) -> Map<String, Value> {
    let kept = given.into_iter().filter_map(|(name, value)| {
        let fits = !name.is_empty() && name.chars().count() <= NAME_MAX_CHARS;
        let value = match value {
            Value::String(text) => Value::String(text.chars().take(TEXT_MAX_CHARS).collect()),
            Value::Bool(_) | Value::Number(_) => value,
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        fits.then_some((name, value))
    });
    kept.take(COUNT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_too_much_is_left_out() {
        let check = |given: Value, expected: Value| {
            let Value::Object(given) = given else {
                panic!("an object")
            };
            assert_eq!(Value::Object(bounded(given)), expected);
        };
        let plain = json!({"plan": "pro", "age": 41, "beta": true, "rate": 0.5});
        check(plain.clone(), plain);
        check(
            json!({"a": null, "b": [1], "c": {"d": 1}, "": "x", "e": "ok"}),
            json!({"e": "ok"}),
        );
        check(
            json!({"t": "é".repeat(501), "n".repeat(64): 1, "n".repeat(65): 2}),
            json!({"t": "é".repeat(500), "n".repeat(64): 1}),
        );
        let many: Map<String, Value> = (0..200).map(|n| (format!("k{n}"), json!(n))).collect();
        assert_eq!(bounded(many).len(), COUNT_MAX);
    }
}
