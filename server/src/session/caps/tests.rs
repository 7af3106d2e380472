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
