//! Files that a visitor sends and gets back. A form is read as it arrives: the file goes to the disk piece by piece, and no more of the
//! request is in memory than one piece and the head of a part.

use crate::app::App;
use crate::auth::caller::Caller;
use crate::auth::limit::Action;
use crate::error::{ApiError, Fault};
use crate::files::{FILE_MAX_BYTES, Files, Incoming, name};
use crate::routes::request::Id;
use crate::session::files::{NewFile, no_such_file, unstorable};
use axum::body::{Body, Bytes};
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use karta_protocol::{API_BASE, ErrorBody, ErrorCode, SessionEvent};
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// For a whole form: the largest file at 100 kB/s.
const FORM_TIMEOUT: Duration = Duration::from_secs(110);
/// The parts around the file.
const AROUND_MAX_BYTES: usize = 64 * 1024;
/// What the reader of the form may take in without giving anything out: it would keep all of it.
const SILENT_MAX_BYTES: usize = 256 * 1024;
/// How long a caller who was refused may go on sending before the connection ends: most are then still there to read the answer.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
const ID_MAX: usize = 64;

/// A visitor's file.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "the shape for OpenAPI; `read_form` reads the parts"
)]
pub struct FileForm {
    /// PNG, JPEG, GIF, WebP, PDF, Word (.docx), or text, Markdown or CSV in UTF-8; up to 10 MB. What it is, its content decides.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    /// Chosen by the client, 1–64 characters of `[A-Za-z0-9_-]`; makes sending again harmless. Comes before or after the file.
    id: Option<String>,
}

/// What was kept.
#[derive(Serialize, ToSchema)]
pub struct FileInfo {
    /// `f_…`.
    id: String,
    /// Without folders and invisible characters, at most 128.
    name: String,
    /// Bytes.
    size: u64,
    media_type: String,
}

impl From<SessionEvent> for FileInfo {
    fn from(event: SessionEvent) -> FileInfo {
        FileInfo {
            id: event.id.unwrap_or_default(),
            name: event.name.unwrap_or_default(),
            size: event.size.unwrap_or_default(),
            media_type: event.media_type.unwrap_or_default(),
        }
    }
}

/// Takes a file into the conversation, where the agent's owner allows it. Answers after the commit of `user.file`.
#[utoipa::path(
    post, path = "/api/v1/widget/sessions/{id}/files", params(("id" = String, Path)), tag = "sessions", security(("session" = [])),
    request_body(content = FileForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, body = FileInfo),
        (status = 400, body = ErrorBody, description = "request_invalid"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "uploads_disabled, client_key_disabled, origin_not_allowed, widget_disabled_for_agent, guest_not_allowed, user_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found"),
        (status = 413, body = ErrorBody, description = "payload_too_large"),
        (status = 415, body = ErrorBody, description = "file_type_not_allowed, request_invalid"),
        (status = 429, body = ErrorBody, description = "rate_limited, limit_reached"),
    )
)]
pub async fn add(
    State(app): State<App>,
    caller: Caller,
    Id(session_id): Id,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let body = Arc::new(Mutex::new(body));
    let silent = Arc::new(AtomicUsize::new(0));
    let request = Request::from_parts(parts, bounded(body.clone(), silent.clone()));
    let reading = async {
        caller.limit(&app, Action::Upload)?;
        caller.require_admitted(&app).await?;
        let files = app.sessions.files_for(&caller.who, &session_id).await?;
        read_form(&app, &files, request, &silent).await
    };
    let read = match tokio::time::timeout(FORM_TIMEOUT, reading).await {
        Ok(read) => read,
        Err(_) => Err(
            invalid("The file did not arrive in time. Send it again.".to_owned())
                .with_status(StatusCode::REQUEST_TIMEOUT),
        ),
    };
    let new = match read {
        Ok(new) => new,
        Err(error) => {
            let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain(&body)).await;
            return Err(error);
        }
    };
    // The caller may have been switched off while the file came.
    caller.require_admitted(&app).await?;
    let event = app
        .sessions
        .attach(&caller.who, &session_id, new, &app.master)
        .await?;
    let info = FileInfo::from(event);
    let location = format!("{API_BASE}/sessions/{session_id}/files/{}", info.id);
    let location = HeaderValue::try_from(location);
    let mut response = (StatusCode::CREATED, axum::Json(info)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// A file of the caller's own session, always as a download: nothing in it runs in a page.
#[utoipa::path(
    get, path = "/api/v1/widget/sessions/{id}/files/{file_id}", tag = "sessions", security(("session" = [])),
    params(("id" = String, Path), ("file_id" = String, Path)),
    responses(
        (status = 200, description = "the bytes, with the media type that was found", content_type = "application/octet-stream"),
        (status = 401, body = ErrorBody, description = "token_missing, token_invalid, token_expired, token_used, client_key_unknown"),
        (status = 403, body = ErrorBody, description = "client_key_disabled, origin_not_allowed"),
        (status = 404, body = ErrorBody, description = "session_not_found; not_found: no such file in it"),
        (status = 429, body = ErrorBody, description = "rate_limited"),
    )
)]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Id((session_id, file_id)): Id<(String, String)>,
) -> Result<Response, ApiError> {
    let (files, event) = app
        .sessions
        .file(&caller.who, &session_id, &file_id)
        .await?;
    download(&files, event, &session_id, &file_id).await
}

/// The bytes of a file that the log names, never to be shown in place.
pub async fn download(
    files: &Files,
    event: SessionEvent,
    session_id: &str,
    file_id: &str,
) -> Result<Response, ApiError> {
    // Both ids are ours: the log knows them.
    let pieces = match files.read(session_id, file_id).await {
        Ok(pieces) => pieces,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            tracing::error!(session = session_id, "a file of the log is not on the disk");
            return Err(no_such_file().into());
        }
        Err(error) => return Err(unstorable(error).into()),
    };
    let info = FileInfo::from(event);
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, content_type(&info.media_type)),
        (header::CONTENT_DISPOSITION, name::disposition(&info.name)),
        (header::CONTENT_LENGTH, info.size.to_string()),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'".to_owned(),
        ),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
        // The page that may read it has a token; no other page may even embed it.
        (
            HeaderName::from_static("referrer-policy"),
            "no-referrer".to_owned(),
        ),
    ] {
        let value = HeaderValue::try_from(value)
            .map_err(|_| ApiError::internal("a file's header is no header"))?;
        headers.insert(name, value);
    }
    Ok(response)
}

fn content_type(media_type: &str) -> String {
    if media_type.starts_with("text/") {
        format!("{media_type}; charset=utf-8")
    } else {
        media_type.to_owned()
    }
}

async fn read_form(
    app: &App,
    files: &Files,
    request: Request,
    silent: &AtomicUsize,
) -> Result<NewFile, ApiError> {
    let mut form = Multipart::from_request(request, app)
        .await
        .map_err(|rejection| {
            invalid(format!(
                "Send the file as multipart/form-data with a part named file. {}",
                rejection.body_text()
            ))
            .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        })?;
    let (mut file, mut client_id) = (None, None);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        silent.store(0, Ordering::Relaxed);
        match field.name() {
            Some("file") if file.is_none() => {
                let Some(given) = field.file_name().map(name::clean) else {
                    return Err(invalid("The part named file has no file name.".to_owned()));
                };
                let declared = field.content_type().map(ToOwned::to_owned);
                file = Some((receive(files, field, silent).await?, given, declared));
            }
            Some("id") if client_id.is_none() => client_id = Some(id(field).await?),
            Some("file" | "id") => {
                return Err(invalid(
                    "The form has two parts of the same name. Send one file a call.".to_owned(),
                ));
            }
            Some(_) | None => {
                return Err(invalid(
                    "The form has a part of another name; this call takes file and id.".to_owned(),
                ));
            }
        }
    }
    let Some((mut incoming, name, declared)) = file else {
        return Err(invalid("The form has no part named file.".to_owned()));
    };
    if incoming.size() == 0 {
        return Err(invalid("The file is empty.".to_owned()));
    }
    let Some(kind) = incoming.kind(&name, declared.as_deref()) else {
        return Err(ApiError::new(
            ErrorCode::FileTypeNotAllowed,
            "This is no file that may be sent, or its name says something else than its content. Send PNG, JPEG, GIF, WebP, PDF, .docx, or .txt, .md or .csv in UTF-8.",
        ));
    };
    incoming.sync().await.map_err(unstorable)?;
    Ok(NewFile {
        incoming,
        name,
        kind,
        client_id,
    })
}

async fn receive(
    files: &Files,
    mut field: Field<'_>,
    silent: &AtomicUsize,
) -> Result<Incoming, ApiError> {
    let mut incoming = files.receive().await.map_err(unstorable)?;
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        silent.store(0, Ordering::Relaxed);
        if !incoming.write(&piece).await.map_err(unstorable)? {
            return Err(too_large());
        }
    }
    Ok(incoming)
}

async fn id(mut field: Field<'_>) -> Result<String, ApiError> {
    let mut id = Vec::new();
    while let Some(piece) = field.chunk().await.map_err(broken)? {
        id.extend_from_slice(&piece);
        if id.len() > ID_MAX {
            break;
        }
    }
    let fits = (1..=ID_MAX).contains(&id.len())
        && id
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    String::from_utf8(id).ok().filter(|_| fits).ok_or_else(|| {
        invalid(format!(
            "`id` must be 1 to {ID_MAX} characters of A-Z, a-z, 0-9, _ and -."
        ))
    })
}

/// The body, as far as the largest form goes and as long as its reader makes something of it.
fn bounded(body: Arc<Mutex<Body>>, silent: Arc<AtomicUsize>) -> Body {
    let left = FILE_MAX_BYTES as usize + AROUND_MAX_BYTES;
    let pieces = futures::stream::unfold(Some((body, silent, left, 0)), |state| async move {
        let (body, silent, left, last) = state?;
        // The form's reader takes in all that is ready before it gives anything out: here it has to stop and give.
        tokio::task::yield_now().await;
        // What came last it may not have looked at.
        let kept = silent.load(Ordering::Relaxed).saturating_sub(last);
        if kept > SILENT_MAX_BYTES {
            return Some((Err(std::io::Error::other("a part without an end")), None));
        }
        let piece = match next_piece(&body).await? {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), None)),
        };
        let size = piece.len();
        silent.fetch_add(size, Ordering::Relaxed);
        match left.checked_sub(size) {
            Some(left) => Some((Ok(piece), Some((body, silent, left, size)))),
            None => Some((Err(std::io::Error::other(TooLarge)), None)),
        }
    });
    Body::from_stream(pieces)
}

async fn next_piece(body: &Mutex<Body>) -> Option<std::io::Result<Bytes>> {
    let mut body = body.lock().await;
    loop {
        match body.frame().await? {
            Ok(frame) => {
                // Trailers say nothing here.
                if let Ok(piece) = frame.into_data() {
                    return Some(Ok(piece));
                }
            }
            Err(error) => return Some(Err(std::io::Error::other(error))),
        }
    }
}

async fn drain(body: &Mutex<Body>) {
    let mut left = FILE_MAX_BYTES as usize;
    while let Some(Ok(piece)) = next_piece(body).await {
        match left.checked_sub(piece.len()) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// Told apart from what is broken, somewhere down in the error of the form's reader.
#[derive(Debug, thiserror::Error)]
#[error("larger than the largest form")]
struct TooLarge;

fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!(
            "The file is larger than {} MB. Send a smaller one.",
            FILE_MAX_BYTES >> 20
        ),
    )
}

fn broken(error: MultipartError) -> ApiError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        let inner = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        if inner.is_some_and(|inner| inner.is::<TooLarge>()) {
            return too_large();
        }
        cause = error.source();
    }
    invalid(format!("The form cannot be read: {}.", error.body_text()))
}

fn invalid(words: String) -> ApiError {
    Fault::refused(ErrorCode::RequestInvalid, words).into()
}
