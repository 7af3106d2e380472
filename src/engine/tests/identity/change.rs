//! The change of user, in one page and from page to page: the same user goes on, another starts afresh.

use super::*;

#[test]
fn same_user_with_a_new_proof_goes_on_with_refreshed_claims() {
    for (first, next) in [
        (hmac("u_1", "v2.a.a"), hmac("u_1", "v2.b.b")),
        (user_token("one"), user_token("two")),
        (hmac("u_1", "h"), user_token("two")),
    ] {
        let mut world = chatting_as(first, "u_1");
        identify(&mut world, next);
        world.reply_ok(EXCHANGE, user("t_2", "u_1"));
        assert_eq!(world.lines(), ["secret of one"]);
        world.say("hi");
        assert_eq!(
            asked(&world),
            ["Post /auth/exchange", "Post /sessions/s_1/events"]
        );
        assert_eq!(
            world.request(EVENTS).token.map(|token| token.0),
            Some("t_2".into())
        );
        assert_eq!(world.heard(EventName::SessionStarted).len(), 0);
    }
}

#[test]
fn same_words_again_ask_for_nothing() {
    for identity in [label("u_1"), hmac("u_1", "h"), user_token("eyJ")] {
        let mut world = World::new(boot());
        identify(&mut world, identity.clone());
        world.open();
        world.forget_effects();
        let attributes = vec![("page".into(), "2".into())];
        identify(
            &mut world,
            Identity {
                attributes,
                ..identity
            },
        );
        assert_eq!(asked(&world), Vec::<String>::new());
    }
}

#[test]
fn another_user_starts_afresh_and_nothing_of_the_first_stays() {
    for (first, next) in [
        (hmac("u_1", "h"), hmac("u_2", "i")),
        (hmac("u_1", "h"), label("u_1")),
        (user_token("eyJ"), hmac("u_2", "i")),
        (hmac("u_1", "h"), label("u_2")),
    ] {
        let mut world = chatting_as(first, "u_1");
        world.say("half typed");
        world.forget_effects();
        identify(&mut world, next.clone());
        nothing_stays(&world);
        assert_eq!(
            world.requests("/auth/revoke").len(),
            1,
            "the old login ends"
        );
        if next.identity_token.is_some() {
            world.reply_ok(EXCHANGE, user("t_2", "u_2"));
        } else {
            assert!(sent(&world, GUEST).get("visitor_id").is_none(), "{next:?}");
            world.reply_ok(GUEST, token("t_2"));
        }
        assert_eq!(
            sent(&world, "/sessions"),
            json!({}),
            "no old session is resumed"
        );
        world.reply_ok("/sessions", session_info("s_2", 0));
        world.say("hello");
        assert_eq!(world.lines(), ["hello"]);
        assert_eq!(
            world.heard(EventName::SessionStarted),
            [json!({"sessionId": "s_2"})]
        );
        assert!(world.panel().open, "the panel stays open");
    }
}

#[test]
fn user_that_only_the_server_knows_is_told_apart_by_its_answer() {
    let mut world = chatting_as(user_token("one"), "u_1");
    identify(&mut world, user_token("two"));
    world.say("for whom?");
    assert_eq!(
        world.requests(EVENTS).len(),
        0,
        "nothing is said before it is clear by whom"
    );
    world.reply_ok(EXCHANGE, user("t_2", "u_2"));
    nothing_stays(&world);
    world.reply_ok("/sessions", session_info("s_2", 0));
    let revoke = world.request("/auth/revoke");
    assert_eq!(revoke.token.map(|token| token.0), Some("t_1".into()));
}

#[test]
fn guest_that_becomes_a_user_starts_afresh() {
    for next in [hmac("u_1", "h"), user_token("eyJ")] {
        let mut world = chatting_as_guest();
        identify(&mut world, next);
        nothing_stays(&world);
        world.reply_ok(EXCHANGE, user("t_2", "u_1"));
        assert_eq!(sent(&world, "/sessions"), json!({}));
    }
}

#[test]
fn guest_with_a_name_goes_on_and_another_name_does_not() {
    let mut world = chatting_as_guest();
    identify(&mut world, label("u_1"));
    assert_eq!(world.lines(), ["secret of one"]);
    assert_eq!(
        sent(&world, GUEST),
        json!({"client_key": KEY, "visitor_id": "v_1", "user_label": "u_1"})
    );
    world.reply_ok(GUEST, token("t_2"));
    assert_eq!(world.requests("/sessions").len(), 0, "the session stays");
    identify(&mut world, label("u_2"));
    nothing_stays(&world);
    assert!(sent(&world, GUEST).get("visitor_id").is_none());
}

#[test]
fn unread_of_the_first_user_is_none_of_the_second() {
    let mut world = chatting_as(hmac("u_1", "h"), "u_1");
    world.call(Command::Close);
    world.frame(answer(2, "psst"));
    identify(&mut world, hmac("u_2", "i"));
    let counts = world.heard(EventName::Unread);
    assert_eq!(counts, [json!({"count": 1}), json!({"count": 0})]);
}

#[test]
fn answer_to_the_first_user_that_comes_late_is_dropped() {
    let mut world = World::new(boot());
    identify(&mut world, hmac("u_1", "h"));
    world.open();
    let first = world.request(EXCHANGE).id;
    identify(&mut world, hmac("u_2", "i"));
    world.reply(first, Ok(user("t_1", "u_1")));
    world.reply_ok(EXCHANGE, user("t_2", "u_2"));
    assert_eq!(
        world.request("/sessions").token.map(|token| token.0),
        Some("t_2".into())
    );
}

// ── across pages ─────────────────────────────────────────────────────────────────────────────────────────────────────────

fn stored_of(owner: String) -> Boot {
    let record = Stored {
        owner,
        visitor_id: None,
        session_id: Some("s_1".into()),
        open: true,
        seen_seq: 1,
        outbox: vec![("m_9".into(), "secret, unsent".into())],
    };
    Boot {
        stored: vec![(KEY.into(), record.write())],
        ..boot()
    }
}

#[test]
fn record_of_a_user_waits_for_that_user() {
    let mut world = World::new(stored_of(owner::confirmed("u_1")));
    assert_eq!(world.machine().view().panel, None, "not for a guest");
    identify(&mut world, hmac("u_1", "h"));
    assert!(world.panel().open);
    assert_eq!(world.lines(), ["secret, unsent"]);
    world.reply_ok(EXCHANGE, user("t_1", "u_1"));
    assert_eq!(sent(&world, "/sessions"), json!({"resume": "s_1"}));
}

#[test]
fn record_of_a_user_is_found_by_the_servers_answer() {
    for (user_id, lines) in [("u_1", vec!["secret, unsent"]), ("u_2", vec![])] {
        let mut world = World::new(stored_of(owner::confirmed("u_1")));
        identify(&mut world, user_token("eyJ"));
        world.open();
        assert_eq!(
            world.lines(),
            Vec::<&str>::new(),
            "not before it is clear whose it is"
        );
        world.reply_ok(EXCHANGE, user("t_1", user_id));
        assert_eq!(world.lines(), lines);
        let resume = sent(&world, "/sessions").get("resume").cloned();
        assert_eq!(resume.is_some(), user_id == "u_1");
    }
}

#[test]
fn record_of_one_user_is_hidden_from_every_other() {
    let others = [
        None,
        Some(label("u_1")),
        Some(label("u_2")),
        Some(hmac("u_2", "i")),
    ];
    for other in others {
        let mut world = World::new(stored_of(owner::confirmed("u_1")));
        if let Some(identity) = other {
            identify(&mut world, identity);
        }
        world.open();
        assert_eq!(world.lines(), Vec::<&str>::new());
        if world.requests(GUEST).is_empty() {
            world.reply_ok(EXCHANGE, user("t_1", "u_2"));
        } else {
            world.reply_ok(GUEST, token("t_1"));
        }
        assert_eq!(sent(&world, "/sessions"), json!({}));
        assert!(!format!("{:?}", world.stored()).contains("unsent"));
    }
}

#[test]
fn storage_learns_no_user_id() {
    let mut world = World::new(boot());
    identify(&mut world, hmac("jane@example.com", "h"));
    world.open();
    world.reply_ok(EXCHANGE, user("t_1", "jane@example.com"));
    let stored = world.stored().map(Stored::write).unwrap_or_default();
    assert!(
        stored.contains("user:") && !stored.contains("jane"),
        "{stored}"
    );
}
