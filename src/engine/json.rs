//! The JSON that the engine writes: bodies of requests, frames of the data channel, payloads of events. One type for all of them, so that the
//! bundle holds one writer; tests read what was written as the `protocol` types that the server reads it as.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::borrow::Cow;

/// An object; its fields in the order in which they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Json(Vec<(Cow<'static, str>, Value)>);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(String),
    Number(u32),
    Truth(bool),
    Object(Json),
    List(Vec<Json>),
}

impl Json {
    pub fn text(mut self, key: &'static str, value: &str) -> Json {
        self.add(Cow::Borrowed(key), Value::Text(String::from(value)));
        self
    }

    /// No field for nothing.
    pub fn maybe(self, key: &'static str, value: Option<&str>) -> Json {
        match value {
            Some(value) => self.text(key, value),
            None => self,
        }
    }

    pub fn number(mut self, key: &'static str, value: u32) -> Json {
        self.add(Cow::Borrowed(key), Value::Number(value));
        self
    }

    pub fn truth(mut self, key: &'static str, value: bool) -> Json {
        self.add(Cow::Borrowed(key), Value::Truth(value));
        self
    }

    pub fn object(mut self, key: &'static str, value: Json) -> Json {
        self.add(Cow::Borrowed(key), Value::Object(value));
        self
    }

    pub fn list(mut self, key: &'static str, value: Vec<Json>) -> Json {
        self.add(Cow::Borrowed(key), Value::List(value));
        self
    }

    /// Entries of the page's own choosing.
    pub fn entries(entries: &[(String, String)]) -> Json {
        let mut object = Json::default();
        for (key, value) in entries {
            object.add(Cow::Owned(key.clone()), Value::Text(value.clone()));
        }
        object
    }

    #[inline(never)]
    fn add(&mut self, key: Cow<'static, str>, value: Value) {
        self.0.push((key, value));
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(&**key, value)?;
        }
        map.end()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Number(number) => serializer.serialize_u32(*number),
            Value::Truth(truth) => serializer.serialize_bool(*truth),
            Value::Object(object) => object.serialize(serializer),
            Value::List(list) => serializer.collect_seq(list),
        }
    }
}
