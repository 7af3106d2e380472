//! Permissive CORS: any page may read any answer, errors too; no credentials.

use crate::server::{API, Call, Server, get, post};
use axum::http::StatusCode;
use karta_server::auth::limit::{Rate, Rates};

#[tokio::test]
async fn preflights_are_answered_without_touching_anything() {
    let mut rates = Rates::default();
    rates.set("REQUESTS_PER_ADDRESS", Rate::per_minute(1));
    let server = Server::with_rates(rates).await;
    server.store.close().await;
    for path in [
        "/config",
        "/auth/guest",
        "/sessions",
        "/sessions/s_x/events/stream",
        "/sessions/s_x/connect/c_x",
        "/unknown",
    ] {
        let call = Call::new("OPTIONS", &format!("{API}{path}"))
            .page("https://anyone.example")
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization,content-type",
            );
        let reply = server.call(call).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            "https://anyone.example"
        );
        for method in ["GET", "POST", "PATCH", "DELETE"] {
            assert!(
                reply
                    .header("access-control-allow-methods")
                    .contains(method),
                "{method}"
            );
        }
        for header in ["authorization", "content-type", "if-match", "last-event-id"] {
            assert!(
                reply
                    .header("access-control-allow-headers")
                    .contains(header),
                "{header}"
            );
        }
        assert!(
            reply
                .header("access-control-max-age")
                .parse::<u32>()
                .expect("seconds")
                >= 7_200
        );
        assert!(reply.header("vary").contains("origin"));
        assert!(
            reply
                .headers
                .get("access-control-allow-credentials")
                .is_none()
        );
    }
}

#[tokio::test]
async fn every_answer_can_be_read_by_the_page_that_asked() {
    let server = Server::start().await;
    let token = server.guest().await.token;
    for (call, status) in [
        (get("/sessions").bearer(&token), 200),
        (get("/sessions"), 401),
        (get("/config?client_key=pk_x"), 401),
        (post("/auth/guest").body("text/plain", "x"), 415),
        (get("/nowhere"), 404),
        (get("/auth/guest"), 405),
        (
            post("/auth/guest").body("application/json", vec![b'x'; 70_000]),
            413,
        ),
    ] {
        let reply = server.call(call.page("https://shop.example")).await;
        assert_eq!(reply.status.as_u16(), status, "{reply:?}");
        assert_eq!(
            reply.header("access-control-allow-origin"),
            "https://shop.example"
        );
        assert!(reply.header("vary").contains("origin"), "{reply:?}");
        for header in ["location", "etag", "link", "retry-after", "x-request-id"] {
            assert!(
                reply
                    .header("access-control-expose-headers")
                    .contains(header),
                "{header}"
            );
        }
        assert!(
            reply
                .headers
                .get("access-control-allow-credentials")
                .is_none()
        );
        assert_eq!(reply.header("cache-control"), "no-store");
    }
}
