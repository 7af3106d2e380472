//! Who may call the admin API: the bearer of the admin token, from a server.

use crate::app::App;
use crate::auth::limit::{Action, Counted};
use crate::error::{ApiError, Fault};
use crate::service::ACCOUNT;
use crate::service::admin_token::{self, Checked};
use axum::http::{HeaderMap, header};
use karta_protocol::ErrorCode;
use std::net::IpAddr;

/// A right token passes; a wrong one counts against the address, which has few of them.
pub async fn check(app: &App, address: IpAddr, headers: &HeaderMap) -> Result<(), ApiError> {
    let who = Counted {
        address: Some(address),
        ..Counted::default()
    };
    app.limits.refuse_blocked(Action::FailedProof, who)?;
    let token = bearer(headers)?;
    match admin_token::check(app.store.as_ref(), &app.master, ACCOUNT, token).await? {
        Checked::Right => Ok(()),
        Checked::Wrong => {
            app.limits.count(Action::FailedProof, who);
            tracing::warn!("a wrong admin token was refused");
            Err(ApiError::new(
                ErrorCode::AdminTokenInvalid,
                "This is not the admin token. `karta-server admin-token rotate` makes a new one.",
            ))
        }
        Checked::Off => Err(ApiError::new(
            ErrorCode::AdminTokenInvalid,
            "The admin API is off. `karta-server admin-token rotate` switches it on with a new token.",
        )),
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Fault> {
    let missing = || {
        Fault::refused(
            ErrorCode::AdminTokenMissing,
            "Send the admin token as `Authorization: Bearer adm_live_…`. The server's first start shows it; `karta-server admin-token rotate` makes a new one.",
        )
    };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || values.next().is_some() {
        return Err(missing());
    }
    Ok(token)
}
