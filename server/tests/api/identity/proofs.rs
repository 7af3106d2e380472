//! Proofs by the identity secret, plain and v2: what they open, and that one that fails makes nobody.

use super::*;

#[tokio::test]
async fn agents_for_guests_only_refuse_users() {
    let server = Server::start().await;
    let proof = json!({"user_id": "u_1", "identity_token": server.hash_of("u_1")});
    server.change_agent(mode(AuthMode::Guest)).await;
    exchange(&server, proof.clone())
        .await
        .refused(403, "user_not_allowed");
    let token = server.user_token("u_1").await;
    by_token(&server, &token)
        .await
        .refused(403, "user_not_allowed");
    server.change_agent(mode(AuthMode::User)).await;
    assert_eq!(
        by_token(&server, &token).await.status,
        StatusCode::OK,
        "not used up"
    );
    assert_eq!(exchange(&server, proof).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_failed_proof_is_refused_and_makes_nobody() {
    let server = Server::start().await;
    let john = "john@example.com";
    let wrong = hmac_hex("another secret", john);
    for (body, status, code) in [
        (
            json!({"user_id": john, "identity_token": wrong}),
            401,
            "identity_invalid",
        ),
        (
            json!({"user_id": john, "identity_token": ""}),
            401,
            "identity_invalid",
        ),
        (json!({"user_id": john}), 401, "identity_invalid"),
        (json!({"user_token": ""}), 400, "token_missing"),
        (
            json!({"identity_token": server.hash_of(john)}),
            400,
            "request_invalid",
        ),
        (json!({}), 400, "token_missing"),
    ] {
        let reply = exchange(&server, body.clone()).await;
        reply.refused(status, code);
        nobody(&server).await;
    }
    let johns = v2(&server, &json!({"user_id": john}));
    exchange(&server, json!({"user_id": "jane", "identity_token": johns}))
        .await
        .refused(403, "identity_mismatch");
    nobody(&server).await;
}

#[tokio::test]
async fn a_user_has_one_conversation_on_every_browser() {
    let server = Server::start().await;
    let (laptop, phone) = (server.user("u_1").await, server.user("u_1").await);
    assert_ne!(laptop.token, phone.token);
    let start = |token: &str| server.call(post("/sessions").bearer(token));
    let (a, b) = tokio::join!(start(&laptop.token), start(&phone.token));
    assert_eq!(a.json()["id"], b.json()["id"], "both at the same moment");
    let session = a.json()["id"].as_str().expect("an id").to_owned();
    let mut made = [a.status.as_u16(), b.status.as_u16()];
    made.sort_unstable();
    assert_eq!(made, [200, 201]);
    server
        .say(&laptop.token, &session, "m1", "from the laptop")
        .await;
    server.log(&phone.token, &session, 4).await;
    server
        .say(&phone.token, &session, "m2", "from the phone")
        .await;
    let log = server.log(&laptop.token, &session, 8).await;
    assert_eq!(log, server.log(&phone.token, &session, 8).await);

    let stranger = server.user("u_2").await;
    let other = server.new_session(&stranger.token).await;
    assert_ne!(other, session);
    server
        .call(get(&format!("/sessions/{session}")).bearer(&stranger.token))
        .await
        .refused(404, "session_not_found");
    let token = server.user_token("u_1").await;
    let by_token = by_token(&server, &token).await.json();
    let token = by_token["token"].as_str().expect("a token");
    let again = server.call(post("/sessions").bearer(token)).await;
    assert_eq!(again.json()["id"], json!(session), "whoever vouches");
}

#[tokio::test]
async fn what_a_v2_token_says_stands_in_the_session_token_and_stays_there() {
    let server = Server::start().await;
    let now = server.app.clock.now_s();
    let payload =
        json!({"user_id": "u_1", "exp": now + 60, "stepped_up_at": now - 9, "aal": "aal2"});
    let proof = v2(&server, &payload);
    let reply = exchange(&server, json!({"identity_token": proof})).await;
    assert_eq!(reply.json()["user_id"], json!("u_1"));
    let token = reply.json()["token"].as_str().expect("a token").to_owned();
    let next = refreshed(&server, &token).await.token;
    for token in [&token, &next] {
        let says = claims(token);
        assert_eq!(says["stepped_up_at"], json!(now - 9));
        assert_eq!(says["aal"], json!("aal2"));
        let text = says.to_string();
        assert!(!text.contains("u_1\"") && !text.contains("test"), "{text}");
    }
    server.advance(s(60));
    exchange(&server, json!({"identity_token": proof}))
        .await
        .refused(401, "identity_invalid");
    let list = server.call(get("/sessions").bearer(&next)).await;
    assert_eq!(
        list.status,
        StatusCode::OK,
        "the proof's end is not the session's"
    );
}

#[tokio::test]
async fn a_key_that_demands_identification_refuses_guests() {
    let server = Server::start().await;
    let guest = server.guest().await.token;
    let demand = KeyChange {
        identification_required: Some(true),
        ..KeyChange::default()
    };
    change_key(&server, demand).await;
    let key = json!({"client_key": server.key.public_key});
    let reply = server.call(post("/auth/guest").json(&key)).await;
    reply.refused(403, "guest_not_allowed");
    let words = reply.json()["error"]["message"].to_string();
    assert!(words.contains("Use the user-token flow"), "{words}");
    for call in [
        post("/sessions").bearer(&guest),
        post("/auth/refresh").json(&json!({"refresh_token": guest})),
    ] {
        server.call(call).await.refused(403, "guest_not_allowed");
    }
    let config = get(&format!("/config?client_key={}", server.key.public_key));
    assert_eq!(server.call(config).await.json()["auth_mode"], json!("user"));
    let user = server.user("u_1").await.token;
    server.new_session(&user).await;
}

#[tokio::test]
async fn nothing_is_kept_of_a_proof_that_failed() {
    let server = Server::start().await;
    let session = server.user("john@example.com").await.token;
    let wrong = json!({"user_id": "john@example.com", "identity_token": server.hash_of("jane")});
    exchange(&server, wrong)
        .await
        .refused(401, "identity_invalid");
    let list = server.call(get("/sessions").bearer(&session)).await;
    assert_eq!(list.status, StatusCode::OK, "the user's own login stands");
}

#[tokio::test]
async fn a_label_is_kept_with_the_session_and_opens_nothing() {
    let server = Server::start().await;
    for (label, kept) in [
        (
            json!("Ada, from the newsletter"),
            Some("Ada, from the newsletter".to_owned()),
        ),
        (
            json!(format!("{}x", "é".repeat(128))),
            Some("é".repeat(128)),
        ),
        (json!("a\u{0}b\n"), Some("ab".to_owned())),
        (json!("  "), None),
        (Value::Null, None),
    ] {
        let body = json!({"client_key": server.key.public_key, "user_label": label});
        let reply = server.call(post("/auth/guest").json(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let token = reply.json()["token"].as_str().expect("a token").to_owned();
        assert!(
            claims(&token)["sub"]
                .as_str()
                .expect("a subject")
                .starts_with("v_")
        );
        let session = server.new_session(&token).await;
        let record = server
            .store
            .session(&session)
            .await
            .expect("read")
            .expect("there");
        assert_eq!(record.label, kept);
    }
    let body = json!({"client_key": server.key.public_key, "user_label": {"x": 1}});
    server
        .call(post("/auth/guest").json(&body))
        .await
        .refused(400, "request_invalid");
}

#[tokio::test]
async fn who_guesses_is_refused_even_when_right() {
    let mut rates = Rates::off();
    rates.set(
        "FAILED_PROOFS_PER_ADDRESS",
        Rate::parse("5/1h").expect("a rate"),
    );
    let server = Server::with_rates(rates).await;
    let wrong = json!({"user_id": "u_1", "identity_token": server.hash_of("u_2")});
    let right = json!({"user_id": "u_1", "identity_token": server.hash_of("u_1")});
    for _ in 0..20 {
        assert_eq!(
            exchange(&server, right.clone()).await.status,
            StatusCode::OK,
            "proofs that hold are not counted"
        );
    }
    let mut refused = 0;
    for _ in 0..50 {
        let reply = exchange(&server, wrong.clone()).await;
        refused += u32::from(reply.code() == "identity_invalid");
    }
    assert_eq!(refused, 6, "five, and the one that found the bucket empty");
    exchange(&server, right.clone())
        .await
        .refused(429, "rate_limited");
    let secret = mint(&json!({"external_user_id": "u_1"})).bearer(&server.secret_key);
    server.call(secret).await.refused(429, "rate_limited");
    let body = json!({"client_key": server.key.public_key, "user_id": "u_1", "identity_token": server.hash_of("u_1")});
    let elsewhere = post("/auth/exchange").json(&body).from("198.51.100.7");
    assert_eq!(server.call(elsewhere).await.status, StatusCode::OK);
    assert_eq!(server.guest().await.user_id, None, "guests are not proofs");
}

/// docs/SECURITY.md offers these files to copy. PHP is not on every machine that builds this; `build.sh test` installs it where it can.
#[tokio::test]
async fn the_snippets_in_three_languages_make_proofs_that_are_accepted() {
    let server = Server::start().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/identity");
    let exp = (server.app.clock.now_s() + 60).to_string();
    for (program, file, needed) in [
        ("node", "identity.cjs", true),
        ("python3", "identity.py", true),
        ("php", "identity.php", false),
    ] {
        let run = |secret: &str, id: &str| {
            std::process::Command::new(program)
                .arg(format!("{folder}/{file}"))
                .args([id, &exp])
                .env("KARTA_IDENTITY_SECRET", secret)
                .output()
        };
        let lines = |secret: &str, id: &str| -> Option<Vec<String>> {
            let output = match run(secret, id) {
                Err(_) if !needed => return None,
                output => output.expect(program),
            };
            assert!(output.status.success(), "{program}: {output:?}");
            let text = String::from_utf8(output.stdout).expect("text");
            Some(text.lines().map(str::to_owned).collect())
        };
        let Some(vector) = lines("test_secret", "john@example.com") else {
            // Past the test's captured output, so that it is seen.
            let said = writeln!(
                std::io::stderr(),
                "SKIPPED: {file} is not run, there is no {program} here"
            );
            said.expect("written");
            continue;
        };
        assert_eq!(
            vector[0], "f85434223d090e0c770f07b0084ce9ae5690e96fa1094a9c87bf8382b517c782",
            "{program}"
        );
        for id in ["u_123", "Ünï 😀@example.com", "a\"b\\c/d"] {
            let made = lines(&server.identity_secret, id).expect("it is there");
            for token in &made {
                let proof = json!({"user_id": id, "identity_token": token});
                let reply = exchange(&server, proof).await;
                assert_eq!(reply.status, StatusCode::OK, "{program} {id}: {reply:?}");
            }
        }
    }
}
