use super::*;

const SECOND: u64 = 1_000;
/// 2024-02-29 12:00:00 UTC.
const LEAP_NOON: u64 = 1_709_208_000 * SECOND;

#[test]
fn months_begin_and_end_when_the_calendar_says() {
    for (now_s, start_s, end_s) in [
        (0, 0, 2_678_400),                             // 1970-01-01 → February
        (1_709_208_000, 1_706_745_600, 1_709_251_200), // a leap day
        (1_709_251_199, 1_706_745_600, 1_709_251_200), // its last second
        (1_709_251_200, 1_709_251_200, 1_711_929_600), // 1 March 2024
        (1_677_628_799, 1_675_209_600, 1_677_628_800), // February 2023
        (1_735_689_599, 1_733_011_200, 1_735_689_600), // the last second of 2024
    ] {
        let expected = (start_s * SECOND, end_s * SECOND);
        assert_eq!(month(now_s * SECOND), expected, "{now_s}");
    }
    // 2100 is no leap year.
    let march = 4_107_542_400 * SECOND;
    assert_eq!(month(march).0, march);
    assert_eq!(month(march - 1).0, march - 28 * DAY_MS);
}

#[test]
fn months_follow_each_other_without_a_gap() {
    let mut start = 0;
    for _ in 0..12 * 200 {
        let (own, end) = month(start);
        assert_eq!(own, start);
        assert!((28..=31).contains(&((end - start) / DAY_MS)));
        assert_eq!(month(end - 1), (own, end));
        start = end;
    }
}

#[test]
fn what_time_heals_says_when() {
    let check = |name: &str, set_aside: bool, expected: Option<u32>| {
        let over = Over {
            name: name.into(),
            set_aside,
        };
        let Fault::Refused {
            code: ErrorCode::LimitReached,
            retry_after_seconds,
            ..
        } = refusal(&over, LEAP_NOON)
        else {
            panic!("another fault")
        };
        assert_eq!(retry_after_seconds, expected, "{name}");
    };
    check("turns/visitor/v_1", false, None);
    check("turns/address/abc", false, Some(43_200));
    check("sessions/day", false, Some(43_200));
    check("tokens/month", false, Some(43_200));
    check("minutes/day", false, Some(43_200));
    check("tokens/day", true, Some(10));
}

/// Counters of money that a call of half a minute asks for: what they add and need for a minute.
fn check_talk(capped: bool, minute: Option<u64>, expected: Option<(u64, u64)>) {
    let cap: Option<Money> = capped.then(|| "1".parse().expect("an amount"));
    let key = WidgetKey {
        caps: Caps {
            spend_per_month: cap,
            ..Caps::default()
        },
        ..WidgetKey::default()
    };
    let price = minute.map(|micros| {
        let text = format!("0.{micros:06}");
        text.parse().expect("an amount")
    });
    let now_ms = LEAP_NOON;
    let charge = talk(&key, price, now_ms - 30 * SECOND, now_ms);
    let case = format!("cap {capped}, price {minute:?}");
    let found = charge.talk.as_ref().map(|talk| {
        assert_eq!(talk.from_ms, now_ms - 30 * SECOND);
        let names: Vec<_> = talk.counts.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["spend/day", "spend/month"], "{case}");
        let caps: Vec<_> = talk.counts.iter().map(|c| c.cap).collect();
        assert_eq!(caps, [None, cap.map(Money::micros)], "{case}");
        // What turns hold back is not there for it.
        assert!(
            talk.counts
                .iter()
                .all(|c| c.aside == Some(Measure::Micros) && c.add == talk.counts[0].add)
        );
        (talk.counts[0].add, talk.counts[0].need)
    });
    assert_eq!(found, expected, "{case}");
    // Time is time, whatever it costs.
    let minutes = charge.minutes.expect("minutes");
    assert!(minutes.counts.iter().all(|c| (c.add, c.need) == (1, 1)));
    let who = Principal {
        account: String::new(),
        key_id: String::new(),
        agent_id: String::new(),
        subject: "v_1".into(),
    };
    let handed = call(&key, &who, None, price, now_ms);
    assert_eq!(
        handed
            .talk
            .map(|talk| (talk.counts[0].add, talk.counts[0].need)),
        expected,
        "{case}, handed"
    );
}

#[test]
fn talk_takes_its_price_and_what_has_none_asks_for_all_there_is() {
    for capped in [false, true] {
        check_talk(capped, Some(60_000), Some((60_000, 60_000)));
        check_talk(capped, Some(0), None);
    }
    check_talk(false, None, None);
    check_talk(true, None, Some((0, u64::MAX)));
}
