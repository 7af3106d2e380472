//! What never stands in the log, nor in a file: secrets, tokens, names.

use super::*;

/// The admin token that a log shows, if it does.
fn admin_token(log: &str) -> Option<&str> {
    let at = log.find("adm_live_main_")?;
    log[at..].split_whitespace().next()
}

#[tokio::test]
async fn the_first_start_prints_an_admin_token_that_works_and_no_other_does() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Running::start(data.path()).await;
    let admin = server.http.replace("/widget", "/agents");
    let (log, _) = server.stop().await;
    let token = admin_token(&log).expect("a token").to_owned();
    assert_eq!(token.len(), "adm_live_main_".len() + 64, "{log}");
    assert_eq!(log.matches(&token).count(), 1, "shown once");
    assert!(admin.ends_with("/api/v1/agents"), "{admin}");

    let server = Running::start(data.path()).await;
    let admin = server.http.replace("/widget", "/agents");
    let ask = async |token: &str| {
        let request = reqwest::Client::new().get(&admin).bearer_auth(token);
        request.send().await.expect("answered").status().as_u16()
    };
    assert_eq!(ask(&token).await, 200);
    let rotated = karta(data.path(), &["admin-token", "rotate", "--json"])
        .output()
        .await
        .expect("ran");
    let rotated: Value = serde_json::from_slice(&rotated.stdout).expect("JSON");
    let new = rotated["admin_token"].as_str().expect("a token");
    assert_eq!(
        (ask(&token).await, ask(new).await),
        (401, 200),
        "beside a running server"
    );
    let (log, _) = server.stop().await;
    assert_eq!(
        admin_token(&log),
        None,
        "neither the old nor the new one is shown again"
    );
    for entry in std::fs::read_dir(data.path()).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let file = std::fs::read(path).expect("read");
        for token in [token.as_str(), new] {
            let found = file.windows(token.len()).any(|w| w == token.as_bytes());
            assert!(!found, "the token is stored nowhere");
        }
    }
}

/// Every kind of secret goes through the server, wrong ones too; its log says everything it ever would.
#[tokio::test]
async fn no_secret_and_no_name_of_a_user_stands_in_the_log_at_trace() {
    let data = tempfile::tempdir().expect("a folder");
    let key = make_key(data.path()).await;
    let text = |name: &str| key[name].as_str().expect("a text").to_owned();
    let (public, secret, identity) = (
        text("public_key"),
        text("secret_key"),
        text("identity_secret"),
    );
    let mut running = Running::start(data.path()).await;
    // Read as it comes: at this level a full pipe would stop the server.
    let mut stderr = running.child.stderr.take().expect("piped");
    let log = tokio::spawn(async move {
        let mut log = String::new();
        let read = stderr.read_to_string(&mut log).await;
        read.map(|_| log).expect("a log")
    });

    let mut tokens = vec![secret.clone(), identity.clone()];
    let user = "CANARY-user@example.com";
    let mint = |key: &str| {
        reqwest::Client::new()
            .post(format!("{}/auth/user-token", running.http))
            .bearer_auth(key)
            .json(&json!({"external_user_id": user, "display_name": "CANARY-name", "email": user}))
            .send()
    };
    let minted: Value = mint(&secret)
        .await
        .expect("answered")
        .json()
        .await
        .expect("JSON");
    let user_token = minted["user_token"].as_str().expect("a token").to_owned();
    let wrong = format!("{}0", &secret[..secret.len() - 1]);
    mint(&wrong).await.expect("answered");
    tokens.extend([wrong, user_token.clone()]);
    let exchange = json!({"client_key": public, "user_token": user_token});
    let reply = running.post("/auth/exchange", "", exchange.clone()).await;
    let session_token = reply["token"].as_str().expect("a token").to_owned();
    running.post("/auth/exchange", "", exchange).await;
    let proof = crate::server::hmac_hex(&identity, user);
    for proof in [proof.clone(), proof.replace('a', "b")] {
        let body = json!({"client_key": public, "user_id": user, "identity_token": proof});
        let reply = running.post("/auth/exchange", "", body).await;
        tokens.extend(reply["token"].as_str().map(str::to_owned));
        tokens.push(proof);
    }
    let refresh = json!({"refresh_token": session_token});
    let next = running.post("/auth/refresh", "", refresh).await;
    let next = next["token"].as_str().expect("a token").to_owned();
    running.post("/sessions", &next, json!({})).await;
    // What a careless page might do.
    running
        .post("/auth/guest", &secret, json!({"client_key": secret}))
        .await;
    running
        .post(
            "/auth/guest",
            "",
            json!({"client_key": public, "x": identity, "user_label": "CANARY-label"}),
        )
        .await;
    running
        .get(&format!("/config?client_key={secret}"), &identity)
        .await;
    running
        .get(&format!("/sessions/{session_token}"), &format!("{next}x"))
        .await;
    let rotated = karta(
        data.path(),
        &["keys", "rotate", &public, "--identity", "--now", "--json"],
    );
    let rotated = { rotated }.output().await.expect("ran");
    let rotated: Value = serde_json::from_slice(&rotated.stdout).expect("JSON");
    tokens.push(
        rotated["identity_secret"]
            .as_str()
            .expect("a secret")
            .to_owned(),
    );
    let revoke = reqwest::Client::new().post(format!("{}/auth/revoke", running.http));
    revoke
        .header("origin", PAGE)
        .bearer_auth(&next)
        .send()
        .await
        .expect("answered");
    tokens.extend([session_token, next]);
    running.stop_quietly().await;

    let log = log.await.expect("read");
    assert!(log.contains("auth/exchange"), "{log:.600}");
    assert!(!log.contains("CANARY"), "{log}");
    for token in tokens {
        // The last part of a token is its signature; the rest alone opens nothing, but has no business there either.
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!log.contains(part), "{part} stands in the log");
        }
    }
    for prefix in ["sk_live_", "is_live_", "eyJ"] {
        assert!(!log.contains(prefix), "{prefix}");
    }
}

#[tokio::test]
async fn credentials_of_a_relay_are_given_away_and_never_logged() {
    let data = tempfile::tempdir().expect("a folder");
    let variables = [
        ("KARTA_ICE_SERVERS", "turn:turn.example:3478?transport=udp"),
        ("KARTA_TURN_SECRET", "CANARY-SECRET"),
    ];
    let server = Running::start_with(data.path(), &variables).await;
    let key = make_key(data.path()).await;
    let guest = server
        .post("/auth/guest", "", json!({"client_key": key["public_key"]}))
        .await;
    let answer = reqwest::Client::new()
        .post(format!("{}/sessions", server.http))
        .header("origin", PAGE)
        .bearer_auth(guest["token"].as_str().expect("a token"))
        .json(&json!({}))
        .send()
        .await
        .expect("answered");
    let link = answer.headers()["link"].to_str().expect("text").to_owned();
    let part = |name: &str| {
        let (_, value) = link.split_once(&format!("{name}=\"")).expect(name);
        value.split_once('"').expect("closed").0.to_owned()
    };
    let (username, credential) = (part("username"), part("credential"));
    let exposed = answer.headers()["access-control-expose-headers"]
        .to_str()
        .expect("text");
    assert!(exposed.split(',').any(|name| name == "link"), "{exposed}");
    let (log, _) = server.stop().await;
    assert!(log.contains("/sessions"), "the call is logged");
    for secret in ["CANARY-SECRET", &username, &credential] {
        assert!(!log.contains(secret), "{secret}");
    }
}
