//! Answers against the OpenAPI document: the part of JSON Schema that it uses. A field that is not in the schema is an error too, so that
//! the document tells everything that an answer holds.

use serde_json::Value;
use std::collections::BTreeMap;

/// The answer of this call is one that the document knows.
#[track_caller]
pub fn check(document: &Value, method: &str, path: &str, status: u16, body: &[u8]) {
    let path = path.split('?').next().unwrap_or_default();
    let template = template(document, path).unwrap_or_else(|| panic!("{path} is not documented"));
    let call = &document["paths"][template.as_str()][method.to_lowercase()];
    let response = &call["responses"][status.to_string()];
    let schema = &response["content"]["application/json"]["schema"];
    match (response.is_null(), schema.is_null()) {
        (false, false) => {
            let value: Value = serde_json::from_slice(body).expect("JSON");
            if let Err(problem) = fits(document, schema, &value, "body") {
                panic!("{method} {template} {status}: {problem}");
            }
        }
        (false, true) => assert!(body.is_empty(), "{method} {template} {status} has a body"),
        // What every call may answer is said once, in the description of the token.
        (true, _) => assert!(
            [401, 403, 404, 405, 408, 413, 415, 429, 503].contains(&status)
                || (status == 400 && call.is_null()),
            "{method} {template} does not document {status}: {}",
            String::from_utf8_lossy(body)
        ),
    }
}

fn template(document: &Value, path: &str) -> Option<String> {
    let paths = document["paths"].as_object()?.keys();
    let words: Vec<&str> = path.split('/').collect();
    let matches = |template: &&String| {
        let pattern: Vec<&str> = template.split('/').collect();
        pattern.len() == words.len()
            && pattern
                .iter()
                .zip(&words)
                .all(|(p, w)| p == w || (p.starts_with('{') && !w.is_empty()))
    };
    paths.into_iter().find(matches).cloned()
}

fn fits(document: &Value, schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    if let Some(choices) = schema["oneOf"].as_array() {
        let tries: Vec<_> = choices
            .iter()
            .map(|one| fits(document, one, value, place))
            .collect();
        return match tries.iter().any(Result::is_ok) {
            true => Ok(()),
            false => Err(format!("{place} fits no choice: {tries:?}")),
        };
    }
    if let Some(choices) = schema["enum"].as_array()
        && !choices.contains(value)
    {
        return Err(format!("{place}: {value} is none of {choices:?}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("allOf").is_some() => vec!["object"],
        _ => return Err(format!("{place}: no type in {schema}")),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && kinds.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{place} is {kind}, not {kinds:?}"));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
            fits(document, &schema["items"], item, &format!("{place}[{at}]"))
        }),
        Value::Object(fields) => {
            let (known, required) = object(document, schema);
            if let Some(name) = required.iter().find(|name| !fields.contains_key(*name)) {
                return Err(format!("{place}.{name} is missing"));
            }
            let more = schema.get("additionalProperties");
            let open = more.is_some_and(|more| *more != Value::Bool(false));
            fields.iter().try_for_each(|(name, field)| {
                let place = format!("{place}.{name}");
                match known.get(name) {
                    Some(schema) => fits(document, schema, field, &place),
                    // A map with names that nobody knows beforehand.
                    None if open => Ok(()),
                    None => Err(format!("{place} is not documented")),
                }
            })
        }
        _ => Ok(()),
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(place) => document
            .pointer(place.trim_start_matches('#'))
            .expect("a reference"),
        None => schema,
    }
}

/// All fields of an object and those it must have, through `allOf`.
fn object<'a>(
    document: &'a Value,
    schema: &'a Value,
) -> (BTreeMap<String, &'a Value>, Vec<String>) {
    let schema = resolve(document, schema);
    let fields = schema["properties"].as_object().into_iter().flatten();
    let mut known: BTreeMap<String, &Value> =
        fields.map(|(name, field)| (name.clone(), field)).collect();
    let names = schema["required"].as_array().into_iter().flatten();
    let mut required: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let (more, also) = object(document, part);
        known.extend(more);
        required.extend(also);
    }
    (known, required)
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    use serde_json::json;
    let document = json!({"components": {"schemas": {
        "Base": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
        "More": {"allOf": [{"$ref": "#/components/schemas/Base"}, {"type": "object", "properties": {"n": {"type": ["integer", "null"]}}}]},
        "Word": {"type": "string", "enum": ["a", "b"]},
    }}});
    for (schema, value, good) in [
        ("Base", json!({"id": "x"}), true),
        ("Base", json!({}), false),
        ("Base", json!({"id": 1}), false),
        ("Base", json!({"id": "x", "secret": 1}), false),
        ("Base", json!([]), false),
        ("More", json!({"id": "x", "n": 1}), true),
        ("More", json!({"id": "x", "n": null}), true),
        ("More", json!({"id": "x", "n": "1"}), false),
        ("More", json!({"n": 1}), false),
        ("Word", json!("a"), true),
        ("Word", json!("c"), false),
    ] {
        let schema = json!({"$ref": format!("#/components/schemas/{schema}")});
        assert_eq!(
            fits(&document, &schema, &value, "").is_ok(),
            good,
            "{value}"
        );
    }
}
