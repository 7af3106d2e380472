//! The origin rule: which pages may use a key. Pure: header bytes and the key's entries in, a verdict out.
//!
//! One comparison carries it: the header is parsed, serialised again, and must equal itself byte for byte. That alone refuses user info,
//! paths, tabs, upper case, default ports, soft hyphens and every other way in which two parsers may disagree; what is left is compared
//! as a whole with the entries. Nothing is ever matched as a substring. The rule binds browsers only: a script writes any `Origin` it likes.

use url::{Host, Origin, Url};

/// Longest header value that is looked at; a host name has at most 253 characters.
const ORIGIN_MAX_BYTES: usize = 300;

/// The headers that the rule reads, each with all its values in the order received.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageHeaders<'a> {
    pub origin: &'a [&'a [u8]],
    pub referer: &'a [&'a [u8]],
    pub sec_fetch_site: &'a [&'a [u8]],
}

/// What the rule says about one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Refused,
    /// More than one `Origin`: no browser sends that.
    Malformed,
}

/// Judges one request by the entries of its key, which [`canonical_entry`] made.
pub fn check(page: PageHeaders<'_>, entries: &[String]) -> Verdict {
    if entries.is_empty() {
        return Verdict::Refused;
    }
    let allowed = match page.origin {
        [] => same_origin(page.sec_fetch_site) || referer_matches(page.referer, entries),
        // A present Origin decides alone: a Referer that looks better must not rescue it.
        [raw] => canonical_origin(raw).is_some_and(|origin| matches_any(origin, entries)),
        _ => return Verdict::Malformed,
    };
    if allowed {
        Verdict::Allowed
    } else {
        Verdict::Refused
    }
}

/// Checks an entry as an owner typed it and gives the form that is saved. The error says what to write instead.
///
/// Upper case, a default port and one bare trailing slash (what an address bar copies) are set right; everything else that is not
/// exactly an origin is refused, because an entry that silently never matches, or matches too much, is found out too late.
pub fn canonical_entry(entry: &str) -> Result<String, String> {
    let entry = entry.trim();
    let wrong = |fix: &str| Err(format!("origin `{}`: {fix}", shown(entry)));
    if entry.len() > ORIGIN_MAX_BYTES {
        return wrong("is too long; write scheme and host only, like https://www.example.com");
    }
    if entry == "*" || entry == "null" || entry.is_empty() {
        return wrong(
            "name the sites one by one, like https://www.example.com or https://*.example.com",
        );
    }
    let Some((scheme, rest)) = entry.split_once("://") else {
        return wrong("begin with https:// (or http:// while developing)");
    };
    let scheme = scheme.to_ascii_lowercase();
    if scheme != "https" && scheme != "http" {
        return wrong("only https:// and http:// pages can be allowed");
    }
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '\\', '?', '#']) {
        return wrong("leave out everything after the host; an origin has no path");
    }
    if authority.contains('@') {
        return wrong("leave out user name and password");
    }
    if authority.contains(|c: char| c.is_whitespace() || c.is_control() || c == '%') {
        return wrong("write the host without spaces, control characters or %");
    }
    match authority.strip_prefix("*.") {
        Some(base) => canonical_wildcard(entry, &scheme, base),
        None if authority.contains('*') => {
            wrong("a * stands for whole labels at the front only, like https://*.example.com")
        }
        None => match parse(&format!("{scheme}://{authority}")) {
            Some((origin, _)) => Ok(origin),
            None => wrong("this is not a host name"),
        },
    }
}

fn canonical_wildcard(entry: &str, scheme: &str, base: &str) -> Result<String, String> {
    let wrong = |fix: &str| Err(format!("origin `{}`: {fix}", shown(entry)));
    if base.contains('*') {
        return wrong("one * at the front stands for any number of labels; leave the others out");
    }
    let Some((origin, host)) = parse(&format!("{scheme}://{base}")) else {
        return wrong("this is not a host name");
    };
    let Host::Domain(host) = host else {
        return wrong("a * cannot stand before an address; write the address itself");
    };
    if !host.trim_end_matches('.').contains('.') && host != "localhost" {
        return wrong(
            "this would allow a whole top-level domain; write your own domain after the *",
        );
    }
    // `origin` begins with `<scheme>://`, as it was parsed from that.
    Ok(format!("{scheme}://*.{}", &origin[scheme.len() + 3..]))
}

/// The header as a canonical origin; None for everything that is not one byte for byte.
fn canonical_origin(raw: &[u8]) -> Option<&str> {
    if raw.len() > ORIGIN_MAX_BYTES {
        return None;
    }
    let text = std::str::from_utf8(raw).ok()?;
    let (origin, _) = parse(text)?;
    (origin == text).then_some(text)
}

/// Parses and serialises an origin. Opaque ones, which would all serialise to `null`, and other schemes give None.
fn parse(text: &str) -> Option<(String, Host<String>)> {
    let url = Url::parse(text).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let origin = url.origin();
    let Origin::Tuple(_, host, _) = &origin else {
        return None;
    };
    if let Host::Domain(name) = host
        && !whole_labels(name.strip_suffix('.').unwrap_or(name))
    {
        return None;
    }
    let host = host.clone();
    Some((origin.ascii_serialization(), host))
}

/// Host names as DNS has them: no empty label, no `*` or `,`, though the URL standard lets those pass.
fn whole_labels(name: &str) -> bool {
    name.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// `origin` is canonical, so text comparison is exact.
fn matches_any(origin: &str, entries: &[String]) -> bool {
    entries.iter().any(|entry| match entry.split_once("://*.") {
        None => entry == origin,
        Some((scheme, base)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|authority| authority.strip_suffix(base))
            .and_then(|labels| labels.strip_suffix('.'))
            .is_some_and(whole_labels),
    })
}

/// A page of this very server (self-hosted demo): browsers send no `Origin` on its GETs.
fn same_origin(values: &[&[u8]]) -> bool {
    values == [b"same-origin".as_slice()]
}

/// Browsers send a Referer in canonical form with at least `/` after the origin; the same strictness as for `Origin` applies.
fn referer_matches(values: &[&[u8]], entries: &[String]) -> bool {
    let [raw] = values else {
        return false;
    };
    let Ok(text) = std::str::from_utf8(raw) else {
        return false;
    };
    let Some(authority_at) = text.find("://").map(|at| at + 3) else {
        return false;
    };
    let end = text[authority_at..]
        .find(['/', '\\', '?', '#'])
        .map_or(text.len(), |at| authority_at + at);
    // What parses with the path must be what parses without it: no user info, no tabs.
    Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text[..end])
        && canonical_origin(&text.as_bytes()[..end]).is_some_and(|o| matches_any(o, entries))
}

/// An entry as it may stand in an error message: short and printable.
fn shown(entry: &str) -> String {
    entry
        .chars()
        .take(80)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
#[path = "origin/tests.rs"]
mod tests;
