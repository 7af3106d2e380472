//! What is renewed: a user's session token, the secrets of a key, the key that signs.

use super::*;

#[tokio::test]
async fn a_users_token_refreshes_rotates_and_ages_like_a_guests() {
    let server = Server::start().await;
    let first = server.user("john@example.com").await;
    let session = server.new_session(&first.token).await;
    let second = refreshed(&server, &first.token).await;
    assert_eq!(second.user_id.as_deref(), Some("john@example.com"));
    assert_eq!(second.visitor_id, None);
    let again = refreshed(&server, &first.token).await;
    assert_eq!(again.token, second.token, "a lost reply");
    let log = get(&format!("/sessions/{session}")).bearer(&second.token);
    assert_eq!(server.call(log).await.status, StatusCode::OK);

    // Shortly after its expiry, and no longer.
    server.advance(s(LIFETIME_S + GRACE_S / 2));
    let third = refreshed(&server, &second.token).await;
    server.advance(s(LIFETIME_S + GRACE_S));
    let late = post("/auth/refresh").json(&json!({"refresh_token": third.token}));
    server.call(late).await.refused(400, "token_expired");

    // A replay ends the family.
    let first = server.user("john@example.com").await.token;
    let second = refreshed(&server, &first).await.token;
    server.advance(s(11));
    let replay = post("/auth/refresh").json(&json!({"refresh_token": first}));
    server.call(replay).await.refused(401, "token_used");
    let list = get("/sessions").bearer(&second);
    server.call(list).await.refused(401, "token_invalid");

    // Never past a day.
    let mut token = server.user("john@example.com").await.token;
    for _ in 1..FAMILY_LIFETIME_S / LIFETIME_S {
        server.advance(s(LIFETIME_S));
        token = refreshed(&server, &token).await.token;
    }
    server.advance(s(LIFETIME_S));
    let late = post("/auth/refresh").json(&json!({"refresh_token": token}));
    server.call(late).await.refused(400, "token_expired");
}

#[tokio::test]
async fn a_rotated_secret_works_for_a_day_beside_the_new_one_or_no_longer() {
    let server = Server::start().await;
    let store = server.store.as_ref();
    let rotate = async |which, at_once| {
        secrets::rotate(
            store,
            &server.master,
            ACCOUNT,
            &server.key.id,
            which,
            at_once,
        )
        .await
        .expect("rotated")
    };
    let mints = async |key: &str| {
        let call = mint(&json!({"external_user_id": "u"})).bearer(key);
        server.call(call).await.status == StatusCode::OK
    };
    let proves = async |secret: &str| {
        let proof = json!({"user_id": "u", "identity_token": hmac_hex(secret, "u")});
        exchange(&server, proof).await.status == StatusCode::OK
    };
    let key = rotate(Which::SecretKey, false).await;
    assert!(key.old_until_ms.is_some());
    assert!(mints(&server.secret_key).await && mints(&key.secret).await);
    let identity = rotate(Which::IdentitySecret, false).await;
    assert!(proves(&server.identity_secret).await && proves(&identity.secret).await);
    server.advance(Duration::from_millis(OVERLAP_MS));
    assert!(!mints(&server.secret_key).await && mints(&key.secret).await);
    assert!(!proves(&server.identity_secret).await && proves(&identity.secret).await);

    let leaked = rotate(Which::SecretKey, true).await;
    assert_eq!(leaked.old_until_ms, None);
    assert!(!mints(&key.secret).await && mints(&leaked.secret).await);
    let leaked = rotate(Which::IdentitySecret, true).await;
    assert!(!proves(&identity.secret).await && proves(&leaked.secret).await);
    // A change of the key by somebody who read it before does not bring an old secret back.
    server.store.put_key(&server.key).await.expect("put");
    assert!(!mints(&server.secret_key).await && !proves(&server.identity_secret).await);
    assert!(mints(&key.secret).await || mints(&rotate(Which::SecretKey, false).await.secret).await);
}

#[tokio::test]
async fn a_new_signing_key_is_noticed_by_nobody_unless_the_old_one_ends_at_once() {
    let server = Server::start().await;
    let old = server.guest().await.token;
    let old_user_token = server.user_token("u_1").await;
    let made = signing::rotate(server.store.as_ref(), false)
        .await
        .expect("made");
    let reload = async || {
        let generations = server.store.signing_keys().await.expect("read");
        server.app.tokens.set_generations(&generations);
    };
    let kid = |token: &str| {
        let header = token.split('.').next().expect("a header");
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64");
        let header: Value = serde_json::from_slice(&header).expect("JSON");
        header["kid"].as_str().expect("a kid").to_owned()
    };
    let lists = async |token: &str| server.call(get("/sessions").bearer(token)).await.status;
    reload().await;
    assert_eq!(
        kid(&server.guest().await.token),
        "1",
        "until every process knows the new one"
    );
    server.advance(s(11));
    let new = server.guest().await.token;
    assert_eq!((kid(&new).as_str(), made.kid.as_str()), ("2", "2"));
    assert_eq!(lists(&old).await, StatusCode::OK);
    assert_eq!(lists(&new).await, StatusCode::OK);
    assert_eq!(
        by_token(&server, &old_user_token).await.status,
        StatusCode::OK
    );
    let again = refreshed(&server, &old).await.token;
    assert_eq!(kid(&again), "2");
    // The last moment of an old token, and the old key's end.
    server.advance(s(LIFETIME_S + GRACE_S - 40));
    refreshed(&server, &old_after(&server, &new).await).await;
    server.advance(s(60));
    let end = post("/auth/revoke").bearer(&old);
    assert_eq!(
        server.call(end).await.status,
        StatusCode::NO_CONTENT,
        "dead, and still known as ours"
    );

    let user_token = server.user_token("u_1").await;
    let token = server.guest().await.token;
    signing::rotate(server.store.as_ref(), true)
        .await
        .expect("made");
    reload().await;
    assert_eq!(lists(&token).await, StatusCode::UNAUTHORIZED);
    by_token(&server, &user_token)
        .await
        .refused(401, "token_invalid");
    assert_eq!(kid(&server.guest().await.token), "3");
}

/// The token itself, once it has been asked whether it still refreshes.
async fn old_after(server: &Server, token: &str) -> String {
    let list = server.call(get("/sessions").bearer(token)).await;
    list.refused(401, "token_expired");
    token.to_owned()
}
