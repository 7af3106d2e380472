//! The published table of origin verdicts, and the property behind it.

use super::*;
use proptest::prelude::*;
use table::{ALLOWED, ENTRIES, REFUSED, WITHOUT_ORIGIN};

#[path = "table.rs"]
mod table;

fn entries() -> Vec<String> {
    ENTRIES
        .iter()
        .map(|entry| canonical_entry(entry).expect("a good entry"))
        .collect()
}

fn check_origin(raw: &[u8], expected: Verdict) {
    let entries = entries();
    let page = PageHeaders {
        origin: &[raw],
        ..PageHeaders::default()
    };
    assert_eq!(check(page, &entries), expected, "{}", raw.escape_ascii());
    // A Referer or Sec-Fetch-Site that says otherwise changes nothing while Origin is there.
    let page = PageHeaders {
        origin: &[raw],
        referer: &[b"https://acme.com/"],
        sec_fetch_site: &[b"same-origin"],
    };
    assert_eq!(check(page, &entries), expected, "{}", raw.escape_ascii());
}

#[test]
fn every_raw_value_has_its_verdict() {
    assert!(ALLOWED.len() + REFUSED.len() + WITHOUT_ORIGIN.len() >= 250);
    for raw in ALLOWED {
        check_origin(raw.as_bytes(), Verdict::Allowed);
    }
    for raw in REFUSED {
        check_origin(raw.as_bytes(), Verdict::Refused);
    }
    check_origin(b"https://acme.com\xff", Verdict::Refused);
    check_origin(b"\xff\xfe", Verdict::Refused);
    check_origin(
        &b"https://"
            .iter()
            .chain(&[b'a'; 100_000])
            .copied()
            .collect::<Vec<_>>(),
        Verdict::Refused,
    );
}

#[test]
fn several_origin_headers_are_malformed_even_when_equal() {
    for values in [
        &[b"https://acme.com".as_slice(), b"https://acme.com"][..],
        &[b"https://acme.com", b"https://evil.com"],
        &[b"https://acme.com", b"null", b""],
    ] {
        let page = PageHeaders {
            origin: values,
            ..PageHeaders::default()
        };
        assert_eq!(check(page, &entries()), Verdict::Malformed);
    }
}

#[test]
fn without_origin_the_page_must_be_ours_or_named_by_referer() {
    for (referer, site, allowed) in WITHOUT_ORIGIN {
        let expected = if *allowed {
            Verdict::Allowed
        } else {
            Verdict::Refused
        };
        let referer: Vec<&[u8]> = referer.iter().map(|v| v.as_bytes()).collect();
        let site: Vec<&[u8]> = site.iter().map(|v| v.as_bytes()).collect();
        let page = PageHeaders {
            origin: &[],
            referer: &referer,
            sec_fetch_site: &site,
        };
        assert_eq!(check(page, &entries()), expected, "{page:?}");
    }
}

#[test]
fn an_empty_list_refuses_everyone() {
    let page = PageHeaders {
        origin: &[b"https://acme.com"],
        ..PageHeaders::default()
    };
    assert_eq!(check(page, &[]), Verdict::Refused);
    let page = PageHeaders {
        sec_fetch_site: &[b"same-origin"],
        ..PageHeaders::default()
    };
    assert_eq!(check(page, &[]), Verdict::Refused);
}

#[test]
fn entries_are_set_right_when_saved() {
    for (typed, saved) in [
        ("https://acme.com", "https://acme.com"),
        ("  https://acme.com\n", "https://acme.com"),
        ("https://acme.com/", "https://acme.com"),
        ("HTTPS://ACME.com:443/", "https://acme.com"),
        ("http://acme.com:80", "http://acme.com"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://localhost", "http://localhost"),
        ("https://bücher.de", "https://xn--bcher-kva.de"),
        ("https://*.Acme.com", "https://*.acme.com"),
        ("https://*.acme.com/", "https://*.acme.com"),
        ("https://*.acme.com:443", "https://*.acme.com"),
        ("https://*.acme.com:8443", "https://*.acme.com:8443"),
        ("http://*.localhost:3000", "http://*.localhost:3000"),
        ("https://*.bücher.de", "https://*.xn--bcher-kva.de"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ] {
        assert_eq!(canonical_entry(typed).as_deref(), Ok(saved), "{typed}");
        assert_eq!(
            canonical_entry(saved).as_deref(),
            Ok(saved),
            "{saved} is stable"
        );
    }
}

#[test]
fn entries_that_could_match_too_much_or_never_are_refused_when_saved() {
    for typed in [
        "",
        " ",
        "*",
        "null",
        "acme.com",
        "www.acme.com",
        "//acme.com",
        "https://",
        "https:///",
        "https://*",
        "https://*.",
        "https://*/",
        "*.acme.com",
        "http*://acme.com",
        "https://*.com",
        "https://*.*.acme.com",
        "https://a.*.com",
        "https://a*.acme.com",
        "https://*acme.com",
        "https://acme.*",
        "https://*.127.0.0.1",
        "https://*.[::1]",
        "https://acme.com/path",
        "https://acme.com//",
        "https://acme.com/?",
        "https://acme.com?x",
        "https://acme.com#x",
        "https://acme.com\\x",
        "https://u@acme.com",
        "https://u:p@acme.com",
        "https://@acme.com",
        "file://",
        "file:///x",
        "capacitor://localhost",
        "data:text/html,x",
        "blob:https://acme.com/x",
        "ftp://acme.com",
        "javascript:alert(1)",
        "chrome-extension://abc",
        "https://ac me.com",
        "https://ac\tme.com",
        "https://acme.com:99999",
        "https://acme.com:x",
        "https://a..com",
        "https://%61cme.com",
        "https:acme.com",
        "https://acme.com,https://b.com",
        "https://acme.com https://b.com",
        "https://xn--acme-.com",
        "https://*..com",
    ] {
        let refused = canonical_entry(typed);
        assert!(refused.is_err(), "{typed} → {refused:?}");
    }
    let long = format!("https://{}.com", "a".repeat(1000));
    assert!(canonical_entry(&long).is_err_and(|message| message.len() < 250));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Whatever is accepted equals an entry byte for byte, or is a whole-label child of a wildcard.
    #[test]
    fn accepted_headers_are_entries_or_whole_label_children(
        raw in "(https?:/{0,3}|HTTPS://)?[a-c.*:@/\\\\%\\-]{0,6}(acme\\.com|wild\\.com|localhost|www\\.)?[ a-c.:@/#?0-9\\\\\t]{0,6}(wild\\.com|port\\.com|acme\\.com)?(:443|:8443|:3000|\\.|/)?"
    ) {
        let entries = entries();
        let page = PageHeaders { origin: &[raw.as_bytes()], ..PageHeaders::default() };
        if check(page, &entries) == Verdict::Allowed {
            let exact = entries.contains(&raw);
            let child = |front: &str, back: &str| {
                raw.strip_prefix(front).and_then(|r| r.strip_suffix(back)).is_some_and(|labels| {
                    labels.split('.').all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'))
                })
            };
            prop_assert!(exact || child("https://", ".wild.com") || child("https://", ".port.com:8443"), "{raw:?}");
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass(raw in proptest::collection::vec(any::<u8>(), 0..60)) {
        let entries = entries();
        let page = PageHeaders { origin: &[&raw], referer: &[&raw], sec_fetch_site: &[&raw] };
        let verdict = check(page, &entries);
        prop_assert!(verdict == Verdict::Refused || entries.iter().any(|e| e.as_bytes() == raw));
        let page = PageHeaders { referer: &[&raw], ..PageHeaders::default() };
        check(page, &entries);
    }

    #[test]
    fn a_saved_entry_is_stable_and_allows_itself(typed in "https?://[a-z*.]{1,12}(\\.[a-z]{2,3})?(:[0-9]{1,5})?/?") {
        if let Ok(saved) = canonical_entry(&typed) {
            prop_assert_eq!(canonical_entry(&saved), Ok(saved.clone()));
            let sample = saved.replace("*.", "x.");
            let page = PageHeaders { origin: &[sample.as_bytes()], ..PageHeaders::default() };
            prop_assert_eq!(check(page, &[saved]), Verdict::Allowed);
        }
    }
}
