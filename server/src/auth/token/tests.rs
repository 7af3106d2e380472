//! Bad tokens, made by hand and by mutation: none passes.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000;

fn who() -> Principal {
    Principal {
        account: "acme".into(),
        key_id: "k_1".into(),
        agent_id: "a_1".into(),
        subject: "v_1234567890".into(),
    }
}

fn made() -> (Tokens, MasterKey, Claims, String) {
    let master = MasterKey::random();
    let tokens = Tokens::new(&master);
    let claims = tokens.first(&who(), NOW);
    let token = tokens.sign(&claims);
    (tokens, master, claims, token)
}

fn b64(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// Signed with the right key, whatever it says.
fn forged(master: &MasterKey, header: &str, claims: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let signed = format!("{}.{}", b64(header), b64(claims));
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(&master.derive("session token v2/1/")).unwrap();
    mac.update(signed.as_bytes());
    format!(
        "{signed}.{}",
        BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    )
}

const HEADER: &str = r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1"}"#;

#[test]
fn a_token_lives_ten_minutes_and_refreshes_five_more() {
    let (tokens, _, claims, token) = made();
    assert!(token.len() < TOKEN_MAX_BYTES / 2);
    assert_eq!(tokens.check(&token, NOW), Ok(claims.clone()));
    assert_eq!(
        tokens.check(&token, NOW + LIFETIME_S - 1),
        Ok(claims.clone())
    );
    assert_eq!(
        tokens.check(&token, NOW + LIFETIME_S),
        Err(Refusal::Expired)
    );
    assert_eq!(
        tokens.check_for_refresh(&token, NOW + LIFETIME_S + GRACE_S - 1),
        Ok(claims.clone())
    );
    assert_eq!(
        tokens.check_for_refresh(&token, NOW + LIFETIME_S + GRACE_S),
        Err(Refusal::Expired)
    );
    assert_eq!(claims.principal(), who());
}

#[test]
fn a_family_ends_after_a_day_however_often_it_is_refreshed() {
    let (tokens, _, mut claims, _) = made();
    let mut now = NOW;
    while now + LIFETIME_S < claims.family_exp {
        now += LIFETIME_S - 1;
        claims = tokens.next(&claims, random_id("t_"), now);
        assert_eq!(tokens.check(&tokens.sign(&claims), now), Ok(claims.clone()));
    }
    assert_eq!(claims.exp, NOW + FAMILY_LIFETIME_S);
    assert_eq!(
        tokens.check_for_refresh(&tokens.sign(&claims), claims.exp),
        Err(Refusal::Expired),
        "no grace past the family's end"
    );
}

#[test]
fn a_clock_five_seconds_behind_accepts_and_six_refuses() {
    let (tokens, _, claims, token) = made();
    assert_eq!(tokens.check(&token, NOW - LEEWAY_S), Ok(claims));
    assert_eq!(
        tokens.check(&token, NOW - LEEWAY_S - 1),
        Err(Refusal::Invalid)
    );
}

#[test]
fn the_forging_test_can_succeed() {
    let (tokens, master, claims, token) = made();
    let copy = forged(&master, HEADER, &serde_json::to_string(&claims).unwrap());
    assert_eq!(copy, token);
    assert!(tokens.check(&copy, NOW).is_ok());
}

#[test]
fn headers_that_are_not_ours_are_refused_even_when_signed() {
    let (tokens, master, claims, token) = made();
    let claims = serde_json::to_string(&claims).unwrap();
    for header in [
        r#"{"typ":"karta-session+jwt","alg":"none"}"#,
        r#"{"typ":"karta-session+jwt","alg":"None"}"#,
        r#"{"typ":"karta-session+jwt","alg":"nOnE"}"#,
        r#"{"typ":"karta-session+jwt","alg":""}"#,
        r#"{"typ":"karta-session+jwt","alg":"hs256"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS384"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS512"}"#,
        r#"{"typ":"karta-session+jwt","alg":"RS256"}"#,
        r#"{"typ":"karta-session+jwt","alg":"ES256"}"#,
        r#"{"typ":"karta-session+jwt","alg":"PS256"}"#,
        r#"{"typ":"karta-session+jwt","alg":"EdDSA"}"#,
        r#"{"typ":"karta-session+jwt","alg":null}"#,
        r#"{"typ":"karta-session+jwt","alg":["HS256"]}"#,
        r#"{"typ":"karta-session+jwt"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"typ":"JWT","alg":"HS256"}"#,
        r#"{"typ":"karta-exchange+jwt","alg":"HS256","kid":"1"}"#,
        r#"{"typ":"karta-identity+jwt","alg":"HS256","kid":"1"}"#,
        r#"{"typ":"KARTA-SESSION+JWT","alg":"HS256","kid":"1"}"#,
        r#"{"alg":"HS256","typ":"karta-session+jwt","kid":"1"}"#,
        r#"{ "typ":"karta-session+jwt","alg":"HS256","kid":"1"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":""}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"2"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":1}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":["1"]}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"../../dev/null"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"' OR 1=1"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","jku":"https://evil.com/k"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","x5u":"https://evil.com/k"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","jwk":{"kty":"oct","k":"AA"}}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","crit":["exp"]}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","crit":[]}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","b64":false}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","zip":"DEF"}"#,
        r#"{"typ":"karta-session+jwt","alg":"HS256","kid":"1","alg":"none"}"#,
        r#"{"typ":"karta-session+jwt","alg":"none","alg":"HS256","kid":"1"}"#,
        "{}",
        "[]",
        "null",
        "\"\"",
        "0",
        "",
        "{",
        "\u{0}",
    ] {
        let bad = forged(&master, header, &claims);
        assert_eq!(tokens.check(&bad, NOW), Err(Refusal::Invalid), "{header}");
        assert_eq!(
            tokens.check_for_refresh(&bad, NOW),
            Err(Refusal::Invalid),
            "{header}"
        );
    }
    let [_, body, _] = token.split('.').collect::<Vec<_>>()[..] else {
        unreachable!()
    };
    let unsigned = format!(
        "{}.{body}.",
        b64(r#"{"typ":"karta-session+jwt","alg":"none"}"#)
    );
    assert_eq!(tokens.check(&unsigned, NOW), Err(Refusal::Invalid));
}

#[test]
fn claims_that_are_missing_wrong_or_double_are_refused_even_when_signed() {
    let (tokens, master, claims, _) = made();
    let good = serde_json::to_value(&claims).unwrap();
    let mut bad: Vec<String> = Vec::new();
    for name in good.as_object().unwrap().keys() {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        bad.push(without.to_string());
        for value in [
            Value::Null,
            json!({}),
            json!([]),
            json!(true),
            json!([good[name]]),
            json!(-1),
            json!(1.5),
            json!({"a": good[name]}),
        ] {
            let mut wrong = good.clone();
            wrong[name] = value;
            bad.push(wrong.to_string());
        }
        let twice = good.to_string();
        bad.push(format!(
            "{},\"{name}\":{}}}",
            &twice[..twice.len() - 1],
            good[name]
        ));
    }
    for (name, value) in [
        ("iss", json!("evil")),
        ("iss", json!("")),
        ("iss", json!("Karta")),
        ("aud", json!("karta")),
        ("aud", json!("karta-admin")),
        ("aud", json!(["karta-widget", "x"])),
        ("sub", json!("")),
        ("sub", json!("x_1")),
        ("sub", json!("V_1")),
        ("exp", json!("9999999999")),
        ("exp", json!(9e20)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(0)),
        ("exp", json!(NOW + LIFETIME_S + 1)),
        ("iat", json!(NOW + 3600)),
        ("iat", json!(NOW - 3600)),
        ("iat", json!("1")),
        ("family_exp", json!(NOW)),
        ("nbf", json!(NOW + 9999)),
        ("nbf", json!("x")),
        ("admin", json!(true)),
        ("scope", json!("*")),
        ("__proto__", json!({})),
        ("aal", json!(2)),
        ("stepped_up_at", json!("1")),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value;
        bad.push(wrong.to_string());
    }
    bad.extend(["", "{}", "[]", "null", "1", "\"x\"", "{", "\u{0}"].map(String::from));
    bad.push(format!("{good} ") + "x");
    bad.push("[".repeat(1000));
    assert!(bad.len() >= 120, "{}", bad.len());
    for claims in bad {
        let token = forged(&master, HEADER, &claims);
        assert!(tokens.check(&token, NOW).is_err(), "{claims}");
        assert!(tokens.check_for_refresh(&token, NOW).is_err(), "{claims}");
    }
}

#[test]
fn texts_that_are_not_exactly_a_token_of_ours_are_refused() {
    let (tokens, _, claims, token) = made();
    let other = Tokens::new(&MasterKey::random()).sign(&claims);
    let parts: Vec<&str> = token.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    let mut bad = vec![
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        "x".into(),
        "null".into(),
        "undefined".into(),
        "Bearer".into(),
        other,
        format!("{token} "),
        format!(" {token}"),
        format!("{token}."),
        format!("{token}.x"),
        format!("{token}="),
        format!("{token}\n"),
        format!("{token}\0"),
        format!("{header}.{body}"),
        format!("{header}.{body}."),
        format!("{header}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{body}.{header}.{signature}"),
        format!("{header}.{body}.{body}"),
        format!("{header}.{body}.{}", &signature[1..]),
        format!("{header}.{body}.{signature}A"),
        format!("{header}={}", &token[header.len()..]),
        token.to_uppercase(),
        token.to_lowercase(),
        token.replace('.', ","),
        token.replace('_', "/").replace('-', "+") + "=",
        token.repeat(2),
        format!("{token},{token}"),
        format!("{header}.{body}==.{signature}"),
        "a".repeat(1_000_000),
        format!("{token}{}", "A".repeat(1_000_000)),
        "é".repeat(300),
        "eyJhbGciOiJub25lIn0.e30.".into(),
        format!("{header}.{}.{signature}", b64("{}")),
        format!("{}.{body}.{signature}", b64("{}")),
        "\u{feff}".to_owned() + &token,
    ];
    // The last character of 32 bytes in base64 carries two unused bits; a token with them set is another text for the same bytes.
    let last = signature.chars().last().unwrap();
    bad.extend(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .chars()
            .filter(|c| *c != last)
            .map(|c| format!("{}{c}", &token[..token.len() - 1])),
    );
    assert!(bad.len() >= 40);
    for text in bad {
        assert_eq!(
            tokens.check(&text, NOW),
            Err(Refusal::Invalid),
            "{text:.200}"
        );
        assert_eq!(
            tokens.check_for_refresh(&text, NOW),
            Err(Refusal::Invalid),
            "{text:.200}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_mutated_token_is_refused(at in any::<prop::sample::Index>(), byte in 0x20u8..0x7f, cut in any::<bool>()) {
        let (tokens, _, _, token) = made();
        let mut bytes = token.clone().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.remove(at); } else { bytes[at] = byte; }
        let mutated = String::from_utf8(bytes).unwrap();
        prop_assume!(mutated != token);
        prop_assert_eq!(tokens.check(&mutated, NOW), Err(Refusal::Invalid));
    }

    #[test]
    fn any_text_is_refused(text in ".{0,400}") {
        let (tokens, ..) = made();
        prop_assert_eq!(tokens.check(&text, NOW), Err(Refusal::Invalid));
    }
}

/// What the library would take if it were not told otherwise: the reason for each setting of [`super::super::signing`].
#[test]
fn the_librarys_defaults_take_what_we_refuse() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, get_current_timestamp};
    let (tokens, master, claims, _) = made();
    let now = get_current_timestamp();
    let fresh = serde_json::to_value(Claims {
        iat: now,
        exp: now + LIFETIME_S,
        family_exp: now + FAMILY_LIFETIME_S,
        ..claims
    })
    .unwrap();
    let key = DecodingKey::from_secret(&master.derive("session token v2/1/"));
    let mut told = Validation::new(Algorithm::HS256);
    told.set_issuer(&["karta"]);
    told.set_audience(&["karta-widget"]);
    let by_default = |token: &str| decode::<Value>(token.as_bytes(), &key, &told).is_ok();
    let without = |name: &str| {
        let mut claims = fresh.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let with = |name: &str, value: Value| {
        let mut claims = fresh.clone();
        claims[name] = value;
        claims
    };
    let other_type = r#"{"typ":"karta-exchange+jwt","alg":"HS256","kid":"1"}"#;
    let no_type = r#"{"alg":"HS256"}"#;
    let good = fresh.to_string();
    assert!(tokens.check(&forged(&master, HEADER, &good), now).is_ok());
    for (what, header, claims) in [
        ("no iss, though one is expected", HEADER, without("iss")),
        ("no aud, though one is expected", HEADER, without("aud")),
        ("no sub", HEADER, without("sub")),
        ("no jti", HEADER, without("jti")),
        ("a minute past exp", HEADER, with("exp", json!(now - 30))),
        (
            "not valid before tomorrow",
            HEADER,
            with("nbf", json!(now + 86_400)),
        ),
        ("another kind of token", other_type, fresh.clone()),
        ("no kind at all", no_type, fresh.clone()),
        ("an unknown claim", HEADER, with("admin", json!(true))),
    ] {
        let token = forged(&master, header, &claims.to_string());
        assert!(
            by_default(&token),
            "{what}: the library has become stricter"
        );
        assert!(tokens.check(&token, now).is_err(), "{what}");
        assert!(
            tokens.check_for_refresh(&token, now).is_err() || what.contains("past exp"),
            "{what}"
        );
    }
}

#[test]
fn generations_overlap_and_end() {
    let (tokens, master, claims, old) = made();
    let second = Generation {
        kid: "2".into(),
        salt: "salt".into(),
        created_ms: NOW * 1000,
        signs_from_ms: (NOW + 10) * 1000,
        previous_ends_ms: (NOW + 1_000) * 1000,
    };
    tokens.set_generations(std::slice::from_ref(&second));
    let at = |iat| Claims {
        iat,
        exp: iat + LIFETIME_S,
        ..claims.clone()
    };
    assert_eq!(
        tokens.sign(&at(NOW + 9)).split('.').next(),
        old.split('.').next()
    );
    let new = tokens.sign(&at(NOW + 10));
    assert_ne!(new.split('.').next(), old.split('.').next());
    assert!(tokens.check(&new, NOW + 10).is_ok() && tokens.check(&old, NOW + 10).is_ok());
    assert!(
        tokens
            .check_for_refresh(&tokens.sign(&at(NOW + 9)), NOW + 900)
            .is_ok()
    );
    assert_eq!(
        tokens.check_for_refresh(&old, NOW + 1_000),
        Err(Refusal::Invalid)
    );
    assert!(tokens.recognise(&old).is_some(), "still known as ours");
    // Neither the salt nor the master key alone makes the key.
    let other = Tokens::new(&master);
    other.set_generations(&[Generation {
        salt: "pepper".into(),
        ..second.clone()
    }]);
    assert_eq!(other.check(&new, NOW + 10), Err(Refusal::Invalid));
    let other = Tokens::new(&MasterKey::random());
    other.set_generations(&[second]);
    assert_eq!(other.check(&new, NOW + 10), Err(Refusal::Invalid));
    assert_eq!(
        Tokens::new(&master).check(&new, NOW + 10),
        Err(Refusal::Invalid),
        "not told yet"
    );
}

#[test]
fn a_user_token_is_no_session_token_and_the_other_way_round() {
    let (tokens, _, _, session) = made();
    let user = crate::store::User {
        account: "acme".into(),
        subject: "u_1".into(),
        user_id: "1".into(),
        ..Default::default()
    };
    let claims = tokens.user.mint(&user, "k_1", None, NOW);
    let token = tokens.user.sign(&claims);
    assert_eq!(tokens.user.check(&token, NOW), Ok(claims.clone()));
    assert_eq!(tokens.user.check(&token, NOW + 299), Ok(claims.clone()));
    assert_eq!(tokens.user.check(&token, NOW + 300), Err(Refusal::Expired));
    assert_eq!(
        tokens.user.check(&token, NOW - LEEWAY_S - 1),
        Err(Refusal::Invalid)
    );
    assert_eq!(tokens.check(&token, NOW), Err(Refusal::Invalid));
    assert_eq!(tokens.user.check(&session, NOW), Err(Refusal::Invalid));
    assert_eq!(claims.user(), user);
}
