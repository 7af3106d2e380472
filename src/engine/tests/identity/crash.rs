//! A login that outlives a crash of the widget.

use super::*;

fn handed_on(world: &World) -> Vec<&str> {
    let effects = world.effects().iter();
    let texts = effects.filter_map(|effect| match effect {
        Effect::HandOn(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// The instance that follows one that crashed: what was handed on, the stored record, and the page's `identify` once more.
fn after_a_crash(handed_on: &str, identity: Identity) -> World {
    let record = Stored {
        owner: owner::confirmed("u_1"),
        session_id: Some("s_1".into()),
        open: true,
        ..Stored::default()
    };
    let mut world = World::new(Boot {
        handed_on: handed_on.into(),
        stored: vec![(KEY.into(), record.write())],
        ..boot()
    });
    world.forget_effects();
    identify(&mut world, identity);
    world.open();
    world
}

#[test]
fn login_for_a_user_token_outlives_a_crash() {
    let mut world = World::new(boot());
    identify(&mut world, user_token("once"));
    world.open();
    world.reply_ok(EXCHANGE, user("t_1", "u_1"));
    world.reply_ok("/sessions", session_info("s_1", 0));
    world.stream_in_step(0);
    let due = world.timer(Timer::TokenRefresh).expect("armed");
    world.advance(due);
    world.reply_ok(REFRESH, user("t_2", "u_1"));
    assert_eq!(handed_on(&world), ["once\nt_1", "once\nt_2"]);

    let mut world = after_a_crash("once\nt_2", user_token("once"));
    assert_eq!(sent(&world, REFRESH), json!({"refresh_token": "t_2"}));
    // A server that is not there for a moment does not cost the login.
    world.reply_err(REFRESH, network());
    world.advance(10_000);
    world.reply_ok(REFRESH, user("t_3", "u_1"));
    assert_eq!(sent(&world, "/sessions"), json!({"resume": "s_1"}));
    assert_eq!(world.requests(EXCHANGE).len(), 0, "it works once");
    assert_eq!(handed_on(&world), ["once\nt_3"]);
}

#[test]
fn login_that_ended_meanwhile_asks_the_page_for_a_fresh_token_and_never_a_guest() {
    let mut world = after_a_crash("once\nt_2", user_token("once"));
    world.reply_err(REFRESH, failure(401, "token_invalid"));
    locked_with(&world, "token_expired");
    assert_eq!(world.requests(EXCHANGE).len(), 0);
    assert_eq!(world.requests(GUEST).len(), 0);
    identify(&mut world, user_token("fresh"));
    assert_eq!(sent(&world, EXCHANGE)["user_token"], "fresh");
}

#[test]
fn login_of_another_proof_is_not_taken_up() {
    for identity in [user_token("two"), user_token("onc"), user_token("once2")] {
        let world = after_a_crash("once\nt_2", identity);
        assert_eq!(world.requests(REFRESH).len(), 0);
        assert_eq!(world.requests(EXCHANGE).len(), 1);
    }
    let world = after_a_crash("once\nt_2", hmac("u_1", "h"));
    assert_eq!(sent(&world, EXCHANGE)["identity_token"], "h");
    let world = after_a_crash("", user_token("once"));
    assert_eq!(sent(&world, EXCHANGE)["user_token"], "once");
    // Proofs that work again are not handed on.
    assert_eq!(handed_on(&chatting_hmac()), Vec::<&str>::new());
}

fn chatting_hmac() -> World {
    let mut world = World::new(boot());
    identify(&mut world, hmac("u_1", "h"));
    world.open();
    world.reply_ok(EXCHANGE, user("t_1", "u_1"));
    world
}
