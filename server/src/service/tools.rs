//! What an agent may do for a visitor, checked before it is kept. Pure.

use super::{ServiceError, line, web_address};
use crate::store::Tool;
use serde_json::Value;

/// More confuse a model, and each costs tokens in every turn.
pub const TOOLS_MAX: usize = 16;
const NAME_MAX: usize = 64;
const PARAMETERS_MAX_BYTES: usize = 8_000;

pub fn checked(tools: Vec<Tool>) -> Result<Vec<Tool>, ServiceError> {
    if tools.len() > TOOLS_MAX {
        return Err(invalid(format!("an agent has at most {TOOLS_MAX} tools")));
    }
    let tools = tools.into_iter().map(tool).collect::<Result<Vec<_>, _>>()?;
    for (at, tool) in tools.iter().enumerate() {
        if tools[..at].iter().any(|other| other.name == tool.name) {
            return Err(invalid(format!("two tools are called \"{}\"", tool.name)));
        }
    }
    Ok(tools)
}

fn tool(tool: Tool) -> Result<Tool, ServiceError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !(1..=NAME_MAX).contains(&tool.name.len()) || !tool.name.bytes().all(allowed) {
        return Err(invalid(format!(
            "a tool's name must be 1 to {NAME_MAX} characters of A-Z, a-z, 0-9, _ and -, as models know no other: like \"cancel_order\""
        )));
    }
    let of = |field: &str| format!("the {field} of the tool \"{}\"", tool.name);
    if tool.parameters["type"] != "object" {
        return Err(invalid(format!(
            "{} must be a JSON Schema with \"type\": \"object\"",
            of("parameters")
        )));
    }
    if !matches!(
        tool.parameters.get("properties"),
        None | Some(Value::Object(_))
    ) {
        return Err(invalid(format!(
            "{} must have an object in \"properties\"",
            of("parameters")
        )));
    }
    if tool.parameters.to_string().len() > PARAMETERS_MAX_BYTES {
        return Err(invalid(format!(
            "{} are longer than {PARAMETERS_MAX_BYTES} bytes",
            of("parameters")
        )));
    }
    Ok(Tool {
        title: line(&of("title"), &tool.title, 60)?,
        description: line(&of("description"), &tool.description, 1_000)?,
        url: web_address(&of("url"), &tool.url)?,
        name: tool.name,
        parameters: tool.parameters,
        confirm: tool.confirm,
    })
}

fn invalid(message: String) -> ServiceError {
    ServiceError::Invalid(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cancel() -> Value {
        json!({
            "name": "cancel_order",
            "title": "Cancel an order",
            "description": "Cancels an order that was not sent yet.",
            "parameters": {"type": "object", "properties": {"order": {"type": "string"}}},
            "url": "https://shop.example/karta/cancel",
        })
    }

    fn check(change: Value) -> Result<Vec<Tool>, String> {
        let mut tool = cancel();
        for (field, value) in change.as_object().expect("fields") {
            tool[field] = value.clone();
        }
        let tool = serde_json::from_value(tool).map_err(|error| error.to_string())?;
        checked(vec![tool]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_tool_is_kept_as_it_was_given() {
        let kept = check(json!({"title": " Cancel an order "})).expect("a tool");
        assert_eq!(kept[0].title, "Cancel an order");
        assert!(!kept[0].confirm);
        let mut bare = cancel();
        bare.as_object_mut().expect("fields").remove("parameters");
        let bare: Tool = serde_json::from_value(bare).expect("a tool");
        let kept = checked(vec![bare]).expect("a tool");
        assert_eq!(kept[0].parameters["type"], "object");
    }

    #[test]
    fn what_no_model_or_visitor_could_use_is_refused_with_the_fix() {
        for (change, said) in [
            (json!({"name": ""}), "cancel_order"),
            (json!({"name": "cancel order"}), "A-Z"),
            (json!({"name": "a".repeat(65)}), "64"),
            (json!({"title": " "}), "title of the tool \"cancel_order\""),
            (json!({"title": "x".repeat(61)}), "60"),
            (json!({"description": ""}), "description"),
            (json!({"url": "ftp://shop.example"}), "url"),
            (json!({"url": "https://me:secret@shop.example"}), "url"),
            (json!({"url": "/cancel"}), "url"),
            (json!({"parameters": {"type": "string"}}), "object"),
            (json!({"parameters": []}), "object"),
            (
                json!({"parameters": {"type": "object", "properties": 7}}),
                "properties",
            ),
            (
                json!({"parameters": {"type": "object", "x": "y".repeat(9_000)}}),
                "8000",
            ),
            (json!({"secret": "s"}), "unknown field"),
        ] {
            let error = check(change.clone()).expect_err("refused");
            assert!(error.contains(said), "{change}: {error}");
        }
        let tool: Tool = serde_json::from_value(cancel()).expect("a tool");
        assert!(checked(vec![tool.clone(), tool.clone()]).is_err());
        assert!(checked(vec![tool; 17]).is_err());
    }
}
