//! `/widget-settings`, and what of it reaches the page.

use super::Owner;
use crate::server::get;
use serde_json::{Value, json};

async fn shown(owner: &Owner) -> Value {
    let key = &owner.server.key.public_key;
    let call = get(&format!("/config?client_key={key}"));
    owner.server.call(call).await.json()["branding"].clone()
}

#[tokio::test]
async fn every_field_of_the_branding_reaches_the_page() {
    let owner = Owner::start().await;
    assert_eq!(owner.get("/widget-settings").await.json(), json!({}));
    let all = json!({
        "primary_color": "#2563eb", "accent_color": "#7c3aed", "accent_foreground": "#ffffff",
        "logo_url": "https://acme.example/logo.svg", "launcher_position": "br", "launcher_label": "Talk to us",
        "privacy_notice": "Calls may be recorded for quality.", "footer": "Acme Ltd.", "mode": "dark",
    });
    let saved = owner
        .send("PUT", "/widget-settings", all.clone())
        .await
        .json();
    assert_eq!(saved, all);
    assert_eq!(owner.get("/widget-settings").await.json(), all);
    assert_eq!(shown(&owner).await, all);

    let change = json!({"primary_color": "#ABC", "accent_foreground": null, "footer": null});
    let changed = owner.send("PATCH", "/widget-settings", change).await.json();
    assert_eq!(
        (
            &changed["primary_color"],
            changed.get("accent_foreground"),
            changed.get("footer"),
            &changed["mode"]
        ),
        (&json!("#aabbcc"), None, None, &json!("dark")),
        "null clears, absent stays"
    );
    let replaced = owner
        .send(
            "PUT",
            "/widget-settings",
            json!({"launcher_position": "tl"}),
        )
        .await
        .json();
    assert_eq!(replaced, json!({"launcher_position": "tl"}));
    assert_eq!(shown(&owner).await, replaced);
}

#[tokio::test]
async fn nothing_but_colours_safe_addresses_and_plain_text_is_taken() {
    let owner = Owner::start().await;
    let before = json!({"primary_color": "#ffffff"});
    owner.send("PUT", "/widget-settings", before.clone()).await;
    let long = format!("https://a.example/{}", "x".repeat(2_100));
    for (field, value) in [
        ("primary_color", json!("red")),
        ("primary_color", json!("")),
        (
            "primary_color",
            json!("#fff;background:url(//evil.example)"),
        ),
        ("primary_color", json!("#ÿÿÿ")),
        ("primary_color", json!("#2563ebff")),
        ("accent_color", json!(16_777_215)),
        ("accent_foreground", json!("#fefefe")),
        ("logo_url", json!("http://acme.example/logo.svg")),
        ("logo_url", json!("javascript:alert(1)")),
        ("logo_url", json!("JaVaScRiPt:alert(1)")),
        ("logo_url", json!(" \tjavascript:alert(1)")),
        (
            "logo_url",
            json!("data:image/svg+xml,<svg onload=alert(1)>"),
        ),
        ("logo_url", json!("blob:https://acme.example/1")),
        ("logo_url", json!("file:///etc/passwd")),
        ("logo_url", json!("//acme.example/logo.svg")),
        ("logo_url", json!("/logo.svg")),
        ("logo_url", json!("https://")),
        ("logo_url", json!("https://user:pass@acme.example/logo.svg")),
        ("logo_url", json!("https://acme.example@evil.example/")),
        ("logo_url", json!("http://localhost.evil.example/")),
        ("logo_url", json!("http://169.254.169.254/latest")),
        ("logo_url", json!("http://0.0.0.0/")),
        ("logo_url", json!(long)),
        ("launcher_position", json!("middle")),
        ("launcher_position", json!("BR")),
        ("launcher_label", json!("")),
        ("launcher_label", json!("x".repeat(41))),
        ("launcher_label", json!("a\u{1b}[31mb")),
        ("privacy_notice", json!("x".repeat(501))),
        ("footer", json!(["x"])),
        ("mode", json!("sepia")),
        ("font", json!("Comic Sans")),
        ("__proto__", json!({})),
    ] {
        let reply = owner
            .send("PATCH", "/widget-settings", json!({field: value}))
            .await;
        reply.refused(400, "request_invalid");
        let message = reply.json()["error"]["message"]
            .as_str()
            .expect("words")
            .to_owned();
        assert!(message.contains(field), "{field} {value}: {message}");
        owner
            .send("PUT", "/widget-settings", json!({field: value}))
            .await
            .refused(400, "request_invalid");
    }
    assert_eq!(owner.get("/widget-settings").await.json(), before);
    for good in [
        "http://localhost:8080/logo.svg",
        "http://127.0.0.1/logo.svg",
        "http://[::1]:1/x",
        "https://acme.example/a?b#c",
    ] {
        let saved = owner
            .send("PATCH", "/widget-settings", json!({"logo_url": good}))
            .await;
        assert_eq!(saved.json()["logo_url"], good);
    }
}
