//! The widget's own files, embedded in the binary (a debug build reads `dist/widget` instead, so a rebuilt bundle shows at once).
//!
//! The loader stands at three paths, one for each embed dialect, and may change any day, as may the engine's module for pages that draw the
//! conversation themselves; everything that the two load carries a hash in its name and never changes.

use crate::error::ApiError;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use karta_protocol::{ErrorBody, ErrorCode};
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../dist/widget"]
// A plain `cargo test` of a fresh clone has no bundle yet; the loader then answers 503.
#[allow_missing = true]
struct Bundle;

/// Five minutes: a new release reaches every page soon, and a page view after page view costs nothing.
const LOADER_CACHE: &str = "public, max-age=300";
const ASSET_CACHE: &str = "public, max-age=31536000, immutable";

/// The loader.
#[utoipa::path(
    get, path = "/widget/v1/karta.js", tag = "bundle",
    responses((status = 200, content_type = "text/javascript"), (status = 304), (status = 503, body = ErrorBody, description = "the bundle was not built"))
)]
pub async fn loader(headers: HeaderMap) -> Result<Response, ApiError> {
    stable("karta.js", &headers)
}

/// The engine without a screen, as an ES module: what `KartaAgentClient` imports.
#[utoipa::path(
    get, path = "/widget/v1/headless.js", tag = "bundle",
    responses((status = 200, content_type = "text/javascript"), (status = 304), (status = 503, body = ErrorBody, description = "the bundle was not built"))
)]
pub async fn headless(headers: HeaderMap) -> Result<Response, ApiError> {
    stable("headless.js", &headers)
}

/// A file whose name says nothing of its content.
fn stable(name: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    serve::<Bundle>(name, LOADER_CACHE, headers).ok_or_else(|| {
        ApiError::new(
            ErrorCode::Overloaded,
            "This server was built without the widget. Run `./build.sh widget` and build the server again.",
        )
    })
}

/// The loader, where Kataven's tag looks for it.
#[utoipa::path(get, path = "/v1.js", tag = "bundle", responses((status = 200, content_type = "text/javascript"), (status = 304)))]
#[expect(
    dead_code,
    reason = "carries the documentation of the second path of `loader`"
)]
async fn loader_v1() {}

/// The loader, where Cavuer's tag looks for it.
#[utoipa::path(get, path = "/embed.js", tag = "bundle", responses((status = 200, content_type = "text/javascript"), (status = 304)))]
#[expect(
    dead_code,
    reason = "carries the documentation of the third path of `loader`"
)]
async fn loader_embed() {}

/// A file of the bundle, by its hashed name.
#[utoipa::path(
    get, path = "/widget/v1/assets/{file}", params(("file" = String, Path)), tag = "bundle",
    responses((status = 200), (status = 304), (status = 404, body = ErrorBody, description = "not_found"))
)]
pub async fn asset(headers: HeaderMap, file: Path<String>) -> Result<Response, ApiError> {
    // The debug build reads from disk: a name is a name, never a path. Compressed copies have no address of their own.
    let plain = !file.starts_with('.')
        && !file.ends_with(".br")
        && !file.ends_with(".gz")
        && file
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    plain
        .then(|| serve::<Bundle>(&format!("assets/{}", *file), ASSET_CACHE, &headers))
        .flatten()
        .ok_or_else(|| {
            ApiError::new(
                ErrorCode::NotFound,
                "No such file in this release of the widget. Load it through karta.js or headless.js, which know the names.",
            )
        })
}

fn serve<Files: RustEmbed>(
    name: &str,
    cache: &'static str,
    request: &HeaderMap,
) -> Option<Response> {
    let (coding, file) = choose::<Files>(name, request)?;
    let etag = etag(&file, coding);
    let not_modified = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| matches!(tag.trim(), "*") || tag.trim().trim_start_matches("W/") == etag);

    let mut response = if not_modified {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(file.data).into_response()
    };
    let headers = response.headers_mut();
    if !not_modified {
        headers.insert(header::CONTENT_TYPE, content_type(name));
        if let Some(coding) = coding.header() {
            headers.insert(header::CONTENT_ENCODING, coding);
        }
    }
    // Hex digits in quotes.
    if let Ok(etag) = HeaderValue::try_from(etag) {
        headers.insert(header::ETAG, etag);
    }
    for (name, value) in [
        ("cache-control", cache),
        ("vary", "accept-encoding"),
        ("x-content-type-options", "nosniff"),
        // Any site may embed the widget, cross-origin isolated ones too.
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("timing-allow-origin", "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Coding {
    fn header(self) -> Option<HeaderValue> {
        match self {
            Coding::Brotli => Some(HeaderValue::from_static("br")),
            Coding::Gzip => Some(HeaderValue::from_static("gzip")),
            Coding::Identity => None,
        }
    }
}

/// The best of the copies made at build time that the client takes. A client that takes none gets the file as it is.
fn choose<Files: RustEmbed>(name: &str, request: &HeaderMap) -> Option<(Coding, EmbeddedFile)> {
    let accepted = accepted(request);
    for (coding, suffix) in [(Coding::Brotli, ".br"), (Coding::Gzip, ".gz")] {
        if accepted.contains(&coding)
            && let Some(file) = Files::get(&format!("{name}{suffix}"))
        {
            return Some((coding, file));
        }
    }
    Some((Coding::Identity, Files::get(name)?))
}

/// Which codings the client prefers to the plain file. Between brotli and gzip we choose ourselves, by size.
fn accepted(request: &HeaderMap) -> Vec<Coding> {
    let (mut br, mut gzip, mut any, mut identity) = (None, None, None, None);
    let values = request.get_all(header::ACCEPT_ENCODING);
    for item in values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|v| v.split(','))
    {
        let mut parts = item.split(';');
        let coding = parts.next().unwrap_or("").trim().to_ascii_lowercase();
        let quality = parts
            .filter_map(|part| part.trim().strip_prefix("q=")?.trim().parse::<f32>().ok())
            .next()
            .unwrap_or(1.0);
        match coding.as_str() {
            "br" => br = Some(quality),
            "gzip" | "x-gzip" => gzip = Some(quality),
            "*" => any = Some(quality),
            "identity" => identity = Some(quality),
            _ => {}
        }
    }
    let floor = identity.unwrap_or(0.0);
    [(Coding::Brotli, br), (Coding::Gzip, gzip)]
        .into_iter()
        .filter(|(_, quality)| {
            let quality = quality.or(any).unwrap_or(0.0);
            quality > 0.0 && quality >= floor
        })
        .map(|(coding, _)| coding)
        .collect()
}

/// Strong, so one for each coding.
fn etag(file: &EmbeddedFile, coding: Coding) -> String {
    let hash = file.metadata.sha256_hash();
    let hex: String = hash[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    match coding {
        Coding::Brotli => format!("\"{hex}-br\""),
        Coding::Gzip => format!("\"{hex}-gz\""),
        Coding::Identity => format!("\"{hex}\""),
    }
}

fn content_type(name: &str) -> HeaderValue {
    let text = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "wasm" => "application/wasm",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    HeaderValue::from_static(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a built bundle.
    #[derive(RustEmbed)]
    #[folder = "$CARGO_MANIFEST_DIR/tests/bundle"]
    struct Sample;

    fn ask(name: &str, headers: &[(&'static str, &str)]) -> Option<Response> {
        let mut request = HeaderMap::new();
        for (name, value) in headers {
            request.append(*name, HeaderValue::from_str(value).expect("a header"));
        }
        serve::<Sample>(name, LOADER_CACHE, &request)
    }

    fn header_of<'a>(response: &'a Response, name: &str) -> &'a str {
        response
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    #[test]
    fn files_come_compressed_typed_and_open_to_every_site() {
        let plain = ask("assets/panel-0123abcd.wasm", &[]).expect("there");
        assert_eq!(plain.status(), StatusCode::OK);
        assert_eq!(header_of(&plain, "content-type"), "application/wasm");
        assert_eq!(header_of(&plain, "content-encoding"), "");
        for (name, value) in [
            ("vary", "accept-encoding"),
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", LOADER_CACHE),
        ] {
            assert_eq!(header_of(&plain, name), value);
        }
        let brotli = ask("karta.js", &[("accept-encoding", "gzip, br")]).expect("there");
        assert_eq!(header_of(&brotli, "content-encoding"), "br");
        assert_eq!(
            header_of(&brotli, "content-type"),
            "text/javascript; charset=utf-8"
        );
        let gzip = ask("karta.js", &[("accept-encoding", "gzip")]).expect("there");
        assert_eq!(header_of(&gzip, "content-encoding"), "gzip");
        let tags = [&plain, &brotli, &gzip].map(|response| header_of(response, "etag").to_owned());
        assert!(tags[0] != tags[1] && tags[1] != tags[2], "{tags:?}");
        let without_copies = ask(
            "assets/panel-0123abcd.js",
            &[("accept-encoding", "br, gzip")],
        )
        .expect("there");
        assert_eq!(header_of(&without_copies, "content-encoding"), "");
        assert!(ask("assets/nothing.js", &[]).is_none());
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = ask("karta.js", &[("accept-encoding", "br")]).expect("there");
        let tag = header_of(&first, "etag").to_owned();
        for given in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"x\", {tag}"),
            "*".to_owned(),
        ] {
            let again = ask(
                "karta.js",
                &[("accept-encoding", "br"), ("if-none-match", &given)],
            )
            .expect("there");
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{given}");
            assert_eq!(header_of(&again, "etag"), tag);
            assert_eq!(header_of(&again, "content-encoding"), "");
            assert_eq!(header_of(&again, "vary"), "accept-encoding");
        }
        for (coding, given) in [("br", "\"other\""), ("gzip", tag.as_str()), ("br", "")] {
            let again = ask(
                "karta.js",
                &[("accept-encoding", coding), ("if-none-match", given)],
            )
            .expect("there");
            assert_eq!(again.status(), StatusCode::OK, "{coding} {given}");
        }
    }

    fn check(header: &str, expected: &[Coding]) {
        let mut request = HeaderMap::new();
        request.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_str(header).expect("a header"),
        );
        assert_eq!(accepted(&request), expected, "{header}");
    }

    #[test]
    fn the_coding_follows_accept_encoding() {
        use Coding::{Brotli, Gzip};
        check("gzip, deflate, br, zstd", &[Brotli, Gzip]);
        check("gzip, deflate", &[Gzip]);
        check("br;q=0, gzip", &[Gzip]);
        check("br;q=0.5, gzip;q=1", &[Brotli, Gzip]);
        check("*", &[Brotli, Gzip]);
        check("*;q=0", &[]);
        check("br;q=0, *", &[Gzip]);
        check("identity", &[]);
        check("identity;q=1, gzip;q=0.5", &[]);
        check("identity;q=0.5, gzip;q=0.5", &[Gzip]);
        check("", &[]);
        check("GZIP ; q=0.3", &[Gzip]);
        check("br;q=rubbish", &[Brotli]);
        check(",,;;q=,", &[]);
        assert_eq!(accepted(&HeaderMap::new()), []);
    }
}
