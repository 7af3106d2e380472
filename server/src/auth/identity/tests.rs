//! The published vectors, and proofs that are almost right.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

fn secrets() -> Vec<Secret> {
    vec![Secret::new("test_secret")]
}

fn hmac_hex(secret: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(text.as_bytes());
    mac.finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn v2_of(encoded: &str) -> String {
    format!("v2.{encoded}.{}", hmac_hex("test_secret", encoded))
}

fn v2(payload: &Value) -> String {
    v2_of(&BASE64_URL_SAFE_NO_PAD.encode(payload.to_string()))
}

fn proven(user_id: &str) -> Proven {
    Proven {
        user_id: user_id.into(),
        stepped_up_at: None,
        aal: None,
    }
}

#[test]
fn the_published_vectors_hold() {
    for (id, hash) in [
        (
            "u_123",
            "13d5f00c1cb65c81f410ade73d870807d9b13a5976ff37cf96bb55cd4fb3c778",
        ),
        (
            "john@example.com",
            "f85434223d090e0c770f07b0084ce9ae5690e96fa1094a9c87bf8382b517c782",
        ),
    ] {
        assert_eq!(verify(&secrets(), Some(id), hash, NOW), Ok(proven(id)));
        assert_eq!(hmac_hex("test_secret", id), hash);
    }
}

#[test]
fn an_id_is_its_bytes() {
    let hash = hmac_hex("test_secret", "Ünï@example.com");
    for other in [
        "ünï@example.com",
        "U\u{308}nï@example.com",
        " Ünï@example.com",
        "Ünï@example.com ",
        "Uni@example.com",
        "Ünï@example.com.",
    ] {
        let verdict = verify(&secrets(), Some(other), &hash, NOW);
        assert_eq!(verdict, Err(Refusal::Wrong), "{other}");
    }
    assert!(verify(&secrets(), Some("Ünï@example.com"), &hash, NOW).is_ok());
}

#[test]
fn plain_proofs_that_are_almost_right_are_refused() {
    let id = "u_123";
    let good = hmac_hex("test_secret", id);
    let refused = |token: &str, why: Refusal| {
        assert_eq!(
            verify(&secrets(), Some(id), token, NOW),
            Err(why),
            "{token}"
        );
    };
    for at in 0..64 {
        let mut bent = good.clone().into_bytes();
        bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
        refused(&String::from_utf8(bent).expect("text"), Refusal::Wrong);
    }
    for secret in [
        "",
        "test_secret ",
        "Test_secret",
        "test_secre",
        "test_secret\0",
    ] {
        // A zero byte at the end of a short key is HMAC's own padding: such a secret is the same one.
        let same = secret == "test_secret\0";
        let verdict = verify(&secrets(), Some(id), &hmac_hex(secret, id), NOW);
        assert_eq!(verdict.is_ok(), same, "{secret:?}");
    }
    for token in [
        "",
        "null",
        "undefined",
        "computed_hash",
        &good.to_uppercase(),
        &good[1..],
        &format!("{good}0"),
        &format!(" {good}"),
        &format!("{good}\n"),
        &format!("0x{good}"),
        &format!("sha256={good}"),
        &"é".repeat(32),
        &"a".repeat(1_000_000),
        "v1.x.y",
        "v2",
        "V2.x.y",
    ] {
        refused(token, Refusal::Malformed);
    }
    assert_eq!(verify(&secrets(), None, &good, NOW), Err(Refusal::NoUserId));
    assert_eq!(
        verify(&[], Some(id), &good, NOW),
        Err(Refusal::Wrong),
        "a key without a secret proves nobody"
    );
    let two = [Secret::new("new"), Secret::new("test_secret")];
    assert!(
        verify(&two, Some(id), &good, NOW).is_ok(),
        "after a rotation"
    );
}

#[test]
fn ids_that_are_no_ids_are_refused_even_when_signed() {
    for id in ["", "a\0b", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(257)] {
        let hash = hmac_hex("test_secret", id);
        assert_eq!(
            verify(&secrets(), Some(id), &hash, NOW),
            Err(Refusal::BadUserId)
        );
        assert_eq!(
            verify(&secrets(), None, &v2(&json!({"user_id": id})), NOW),
            Err(Refusal::BadUserId)
        );
    }
    for id in ["0", "x", &"x".repeat(256), "😀", "a b"] {
        let hash = hmac_hex("test_secret", id);
        assert!(verify(&secrets(), Some(id), &hash, NOW).is_ok(), "{id}");
    }
}

#[test]
fn v2_carries_its_user_its_end_and_its_step_up() {
    let full = json!({"user_id": "u_1", "exp": NOW + 1, "stepped_up_at": NOW - 5, "aal": "aal2", "future": [1]});
    let says = Proven {
        user_id: "u_1".into(),
        stepped_up_at: Some(NOW - 5),
        aal: Some("aal2".into()),
    };
    assert_eq!(verify(&secrets(), None, &v2(&full), NOW), Ok(says.clone()));
    assert_eq!(verify(&secrets(), Some("u_1"), &v2(&full), NOW), Ok(says));
    let other = verify(&secrets(), Some("u_2"), &v2(&full), NOW);
    assert_eq!(other, Err(Refusal::Mismatch));
    let late = verify(&secrets(), None, &v2(&full), NOW + 1);
    assert_eq!(late, Err(Refusal::Expired));
    let bare = v2(&json!({"user_id": "u_1"}));
    assert_eq!(verify(&secrets(), None, &bare, NOW), Ok(proven("u_1")));
    let null = v2(&json!({"user_id": "u_1", "exp": null, "aal": null, "stepped_up_at": null}));
    assert_eq!(verify(&secrets(), None, &null, NOW), Ok(proven("u_1")));
}

#[test]
fn v2_payloads_that_are_not_one_are_refused_even_when_signed() {
    let mut bad: Vec<String> = [
        json!({}),
        json!([]),
        json!(["u_1", null, null, null]),
        json!(null),
        json!("u_1"),
        json!({"user_id": null}),
        json!({"user_id": 1}),
        json!({"user_id": ["u_1"]}),
        json!({"user_id": {"$ne": ""}}),
        json!({"userId": "u_1"}),
        json!({"user_id": "u_1", "exp": "1900000000"}),
        json!({"user_id": "u_1", "exp": -1}),
        json!({"user_id": "u_1", "exp": 1.9e9}),
        json!({"user_id": "u_1", "exp": true}),
        json!({"user_id": "u_1", "stepped_up_at": NOW + AHEAD_S + 1}),
        json!({"user_id": "u_1", "stepped_up_at": "now"}),
        json!({"user_id": "u_1", "aal": ""}),
        json!({"user_id": "u_1", "aal": 2}),
        json!({"user_id": "u_1", "aal": "a".repeat(33)}),
        json!({"user_id": "u_1", "aal": "aal 2"}),
    ]
    .iter()
    .map(v2)
    .collect();
    for text in [
        r#"{"user_id":"u_1","user_id":"u_2"}"#,
        r#"{"user_id":"u_1","exp":9999999999,"exp":1}"#,
        r#" {"user_id":"u_1"}"#,
        r#"{"user_id":"u_1"} x"#,
        r#"{"user_id":"u_1""#,
        "",
        "\u{feff}{\"user_id\":\"u_1\"}",
    ] {
        bad.push(v2_of(&BASE64_URL_SAFE_NO_PAD.encode(text)));
    }
    bad.push(v2_of(
        &BASE64_URL_SAFE_NO_PAD.encode(b"{\"user_id\":\"\xff\"}"),
    ));
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(r#"{"user_id":"u_1"}"#);
    bad.push(v2_of(&format!("{encoded}==")));
    bad.push(v2_of("not base64!"));
    bad.push(v2_of("{\"user_id\":\"u_1\"}"));
    bad.push(v2_of(""));
    for token in bad {
        let verdict = verify(&secrets(), None, &token, NOW);
        assert_eq!(verdict, Err(Refusal::Malformed), "{token}");
    }
}

#[test]
fn v2_tokens_that_are_bent_are_refused() {
    let good = v2(&json!({"user_id": "u_1"}));
    let parts: Vec<&str> = good.split('.').collect();
    let (encoded, mac) = (parts[1], parts[2]);
    let plain = hmac_hex("test_secret", "u_1");
    for token in [
        format!("v2.{encoded}"),
        format!("v2.{encoded}."),
        format!("v2..{mac}"),
        format!("v2.{mac}.{encoded}"),
        format!("v2.{encoded}.{mac}.{mac}"),
        format!("v2.{encoded}.{}", mac.to_uppercase()),
        format!("v2.{encoded}.{plain}"),
        format!("v3.{encoded}.{mac}"),
        format!("{encoded}.{mac}"),
        format!("v2.{encoded}A.{mac}"),
        format!(
            "v2.{}.{mac}",
            BASE64_URL_SAFE_NO_PAD.encode(r#"{"user_id":"admin"}"#)
        ),
        format!(" {good}"),
        format!("{good} "),
    ] {
        let verdict = verify(&secrets(), Some("u_1"), &token, NOW);
        assert!(verdict.is_err_and(Refusal::is_guess), "{token}");
    }
}

#[test]
fn a_subject_belongs_to_one_account_and_tells_nothing() {
    let master = MasterKey::random();
    let of = |account, id| subject(&master, account, id);
    assert_eq!(of("main", "u_123"), of("main", "u_123"));
    assert_ne!(of("main", "u_123"), of("other", "u_123"));
    assert_ne!(of("main", "u_123"), of("main", "u_124"));
    assert_ne!(of("ma", "inx"), of("main", "x"));
    assert_ne!(of("main", "x"), subject(&MasterKey::random(), "main", "x"));
    assert!(of("main", "u_123").starts_with("u_") && !of("main", "u_123").contains("123"));
    assert_eq!(of("main", &"x".repeat(256)).len(), 34);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_text_is_a_refusal_and_never_a_panic(id in proptest::option::of(".{0,40}"), text in "\\PC{0,200}") {
        prop_assert!(verify(&secrets(), id.as_deref(), &text, NOW).is_err());
        let v2 = "v2.".to_owned() + &text;
        prop_assert!(verify(&secrets(), id.as_deref(), &v2, NOW).is_err());
    }

    #[test]
    fn any_signed_payload_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let token = v2_of(&BASE64_URL_SAFE_NO_PAD.encode(&bytes));
        if let Ok(proven) = verify(&secrets(), None, &token, NOW) {
            prop_assert!(good_user_id(&proven.user_id));
        }
    }

    #[test]
    fn what_is_signed_is_what_is_proven(
        id in "[^\\x00-\\x1f\\x7f-\\x9f]{1,60}", ahead in 1u64..1_000_000, back in 0u64..1_000_000, aal in proptest::option::of("[!-~]{1,32}"),
    ) {
        let token = v2(&json!({"user_id": id, "exp": NOW + ahead, "stepped_up_at": NOW - back, "aal": aal}));
        let says = Proven { user_id: id.clone(), stepped_up_at: Some(NOW - back), aal };
        prop_assert_eq!(verify(&secrets(), Some(&id), &token, NOW), Ok(says));
    }

    #[test]
    fn a_mutated_v2_token_is_refused(at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f, cut in any::<bool>()) {
        let token = v2(&json!({"user_id": "u_1", "exp": NOW + 60}));
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        let mutated = String::from_utf8(bytes).expect("text");
        prop_assume!(mutated != token);
        prop_assert!(verify(&secrets(), None, &mutated, NOW).is_err());
    }
}
