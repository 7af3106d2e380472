//! What a request carries — body, query, path — read with our errors instead of the framework's.

use crate::error::ApiError;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{StatusCode, header};
use karta_protocol::ErrorCode;
use serde::de::DeserializeOwned;

/// Levels of a JSON body.
const DEPTH_MAX: usize = 32;

/// Query parameters.
#[derive(FromRequestParts)]
#[from_request(via(Query), rejection(ApiError))]
pub struct Params<T>(pub T);

/// Path parameters.
#[derive(FromRequestParts)]
#[from_request(via(Path), rejection(ApiError))]
pub struct Id<T = String>(pub T);

/// A JSON object as body. An empty body counts as `{}`, so that calls whose fields are all optional can do without.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        let body = Bytes::from_request(request, state).await?;
        if body.is_empty() {
            return parse(b"{}").map(Json);
        }
        let is_json = content_type.as_ref().is_some_and(|value| {
            let value = value.as_bytes();
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            value[..end]
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        });
        if !is_json {
            return Err(ApiError::new(
                ErrorCode::RequestInvalid,
                "Send the body with `Content-Type: application/json`.",
            )
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        parse(&body).map(Json)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde would also read a struct from an array.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::new(
            ErrorCode::RequestInvalid,
            "The body must be a JSON object.",
        ));
    }
    if deeper_than(body, DEPTH_MAX) {
        return Err(ApiError::new(
            ErrorCode::RequestInvalid,
            format!(
                "The body is nested deeper than {DEPTH_MAX} levels. No call needs more than two."
            ),
        ));
    }
    // serde_json does not look inside strings of fields that it skips.
    let body = std::str::from_utf8(body).map_err(|_| {
        ApiError::new(
            ErrorCode::RequestInvalid,
            "The body is not UTF-8, as JSON must be.",
        )
    })?;
    let mut reader = serde_json::Deserializer::from_str(body);
    // Names the field: serde_json by itself says only what it expected there.
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let place = error.path().to_string();
        let what = error.into_inner().to_string();
        match place.as_str() {
            "." => what,
            _ => format!("{place}: {what}"),
        }
    });
    let value = value.and_then(|value| match reader.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(error.to_string()),
    });
    value.map_err(|text| {
        let text: String = text.chars().take(200).collect();
        ApiError::new(
            ErrorCode::RequestInvalid,
            format!(
                "The body is not the JSON that this call takes: {text}. /openapi.json describes it."
            ),
        )
    })
}

/// Looks at brackets outside of strings only, before anything is built. serde_json has a limit of its own, but not for fields that
/// it skips.
fn deeper_than(json: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (json, deep) in [
            ("{}", false),
            ("[[]]", false),
            ("[[[]]]", true),
            ("[[],[],[]]", false),
            (r#"{"[[[[":"]]]]"}"#, false),
            (r#"{"\"[[[":1}"#, false),
            (r#"["\\",[[1]]]"#, true),
            ("]]]]", false),
            ("]]][[[", true),
            ("\"[[[[", false),
        ] {
            assert_eq!(deeper_than(json.as_bytes(), 2), deep, "{json}");
        }
    }
}
