//! Buckets that empty, fill again and are forgotten.

use super::*;

fn limits(name: &str, rate: &str) -> Limits {
    let mut rates = Rates::off();
    rates.set(name, Rate::parse(rate).expect("a rate"));
    Limits::new(&rates)
}

fn from(address: &str) -> Counted<'static> {
    Counted {
        address: Some(address.parse().expect("an address")),
        ..Counted::default()
    }
}

#[test]
fn the_bucket_empties_and_says_how_long_to_wait() {
    let limits = limits("MINTS_PER_ADDRESS", "3/1h");
    for _ in 0..3 {
        limits
            .check(Action::Mint, from("192.0.2.1"))
            .expect("within the limit");
    }
    let refused = limits
        .check(Action::Mint, from("192.0.2.1"))
        .expect_err("over the limit");
    let Fault::Refused {
        code: ErrorCode::RateLimited,
        retry_after_seconds: Some(wait),
        ..
    } = refused
    else {
        panic!("{refused}");
    };
    assert!((1_100..=1_200).contains(&wait));
    limits
        .check(Action::Mint, from("192.0.2.2"))
        .expect("another address");
    limits
        .check(Action::Session, from("192.0.2.1"))
        .expect("another action");
}

#[test]
fn failures_are_counted_and_then_everything_is_refused_for_a_while() {
    let limits = limits("FAILED_PROOFS_PER_ADDRESS", "2/1h");
    let (guesser, other) = (from("192.0.2.1"), from("192.0.2.2"));
    for _ in 0..3 {
        let allowed = limits.refuse_blocked(Action::FailedProof, guesser);
        allowed.expect("asking takes nothing");
        limits.count(Action::FailedProof, guesser);
    }
    let refused = limits.refuse_blocked(Action::FailedProof, guesser);
    let Err(Fault::Refused {
        code: ErrorCode::RateLimited,
        retry_after_seconds: Some(wait),
        ..
    }) = refused
    else {
        panic!("{refused:?}");
    };
    assert!((1_700..=1_800).contains(&wait), "{wait}");
    let elsewhere = limits.refuse_blocked(Action::FailedProof, other);
    elsewhere.expect("another address");
}

#[test]
fn a_block_ends_by_itself() {
    let limits = limits("FAILED_PROOFS_PER_ADDRESS", "10/1s");
    let guesser = from("192.0.2.1");
    for _ in 0..12 {
        limits.count(Action::FailedProof, guesser);
    }
    let blocked = limits.refuse_blocked(Action::FailedProof, guesser);
    assert!(blocked.is_err());
    std::thread::sleep(Duration::from_millis(250));
    let over = limits.refuse_blocked(Action::FailedProof, guesser);
    over.expect("a tenth of a second later one may try again");
}

#[test]
fn addresses_of_one_network_share_a_bucket() {
    let limits = limits("MINTS_PER_ADDRESS", "2/1h");
    limits
        .check(Action::Mint, from("2001:db8::1"))
        .expect("first");
    limits
        .check(Action::Mint, from("2001:db8::ffff:2"))
        .expect("second");
    assert!(
        limits
            .check(Action::Mint, from("2001:db8::3:3:3:3"))
            .is_err()
    );
    limits
        .check(Action::Mint, from("2001:db8:0:1::1"))
        .expect("another network");
}

#[test]
fn memory_stays_bounded_under_many_addresses() {
    let limits = limits("MINTS_PER_ADDRESS", "1/1h");
    for n in 0..ENTRIES_MAX as u32 * 2 {
        let address = IpAddr::V4(n.into());
        let _ = limits.check(
            Action::Mint,
            Counted {
                address: Some(address),
                ..Counted::default()
            },
        );
    }
    let entries = limits.gates[0].2.limiter.len();
    assert!(
        entries <= ENTRIES_MAX + (TIDY_EVERY as u64 + SHARED_BUCKETS) as usize + 1,
        "{entries}"
    );
}

#[test]
fn rates_are_read_as_written() {
    assert_eq!(Rate::parse("off"), Ok(None));
    assert_eq!(Rate::parse("120/1m"), Ok(Rate::per_minute(120)));
    assert_eq!(Rate::parse(" 120 / m "), Ok(Rate::per_minute(120)));
    assert_eq!(
        Rate::parse("5/10s").unwrap().unwrap().per,
        Duration::from_secs(10)
    );
    for text in [
        "",
        "0/1m",
        "5",
        "5/",
        "/1m",
        "-1/1m",
        "5/0s",
        "5/1d",
        "5/1é",
        "x/1m",
        "5/99999999999h",
    ] {
        assert!(Rate::parse(text).is_err(), "{text}");
    }
}
