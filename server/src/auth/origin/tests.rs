//! The published table of origin verdicts, and the property behind it.

use super::*;
use proptest::prelude::*;

fn entries() -> Vec<String> {
    [
        "https://acme.com",
        "https://www.acme.com",
        "https://*.wild.com",
        "http://localhost:3000",
        "http://127.0.0.1:8080",
        "https://[::1]:8443",
        "https://*.port.com:8443",
        "https://xn--bcher-kva.de",
    ]
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

const ALLOWED: &[&str] = &[
    "https://acme.com",
    "https://www.acme.com",
    "https://a.wild.com",
    "https://a.b.wild.com",
    "https://xn--bcher-kva.wild.com",
    "https://a_b.wild.com",
    "https://a.port.com:8443",
    "http://localhost:3000",
    "http://127.0.0.1:8080",
    "https://[::1]:8443",
    "https://xn--bcher-kva.de",
];

const REFUSED: &[&str] = &[
    // Nothing, everything, opaque.
    "",
    " ",
    "null",
    "NULL",
    "Null",
    "*",
    "undefined",
    "about:blank",
    "file://",
    "file:///",
    "data:",
    "data:text/html,x",
    "blob:https://acme.com/uuid",
    "blob:https://acme.com",
    "capacitor://acme.com",
    "capacitor://localhost",
    "ionic://localhost",
    "app://acme.com",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://1-2",
    "ftp://acme.com",
    "ws://acme.com",
    "wss://acme.com",
    "javascript:alert(1)",
    "filesystem:https://acme.com/temporary/",
    "view-source:https://acme.com",
    "about:srcdoc",
    // Other scheme, port, host.
    "http://acme.com",
    "https://acme.com:444",
    "https://acme.com:8443",
    "https://acme.com:80",
    "http://acme.com:443",
    "https://evil.com",
    "http://localhost",
    "http://localhost:3001",
    "https://localhost:3000",
    "http://127.0.0.1",
    "http://127.0.0.1:8081",
    "https://127.0.0.1:8080",
    "https://[::1]",
    "https://[::1]:443",
    "https://[::2]:8443",
    "http://[::1]:8443",
    // Prefix, suffix, substring.
    "https://acme.co",
    "https://acme.comm",
    "https://acme.com.evil.com",
    "https://evilacme.com",
    "https://evil-acme.com",
    "https://acme.com-evil.com",
    "https://evil.com.acme.com",
    "https://sub.acme.com",
    "https://www.www.acme.com",
    "https://ww.acme.com",
    "https://cme.com",
    "https://com",
    "https://evil.com?https://acme.com",
    // Not byte for byte.
    "HTTPS://acme.com",
    "Https://acme.com",
    "https://ACME.com",
    "https://acme.COM",
    "https://acme.com/",
    "https://acme.com//",
    "https://acme.com/x",
    "https://acme.com?x",
    "https://acme.com#x",
    "https://acme.com#@evil.com",
    "https://acme.com\\@evil.com",
    "https://acme.com\\",
    "https://acme.com:443",
    "https://acme.com:0443",
    "https://acme.com:",
    "https:acme.com",
    "https:/acme.com",
    "https:///acme.com",
    "https:\\\\acme.com",
    "//acme.com",
    "acme.com",
    "www.acme.com",
    " https://acme.com",
    "https://acme.com ",
    "https://acme.com\t",
    "\thttps://acme.com",
    "https://ac\tme.com",
    "https://acme.com\n",
    "https://acme.com\r\n",
    "ht\ttps://acme.com",
    "https://acme.com\0",
    "https://acme.com%00",
    "https://acme%2ecom",
    "https://acme.com%2eevil.com",
    "https://acme.com%2F",
    "https://%61cme.com",
    "https://acme.com.",
    "https://acme.com..",
    "https://.acme.com",
    "https://acme..com",
    "http://localhost:03000",
    "http://localhost:3000/",
    "http://LOCALHOST:3000",
    "http://localhost.:3000",
    // User info.
    "https://evil.com@acme.com",
    "https://user:pass@acme.com",
    "https://@acme.com",
    "https://:@acme.com",
    "https://acme.com@evil.com",
    "https://acme.com:443@evil.com",
    // Several in one header.
    "https://acme.com https://evil.com",
    "https://acme.com,https://evil.com",
    "https://acme.com, https://acme.com",
    "https://evil.com https://acme.com",
    "null https://acme.com",
    "https://acme.com;",
    // Unicode and its look-alikes.
    "https://a\u{ad}cme.com",
    "https://\u{ff41}cme.com",
    "https://\u{430}cme.com",
    "https://xn--cme-5cd.com",
    "https://acme\u{3002}com",
    "https://acme.com\u{200b}",
    "https://acm\u{e9}.com",
    "https://xn--acme-.com",
    "https://bücher.de",
    "https://BÜCHER.de",
    "https://xn--BCHER-KVA.de",
    "https://\u{202e}acme.com",
    "https://acme.com\u{feff}",
    "https://\u{1d41a}cme.com",
    "https://acme.c\u{f6}m",
    "https://a\u{308}cme.com",
    // Numbers that are addresses.
    "http://127.1:8080",
    "http://2130706433:8080",
    "http://0x7f000001:8080",
    "http://0177.0.0.1:8080",
    "http://127.0.0.1.:8080",
    "http://127.0.0.01:8080",
    "https://[0:0:0:0:0:0:0:1]:8443",
    "https://[::0001]:8443",
    "https://[::ffff:127.0.0.1]:8443",
    "https://::1:8443",
    // Wildcards.
    "https://wild.com",
    "https://.wild.com",
    "https://evilwild.com",
    "https://a-wild.com",
    "https://*.wild.com",
    "http://a.wild.com",
    "https://a.wild.com:8443",
    "https://a.wild.com.",
    "https://a..wild.com",
    "https://..wild.com",
    "https://a.wild.com.evil.com",
    "https://a.wild.com/",
    "https://A.wild.com",
    "https://a.wild.com:443",
    "https://evil.com/.wild.com",
    "https://evil.com#.wild.com",
    "https://evil.com?.wild.com",
    "https://evil.com\\.wild.com",
    "https://u@a.wild.com",
    "https://%2e.wild.com",
    "https://a.port.com",
    "https://a.port.com:443",
    "https://port.com:8443",
    "https://a.port.com:84430",
    "https://a:1.port.com:8443",
    "https://evil.com:1.wild.com",
    "https://a.wild.com:8443.wild.com",
    "https:// .wild.com",
    "https://a b.wild.com",
    "https://[::1].wild.com",
    "https://a,b.wild.com/",
];

#[test]
fn every_raw_value_has_its_verdict() {
    assert!(ALLOWED.len() + REFUSED.len() >= 100);
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
    let table: &[(&[&str], &[&str], Verdict)] = &[
        // Referer, Sec-Fetch-Site, verdict
        (&[], &[], Verdict::Refused),
        (&[], &["same-origin"], Verdict::Allowed),
        (&[], &["same-site"], Verdict::Refused),
        (&[], &["cross-site"], Verdict::Refused),
        (&[], &["none"], Verdict::Refused),
        (&[], &["Same-Origin"], Verdict::Refused),
        (&[], &["same-origin", "same-origin"], Verdict::Refused),
        (&["https://acme.com/"], &[], Verdict::Allowed),
        (&["https://acme.com"], &[], Verdict::Allowed),
        (
            &["https://acme.com/shop?x=1"],
            &["cross-site"],
            Verdict::Allowed,
        ),
        (&["https://a.wild.com/x"], &[], Verdict::Allowed),
        (&["http://localhost:3000/x"], &[], Verdict::Allowed),
        (&["https://wild.com/x"], &[], Verdict::Refused),
        (&["http://acme.com/"], &[], Verdict::Refused),
        (&["https://acme.com:8443/"], &[], Verdict::Refused),
        (&["https://acme.com.evil.com/"], &[], Verdict::Refused),
        (
            &["https://evil.com/https://acme.com/"],
            &[],
            Verdict::Refused,
        ),
        (
            &["https://evil.com/?https://acme.com/"],
            &[],
            Verdict::Refused,
        ),
        (
            &["https://evil.com#https://acme.com/"],
            &[],
            Verdict::Refused,
        ),
        (&["https://acme.com@evil.com/"], &[], Verdict::Refused),
        (&["https://evil.com@acme.com/"], &[], Verdict::Refused),
        (&["https://user:pass@acme.com/"], &[], Verdict::Refused),
        (&["https://acme.com\\@evil.com/"], &[], Verdict::Allowed),
        (&["https://evil.com\\@acme.com/"], &[], Verdict::Refused),
        (&["https://ac\tme.com/"], &[], Verdict::Refused),
        (&["HTTPS://ACME.com/"], &[], Verdict::Refused),
        (&["blob:https://acme.com/uuid"], &[], Verdict::Refused),
        (&["file:///acme.com"], &[], Verdict::Refused),
        (&["null"], &[], Verdict::Refused),
        (&["about:client"], &[], Verdict::Refused),
        (&[""], &[], Verdict::Refused),
        (&["/relative"], &[], Verdict::Refused),
        (
            &["https://acme.com/", "https://acme.com/"],
            &[],
            Verdict::Refused,
        ),
    ];
    for (referer, site, expected) in table {
        let referer: Vec<&[u8]> = referer.iter().map(|v| v.as_bytes()).collect();
        let site: Vec<&[u8]> = site.iter().map(|v| v.as_bytes()).collect();
        let page = PageHeaders {
            origin: &[],
            referer: &referer,
            sec_fetch_site: &site,
        };
        assert_eq!(check(page, &entries()), *expected, "{page:?}");
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
