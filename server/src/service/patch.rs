//! A field of a change: absent leaves it, null clears it, a value sets it (RFC 7396 for flat objects).

use serde::{Deserialize, Deserializer};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    #[default]
    Keep,
    Clear,
    Set(T),
}

impl<T> Patch<T> {
    pub fn apply(self, field: &mut Option<T>) {
        match self {
            Patch::Keep => {}
            Patch::Clear => *field = None,
            Patch::Set(value) => *field = Some(value),
        }
    }

    /// The same change, with the value checked.
    pub fn check<U, E>(self, check: impl FnOnce(T) -> Result<U, E>) -> Result<Patch<U>, E> {
        Ok(match self {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(value) => Patch::Set(check(value)?),
        })
    }

    pub fn is_keep(&self) -> bool {
        matches!(self, Patch::Keep)
    }
}

/// For a field of a request, with `#[serde(default)]`: serde does not call this for a field that is absent.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(deserializer)? {
            None => Patch::Clear,
            Some(value) => Patch::Set(value),
        })
    }
}

/// For a field that cannot be cleared: null is refused like any other wrong type.
pub fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Change {
        note: Patch<String>,
        #[serde(deserialize_with = "present")]
        name: Option<String>,
    }

    #[test]
    fn absent_null_and_value_are_three_things() {
        for (json, expected) in [
            ("{}", Patch::Keep),
            (r#"{"note":null}"#, Patch::Clear),
            (r#"{"note":""}"#, Patch::Set(String::new())),
        ] {
            let change: Change = serde_json::from_str(json).expect("read");
            assert_eq!(change.note, expected, "{json}");
        }
        let named: Change = serde_json::from_str(r#"{"name":"x"}"#).expect("read");
        assert_eq!(named.name.as_deref(), Some("x"));
        assert!(serde_json::from_str::<Change>(r#"{"name":null}"#).is_err());
    }

    #[test]
    fn a_change_is_applied_to_what_was() {
        let mut field = Some(1);
        Patch::Keep.apply(&mut field);
        assert_eq!(field, Some(1));
        Patch::Set(2).apply(&mut field);
        assert_eq!(field, Some(2));
        Patch::Clear.apply(&mut field);
        assert_eq!(field, None);
    }
}
