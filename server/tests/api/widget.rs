//! The bundle's addresses. Its headers are tested beside the code, over a sample bundle; here it may or may not have been built.

use crate::server::{Call, Server};

#[tokio::test]
async fn the_loader_stands_at_all_three_paths() {
    stand(&["/widget/v1/karta.js", "/v1.js", "/embed.js"]).await;
}

#[tokio::test]
async fn the_engine_without_a_screen_is_a_module_that_any_page_may_import() {
    stand(&["/widget/v1/headless.js"]).await;
}

async fn stand(paths: &[&str]) {
    let server = Server::start().await;
    let mut bodies = Vec::new();
    for path in paths {
        let reply = server.call(Call::new("GET", path)).await;
        if reply.status.as_u16() == 503 {
            assert_eq!(reply.code(), "overloaded");
            assert!(
                String::from_utf8_lossy(&reply.body).contains("./build.sh widget"),
                "{reply:?}"
            );
        } else {
            assert_eq!(reply.status.as_u16(), 200);
            assert_eq!(
                reply.header("content-type"),
                "text/javascript; charset=utf-8"
            );
            assert_eq!(reply.header("access-control-allow-origin"), "*");
            assert_eq!(reply.header("cross-origin-resource-policy"), "cross-origin");
            assert_eq!(reply.header("cache-control"), "public, max-age=300");
            let head = server.call(Call::new("HEAD", path)).await;
            assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
            assert_eq!(head.header("content-length"), reply.body.len().to_string());
        }
        bodies.push(reply.status);
    }
    assert!(bodies.iter().all(|status| *status == bodies[0]));
}

#[tokio::test]
async fn names_that_are_not_of_the_bundle_are_not_found() {
    let server = Server::start().await;
    for file in [
        "nothing.js",
        "..%2fkarta.js",
        "%2e%2e%2f%2e%2e%2f%2e%2e%2fCargo.toml",
        "..",
        ".",
        ".gitignore",
        "x.js.br",
        "x.wasm.gz",
        "%00",
        "a%2fb",
        "manifest.json",
        "💥".escape_unicode().to_string().as_str(),
    ] {
        let path = format!("/widget/v1/assets/{}", file.replace(['{', '}', '\\'], ""));
        server
            .call(Call::new("GET", &path))
            .await
            .refused(404, "not_found");
    }
    server
        .call(Call::new("POST", "/v1.js"))
        .await
        .refused(405, "method_not_allowed");
}
