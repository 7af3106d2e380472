//! Numbers for operators, on a port of their own.

use super::*;

#[tokio::test]
async fn metrics_are_off_unless_configured_and_name_nobody() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Running::start(data.path()).await;
    assert_eq!(server.metrics, None);
    let root = server.http.trim_end_matches(API).to_owned();
    let status = reqwest::get(format!("{root}/metrics")).await;
    assert_eq!(status.expect("answered").status(), 404);
    server.stop_quietly().await;

    let variables = [("KARTA_METRICS_LISTEN", "127.0.0.1:0")];
    let server = Running::start_with(data.path(), &variables).await;
    let key = make_key(data.path()).await;
    let body = json!({"client_key": key["public_key"], "user_label": "CANARY-LABEL"});
    let guest = server.post("/auth/guest", "", body).await;
    let token = guest["token"].as_str().expect("a token").to_owned();
    let session = server.post("/sessions", &token, json!({})).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let message = json!({"type": "user.message", "id": "m1", "text": "Hi"});
    server
        .post(&format!("/sessions/{session}/events"), &token, message)
        .await;
    let address = server.metrics.clone().expect("a fifth word");
    let address = address
        .strip_prefix("metrics=")
        .expect("its name")
        .to_owned();
    let read = async || {
        let answer = reqwest::get(format!("{address}/metrics")).await;
        answer.expect("answered").text().await.expect("text")
    };
    // The turn's end is counted when it is over.
    let mut text = read().await;
    for _ in 0..200 {
        if text.contains("karta_turn_seconds_count 1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        text = read().await;
    }
    for line in [
        "karta_turn_seconds_count 1",
        "karta_panics_total 0",
        "karta_peer_panics_total 0",
        "karta_answers_5xx_total 0",
        "karta_answers_2xx_total 3",
        "karta_calls 0",
        "karta_calls_max 50",
        "karta_peers 0",
        "karta_packets_dropped_total 0",
        "karta_store_waiting 0",
        "karta_media_commands_waiting 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|have| have == line), "{line} in {text}");
    }
    for canary in [
        "CANARY",
        session.as_str(),
        key["public_key"].as_str().expect("a key"),
    ] {
        assert!(!text.contains(canary), "{canary}");
    }
    server.stop_quietly().await;
}
