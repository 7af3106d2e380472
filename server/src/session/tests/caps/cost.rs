//! Tokens and money: what turns hold back before they begin, and what they cost at their end.

use super::*;

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage {
        input_tokens,
        output_tokens,
    }
}

#[tokio::test]
async fn tokens_are_counted_as_the_provider_says_and_stop_the_next_turn() {
    let stage = Stage::new().await;
    let caps = Caps {
        tokens_per_day: Some(1_000),
        ..Caps::default()
    };
    stage.cap(caps).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    stage
        .answer(Answer {
            usage: Some(usage(900, 99)),
            ..Answer::default()
        })
        .await;
    stage.idle(&session, 1).await;
    assert_eq!(stage.used("tokens/day").await, 999);
    stage.send(&session, "m2", "Hi").await;
    stage
        .answer(Answer {
            usage: Some(usage(1, 0)),
            ..Answer::default()
        })
        .await;
    stage.idle(&session, 2).await;
    let wait = limited(stage.say(&who(), &session, "m3", "x").await);
    assert!(wait.is_some_and(|s| s <= 86_400), "{wait:?}");
    stage.advance(DAY);
    stage
        .say(&who(), &session, "m4", "x")
        .await
        .expect("tomorrow");
}

#[tokio::test]
async fn running_turns_set_tokens_aside() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            tokens_per_month: Some(9_000),
            ..Caps::default()
        })
        .await;
    let mut sessions = Vec::new();
    for n in 0..4 {
        sessions.push(stage.of(&visitor(n)).await);
    }
    let say = async |n: u32| {
        let session = &sessions[n as usize];
        stage.say(&visitor(n), session, "m1", "x").await
    };
    for n in 0..3 {
        say(n).await.expect("0, 4,000 and 8,000 are set aside");
    }
    assert_eq!(
        limited(say(3).await),
        Some(10),
        "soon, when the others are done"
    );
    for _ in 0..3 {
        stage.answer(Answer::default()).await;
    }
    for (n, session) in (0..3).zip(&sessions) {
        let reader = stage.sessions.subscribe(&visitor(n), session, 0).await;
        let subscription = reader.expect("a reader");
        Reader { subscription }.until(EventType::StatusIdle).await;
    }
    say(3).await.expect("nothing is set aside any more");
}

#[tokio::test]
async fn a_turn_that_waits_holds_back_as_much_as_one_that_runs() {
    let stage = Stage::new().await;
    stage.delay(30_000).await;
    stage
        .cap(Caps {
            tokens_per_day: Some(9_000),
            ..Caps::default()
        })
        .await;
    let mut taken = 0;
    for n in 0..10 {
        let session = stage.of(&visitor(n)).await;
        taken += u32::from(stage.say(&visitor(n), &session, "m1", "x").await.is_ok());
        // More words for the same answer are let in, and nothing of theirs is another turn.
        if taken == n + 1 {
            let more = stage.say(&visitor(n), &session, "m2", "x").await;
            more.expect("joins the turn that waits");
        }
    }
    assert_eq!(taken, 3, "0, 4,000 and 8,000 are held back");
}

#[tokio::test]
async fn money_is_counted_by_the_agents_prices_with_the_turn_that_costs_it() {
    let stage = Stage::new().await;
    stage.priced().await;
    stage
        .cap(Caps {
            spend_per_month: money("10"),
            ..Caps::default()
        })
        .await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    let answer = Answer {
        usage: Some(usage(1_234, 567)),
        ..Answer::default()
    };
    stage.answer(answer.clone()).await;
    stage.idle(&session, 1).await;
    // 1,234 × 0.001 + 567 × 0.002.
    assert_eq!(stage.used("spend/day").await, 2_368_000);
    assert_eq!(stage.used("spend/month").await, 2_368_000);
    for n in 2..=5 {
        let id = format!("m{n}");
        stage.say(&who(), &session, &id, "x").await.expect("a turn");
        stage.answer(answer.clone()).await;
        stage.idle(&session, n).await;
    }
    let wait = limited(stage.say(&who(), &session, "m6", "x").await);
    assert!(wait.is_some_and(|s| s <= 31 * 86_400), "{wait:?}");
    assert_eq!(stage.used("spend/month").await, 5 * 2_368_000);
}

#[tokio::test]
async fn many_turns_at_once_overshoot_by_one_turn_at_most() {
    let stage = Arc::new(Stage::new().await);
    stage.priced().await;
    stage
        .cap(Caps {
            spend_per_day: money("12"),
            ..Caps::default()
        })
        .await;
    let mut asking = Vec::new();
    for n in 0..16 {
        let stage = stage.clone();
        asking.push(tokio::spawn(async move {
            let session = stage.of(&visitor(n)).await;
            let said = stage.say(&visitor(n), &session, "m1", "x").await;
            (n, session, said)
        }));
    }
    let mut taken = Vec::new();
    for asked in asking {
        match asked.await.expect("answered") {
            (n, session, Ok(())) => taken.push((n, session)),
            (_, _, refused) => assert_eq!(limited(refused), Some(10), "when those are over"),
        }
    }
    assert_eq!(taken.len(), 3, "0, 5 and 10 are held back");
    for _ in &taken {
        let answer = Answer {
            usage: Some(usage(3_000, 1_000)),
            ..Answer::default()
        };
        stage.answer(answer).await;
    }
    for (n, session) in &taken {
        let reader = stage.sessions.subscribe(&visitor(*n), session, 0).await;
        let subscription = reader.expect("a reader");
        Reader { subscription }.until(EventType::StatusIdle).await;
    }
    let used = stage.used("spend/day").await;
    assert_eq!(used, 15_000_000, "not more than the cap and one turn");
    let session = stage.session().await;
    let wait = limited(stage.say(&who(), &session, "m1", "x").await);
    assert!(wait.is_some_and(|s| s > 10), "until tomorrow: {wait:?}");
}

#[tokio::test]
async fn a_cap_in_money_lets_nothing_in_that_nobody_can_price() {
    let stage = Stage::new().await;
    stage
        .cap(Caps {
            spend_per_day: money("1000000"),
            ..Caps::default()
        })
        .await;
    let session = stage.session().await;
    limited(stage.say(&who(), &session, "m1", "x").await);
    stage.priced().await;
    stage
        .say(&who(), &session, "m2", "x")
        .await
        .expect("priced");
    stage.cap(Caps::default()).await;
    let other = stage.of(&visitor(2)).await;
    let free = stage.say(&visitor(2), &other, "m1", "x").await;
    free.expect("no cap asks");
}

#[tokio::test]
async fn what_is_held_back_outlives_a_crash_and_ends_with_the_turn() {
    let stage = Stage::new().await;
    let caps = Caps {
        tokens_per_day: Some(4_000),
        ..Caps::default()
    };
    stage.cap(caps).await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    let stage = stage.crash().await;
    let other = stage.of(&visitor(2)).await;
    let refused = stage.say(&visitor(2), &other, "m1", "x").await;
    assert_eq!(limited(refused), Some(10));
    stage.answer(Answer::default()).await;
    stage.idle(&session, 1).await;
    let again = stage.say(&visitor(2), &other, "m2", "x").await;
    again.expect("nothing is held back any more");
}

#[tokio::test]
async fn a_turn_that_is_cut_is_paid_by_what_was_sent_and_written() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage.send(&session, "m1", "Hi").await;
    let call = stage.call().await;
    call.cue(Cue::Spent(usage(500, 0)))
        .say("Twenty-four letters here");
    let mut reader = stage.read(&session, 0).await;
    reader.until(EventType::AgentMessage).await;
    stage
        .submit(&session, order(client::INTERRUPT))
        .await
        .expect("accepted");
    let end = reader.until(EventType::StatusIdle).await;
    let last = end.last().expect("idle");
    assert_eq!(last.stop_reason, Some(StopReason::Interrupted));
    assert_eq!(stage.used("tokens/day").await, 506);
    assert_eq!(stage.used("tokens/month").await, 506);
    stage.send(&session, "m2", "Hi").await;
    stage
        .call()
        .await
        .cue(Cue::Fail(AgentFailure::Broken("as told".into())));
    reader.until(EventType::StatusIdle).await;
    assert_eq!(stage.used("tokens/day").await, 506, "nothing was done");
}

#[tokio::test]
async fn another_try_needs_tokens_but_no_turn_of_the_visitors() {
    let stage = Stage::new().await;
    let session = stage.session().await;
    stage
        .cap(Caps {
            anonymous_turns: Some(1),
            tokens_per_day: Some(100),
            ..Caps::default()
        })
        .await;
    stage.send(&session, "m1", "Hi").await;
    let fail = || Cue::Fail(AgentFailure::Broken("as told".into()));
    stage.call().await.cue(Cue::Spent(usage(50, 0))).cue(fail());
    stage.idle(&session, 1).await;
    stage
        .submit(&session, order(client::RETRY))
        .await
        .expect("one more");
    stage.call().await.cue(Cue::Spent(usage(50, 0))).cue(fail());
    stage.idle(&session, 2).await;
    let refused = stage.submit(&session, order(client::RETRY)).await;
    limited(refused.map(drop));
}
