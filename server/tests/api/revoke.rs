//! POST /auth/revoke, DELETE /me, and what ends while it is open.

use crate::server::{Server, get, post};
use axum::http::StatusCode;

#[tokio::test]
async fn a_revoked_login_is_over_and_revoking_again_is_harmless() {
    let server = Server::start().await;
    let (token, _) = server.session().await;
    for _ in 0..3 {
        let reply = server.call(post("/auth/revoke").bearer(&token)).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{reply:?}");
    }
    let reply = server.call(get("/sessions").bearer(&token)).await;
    reply.refused(401, "token_invalid");
}
