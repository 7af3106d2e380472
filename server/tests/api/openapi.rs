//! The OpenAPI document and `router.rs` list exactly the same calls, and the list is frozen.

use crate::server::{Call, Server};
use std::collections::BTreeSet;

const FROZEN: &[&str] = &[
    "DELETE /api/v1/agents/{id}",
    "DELETE /api/v1/knowledge/{id}",
    "DELETE /api/v1/widget-keys/{id}",
    "DELETE /api/v1/widget/me",
    "DELETE /api/v1/widget/sessions/{id}/call/{call_id}",
    "DELETE /api/v1/widget/sessions/{id}/connect/{connection_id}",
    "GET /api/v1/agents",
    "GET /api/v1/agents/{id}",
    "GET /api/v1/agents/{id}/widget-settings",
    "GET /api/v1/conversations",
    "GET /api/v1/conversations/{id}",
    "GET /api/v1/conversations/{id}/files/{file_id}",
    "GET /api/v1/knowledge",
    "GET /api/v1/knowledge/{id}",
    "GET /api/v1/widget-keys",
    "GET /api/v1/widget-keys/{id}",
    "GET /api/v1/widget-settings",
    "GET /api/v1/widget/config",
    "GET /api/v1/widget/sessions",
    "GET /api/v1/widget/sessions/{id}",
    "GET /api/v1/widget/sessions/{id}/connect/{connection_id}",
    "GET /api/v1/widget/sessions/{id}/events/stream",
    "GET /api/v1/widget/sessions/{id}/files/{file_id}",
    "GET /embed.js",
    "GET /healthz",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1.js",
    "GET /widget/v1/assets/{file}",
    "GET /widget/v1/headless.js",
    "GET /widget/v1/karta.js",
    "PATCH /api/v1/agents/{id}",
    "PATCH /api/v1/agents/{id}/widget-settings",
    "PATCH /api/v1/knowledge/{id}",
    "PATCH /api/v1/widget-keys/{id}",
    "PATCH /api/v1/widget-settings",
    "PATCH /api/v1/widget/sessions/{id}/call/{call_id}",
    "PATCH /api/v1/widget/sessions/{id}/connect/{connection_id}",
    "POST /api/v1/agents",
    "POST /api/v1/knowledge",
    "POST /api/v1/widget-keys",
    "POST /api/v1/widget-keys/{id}/rotate",
    "POST /api/v1/widget/auth/exchange",
    "POST /api/v1/widget/auth/guest",
    "POST /api/v1/widget/auth/refresh",
    "POST /api/v1/widget/auth/revoke",
    "POST /api/v1/widget/auth/user-token",
    "POST /api/v1/widget/sessions",
    "POST /api/v1/widget/sessions/{id}/call",
    "POST /api/v1/widget/sessions/{id}/connect",
    "POST /api/v1/widget/sessions/{id}/events",
    "POST /api/v1/widget/sessions/{id}/files",
    "PUT /api/v1/knowledge/{id}",
    "PUT /api/v1/widget-settings",
];

async fn documented(server: &Server) -> BTreeSet<String> {
    let document = server.call(Call::new("GET", "/openapi.json")).await.json();
    let paths = document["paths"].as_object().expect("paths").clone();
    paths
        .iter()
        .flat_map(|(path, calls)| {
            let methods = calls.as_object().expect("calls").keys();
            methods
                .map(|method| format!("{} {path}", method.to_uppercase()))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn the_list_of_calls_is_frozen() {
    let server = Server::start().await;
    let expected: BTreeSet<String> = FROZEN.iter().map(|call| call.to_string()).collect();
    assert_eq!(documented(&server).await, expected);
}

#[tokio::test]
async fn every_documented_call_exists() {
    let server = Server::start().await;
    for call in documented(&server).await {
        let (method, path) = call.split_once(' ').expect("two words");
        let reply = server
            .open(Call::new(method, &path.replace(['{', '}'], "")))
            .await;
        let code = match reply.status().as_u16() {
            status if status < 400 => continue,
            405 => panic!("{call} is documented but not routed"),
            404 if path.contains("assets") => continue,
            _ => http_body_util::BodyExt::collect(reply.into_body())
                .await
                .expect("whole")
                .to_bytes(),
        };
        assert!(
            !String::from_utf8_lossy(&code).contains("\"not_found\""),
            "{call} is documented but not routed"
        );
    }
}

/// Reads the one screen: what is routed there must be documented.
#[tokio::test]
async fn every_routed_path_is_documented() {
    let source = include_str!("../../src/router.rs");
    let routed: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix(".route(\""))
        .map(|rest| rest.split('"').next().expect("a path").to_owned())
        .collect();
    assert!(routed.len() > 10);
    let server = Server::start().await;
    let documented: BTreeSet<String> = documented(&server)
        .await
        .iter()
        .map(|call| call.split_once(' ').expect("two words").1)
        .map(|path| {
            [karta_protocol::API_BASE, "/api/v1"]
                .into_iter()
                .filter_map(|base| path.strip_prefix(base))
                .find(|rest| rest.starts_with('/'))
                .unwrap_or(path)
                .to_owned()
        })
        .collect();
    assert_eq!(routed, documented);
}
