//! Tokens that a backend mints and a page exchanges, once.

use super::*;

#[tokio::test]
async fn a_backend_mints_a_token_and_the_page_exchanges_it_once() {
    let server = Server::start().await;
    let user =
        json!({"external_user_id": "u_123", "display_name": "Ada", "email": "ada@example.com"});
    let reply = server.call(mint(&user).bearer(&server.secret_key)).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    assert_eq!(reply.json()["expires_in"], json!(300));
    let token = reply.json()["user_token"]
        .as_str()
        .expect("a token")
        .to_owned();

    let reply = by_token(&server, &token).await;
    assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
    let json = reply.json();
    assert_eq!(json["user_id"], json!("u_123"));
    assert_eq!(json["expires_in"], json!(LIFETIME_S));
    assert_eq!(json.get("visitor_id"), None);
    let session_token = json["token"].as_str().expect("a token");
    let list = server.call(get("/sessions").bearer(session_token)).await;
    assert_eq!(list.status, StatusCode::OK);

    by_token(&server, &token).await.refused(401, "token_used");
    let subject = karta_server::auth::identity::subject(&server.master, ACCOUNT, "u_123");
    let kept = server.store.user(ACCOUNT, &subject).await.expect("read");
    let kept = kept.expect("the user");
    assert_eq!(
        (kept.user_id.as_str(), kept.display_name.as_deref()),
        ("u_123", Some("Ada"))
    );
}

#[tokio::test]
async fn a_user_token_is_for_its_own_keys_pages_and_five_minutes() {
    let server = Server::start().await;
    let new = keys::NewKey {
        name: "Other".into(),
        origins: vec!["https://other.example".into()],
        agent_id: None,
        ..keys::NewKey::default()
    };
    let other = keys::create(server.store.as_ref(), &server.master, ACCOUNT, new)
        .await
        .expect("a key");
    let token = server.user_token("u_1").await;
    let call = |key: &str, page: &str| {
        let body = json!({"client_key": key, "user_token": token});
        post("/auth/exchange").json(&body).page(page)
    };
    let key = &server.key.public_key;
    for (key, page, status, code) in [
        (
            key.as_str(),
            "https://evil.example",
            403,
            "origin_not_allowed",
        ),
        (key, "null", 403, "origin_not_allowed"),
        (
            &other.key.public_key,
            "https://other.example",
            401,
            "token_invalid",
        ),
        (
            "pk_live_main_x",
            "https://shop.example",
            401,
            "client_key_unknown",
        ),
        ("", "https://shop.example", 400, "client_key_missing"),
        (
            &server.secret_key,
            "https://shop.example",
            403,
            "secret_key_in_browser",
        ),
    ] {
        server.call(call(key, page)).await.refused(status, code);
    }
    server.enable_key(false).await;
    by_token(&server, &token)
        .await
        .refused(403, "client_key_disabled");
    server.enable_key(true).await;
    server.advance(s(USER_TOKEN_LIFETIME_S - 2));
    assert_eq!(
        by_token(&server, &token).await.status,
        StatusCode::OK,
        "not used up by refusals"
    );
    by_token(&server, &token).await.refused(401, "token_used");
    let token = server.user_token("u_1").await;
    server.advance(s(USER_TOKEN_LIFETIME_S));
    by_token(&server, &token)
        .await
        .refused(400, "token_expired");
}

#[tokio::test]
async fn tokens_of_one_kind_do_not_pass_for_another() {
    let server = Server::start().await;
    let (user_token, session) = (
        server.user_token("u_1").await,
        server.user("u_1").await.token,
    );
    let list = get("/sessions").bearer(&user_token);
    server.call(list).await.refused(401, "token_invalid");
    let refresh = post("/auth/refresh").json(&json!({"refresh_token": user_token}));
    server.call(refresh).await.refused(401, "token_invalid");
    let revoke = post("/auth/revoke").bearer(&user_token);
    server.call(revoke).await.refused(401, "token_invalid");
    by_token(&server, &session)
        .await
        .refused(401, "token_invalid");
    let mint = mint(&json!({"external_user_id": "u_1"}));
    server
        .call(mint.bearer(&session))
        .await
        .refused(401, "client_key_unknown");
    assert_eq!(by_token(&server, &user_token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_user_token_may_be_bound_to_an_agent() {
    let server = Server::start().await;
    let named = AgentChange {
        name: Some("Second".into()),
        ..AgentChange::default()
    };
    let second = agents::create(server.store.as_ref(), ACCOUNT, named)
        .await
        .expect("an agent");
    let body = json!({"external_user_id": "u_1", "agent_id": second.id});
    let reply = server.call(mint(&body).bearer(&server.secret_key)).await;
    let token = reply.json()["user_token"].clone();
    let asked = json!({"user_token": token, "agent_id": "a_first"});
    let reply = exchange(&server, asked).await;
    let token = reply.json()["token"].as_str().expect("a token").to_owned();
    assert_eq!(claims(&token)["agent_id"], json!(second.id));

    let unknown = mint(&json!({"external_user_id": "u_1", "agent_id": "a_none"}));
    server
        .call(unknown.bearer(&server.secret_key))
        .await
        .refused(400, "request_invalid");
    let pin = KeyChange {
        agent_id: karta_server::service::patch::Patch::Set("a_first".into()),
        ..KeyChange::default()
    };
    change_key(&server, pin).await;
    server
        .call(mint(&body).bearer(&server.secret_key))
        .await
        .refused(400, "request_invalid");
}

#[tokio::test]
async fn only_the_secret_key_mints_user_tokens() {
    let server = Server::start().await;
    let body = json!({"external_user_id": "u_1"});
    server.call(mint(&body)).await.refused(401, "token_missing");
    let secret = &server.secret_key;
    let mut bent = secret.clone();
    bent.replace_range(
        secret.len() - 1..,
        if secret.ends_with('0') { "1" } else { "0" },
    );
    let mut wrong = vec![
        bent,
        server.key.public_key.clone(),
        server.identity_secret.clone(),
        secret[..secret.len() - 1].to_owned(),
        format!("{secret}0"),
        secret.to_uppercase(),
        secret.replace("sk_live_main", "sk_live_other"),
        secret.replace("sk_live", "sk_test"),
        format!("sk_live_main_{}", "0".repeat(96)),
        format!("sk_live_{}_{}", "a".repeat(5_000), "0".repeat(96)),
        format!("sk_live_main_{}", "é".repeat(48)),
        "sk_live_".into(),
        "sk_live_main_".into(),
        "sk_".into(),
        "x".into(),
        "null".into(),
    ];
    // All the digits of a secret are looked at, not the first 72 bytes.
    wrong.push(format!("{}{}", &secret[..100], "0".repeat(9)));
    for key in wrong {
        let reply = server
            .call(mint(&body).header("authorization", format!("Bearer {key}")))
            .await;
        reply.refused(401, "client_key_unknown");
    }
    server.enable_key(false).await;
    server
        .call(mint(&body).bearer(secret))
        .await
        .refused(403, "client_key_disabled");
}

#[tokio::test]
async fn what_a_backend_says_about_its_user_is_bounded() {
    let server = Server::start().await;
    let minted = async |body: Value| server.call(mint(&body).bearer(&server.secret_key)).await;
    for body in [
        json!({}),
        json!({"external_user_id": ""}),
        json!({"external_user_id": null}),
        json!({"external_user_id": true}),
        json!({"external_user_id": 1.5}),
        json!({"external_user_id": ["u"]}),
        json!({"external_user_id": {"$ne": 1}}),
        json!({"external_user_id": "a\u{0}b"}),
        json!({"external_user_id": "x".repeat(257)}),
        json!({"external_user_id": "é".repeat(129)}),
        json!({"external_user_id": "u", "display_name": "n".repeat(101)}),
        json!({"external_user_id": "u", "display_name": "a\nb"}),
        json!({"external_user_id": "u", "display_name": 7}),
        json!({"external_user_id": "u", "email": "e".repeat(255)}),
        json!({"external_user_id": "u", "agent_id": 7}),
    ] {
        minted(body).await.refused(400, "request_invalid");
    }
    for (id, user_id) in [
        (json!(42), "42"),
        (json!(-1), "-1"),
        (json!("42"), "42"),
        (json!(u64::MAX), "18446744073709551615"),
        (json!("😀".repeat(64)), &"😀".repeat(64)),
        (json!(" a "), " a "),
    ] {
        let longest = json!({
            "external_user_id": id, "display_name": "😀".repeat(100), "email": "\"".repeat(254),
        });
        let reply = minted(longest).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let token = reply.json()["user_token"]
            .as_str()
            .expect("a token")
            .to_owned();
        let reply = by_token(&server, &token).await;
        assert_eq!(reply.json()["user_id"], json!(user_id), "{reply:?}");
    }
    let plain =
        json!({"external_user_id": "u", "display_name": null, "email": "", "agent_id": null});
    assert_eq!(minted(plain).await.status, StatusCode::OK);
}

/// Over a real SQLite file: sixteen requests at once for each token.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tokens_are_exchanged_exactly_a_thousand_times() {
    const TOKENS: usize = 1_000;
    const AT_ONCE: usize = 16;
    let server = Arc::new(Server::start().await);
    let tasks = (0..TOKENS).map(|n| {
        let server = server.clone();
        async move {
            let token = server.user_token(&format!("u_{n}")).await;
            let calls = (0..AT_ONCE).map(|_| by_token(&server, &token));
            let mut won = 0;
            for reply in futures::future::join_all(calls).await {
                match reply.status {
                    StatusCode::OK => won += 1,
                    _ => {
                        reply.refused(401, "token_used");
                    }
                }
            }
            won
        }
    });
    let mut running = tokio::task::JoinSet::new();
    let mut won = Vec::with_capacity(TOKENS);
    for task in tasks {
        if running.len() >= 32 {
            won.push(running.join_next().await.expect("one").expect("no panic"));
        }
        running.spawn(task);
    }
    won.extend(running.join_all().await);
    assert!(won.iter().all(|won| *won == 1), "each token once");
    assert_eq!(won.iter().sum::<usize>(), TOKENS);
}
