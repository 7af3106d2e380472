//! What a value must look like. Each function gives the one form of a good value and nothing for a bad one. Space around it is gone by then.

use crate::engine::limits::{KEY_BYTES, LINE_BYTES, REFERENCE_BYTES};

/// Of the right form; only the server knows whether it is one.
pub fn is_key(key: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    !key.is_empty() && key.len() <= KEY_BYTES && key.bytes().all(good)
}

/// Without control characters (line breaks stay) and without the characters that turn the direction of text around: a name
/// made of them could rewrite the words beside it.
pub fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .filter(|c| *c == '\n' || !is_hidden(*c))
        .collect();
    String::from(text.trim_ascii())
}

/// Control, bidi and zero-width characters.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One word as far as a reader can see.
fn is_solid(text: &str) -> bool {
    let space = |c: char| {
        matches!(
            c,
            ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}'
        )
    };
    !text.chars().any(|c| space(c) || is_hidden(c))
}

/// What follows `https://` or `http://`.
fn after_scheme(text: &str) -> Option<&str> {
    ["https://", "http://"].iter().find_map(|scheme| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })
}

/// An http(s) address of a picture or page.
pub fn web_url(text: &str) -> Option<String> {
    let rest = after_scheme(text)?.as_bytes();
    let good = !matches!(rest.first(), None | Some(b'/'))
        && text.len() <= REFERENCE_BYTES
        && is_solid(text);
    good.then(|| String::from(text))
}

/// `https://host[:port][/path]` without a slash at the end. No user info, query or fragment: tokens are sent there, so what
/// looks like one host must not be another.
pub fn base_url(text: &str) -> Option<String> {
    let mut text = web_url(text)?;
    let rest = after_scheme(&text)?.as_bytes();
    let end = rest.iter().position(|byte| *byte == b'/');
    let (authority, _) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
    // The colons of an IPv6 address are inside brackets.
    let colon = authority.iter().rposition(|byte| *byte == b':');
    let (host, port) = match colon.filter(|_| !authority.ends_with(b"]")) {
        Some(at) => (authority.get(..at)?, authority.get(at + 1..)?),
        None => (authority, b"80".as_slice()),
    };
    let host_is_good = match host {
        [b'[', inner @ .., b']'] => {
            let good = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
            !inner.is_empty() && inner.iter().all(good)
        }
        host => !host.is_empty() && !host.iter().any(|byte| matches!(byte, b'[' | b']' | b':')),
    };
    let odd = |byte: u8| matches!(byte, b'@' | b'?' | b'#' | b'\\' | b'"' | b'<' | b'>');
    if !host_is_good || !is_port(port) || text.bytes().any(odd) {
        return None;
    }
    while text.ends_with('/') {
        text.pop();
    }
    Some(text)
}

fn is_port(digits: &[u8]) -> bool {
    let value = |digits: &[u8]| {
        let digits = digits.iter().map(|digit| u32::from(*digit - b'0'));
        digits.fold(0, |value, digit| value * 10 + digit)
    };
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && value(digits) < 65_536
}

pub fn reference(text: &str) -> Option<String> {
    let good = !text.is_empty() && text.len() <= LINE_BYTES && is_solid(text);
    good.then(|| String::from(text))
}

/// A language tag: parts of letters and digits with `-` (or `_`) between, the first of at least two letters.
pub fn locale(text: &str) -> Option<String> {
    let mut tag = String::new();
    let (mut part, mut first) = (0, true);
    for byte in text.bytes() {
        if matches!(byte, b'-' | b'_') {
            if part <= usize::from(first) {
                return None;
            }
            (part, first) = (0, false);
            tag.push('-');
        } else if byte.is_ascii_alphabetic() || byte.is_ascii_digit() && !first {
            part += 1;
            tag.push(char::from(byte));
        } else {
            return None;
        }
        if part > 8 || tag.len() > 35 {
            return None;
        }
    }
    (part > usize::from(first)).then_some(tag)
}

pub fn position(text: &str) -> Option<String> {
    one_of(
        &[
            &["br", "bottom-right", "right"],
            &["bl", "bottom-left", "left"],
            &["tr", "top-right"],
            &["tl", "top-left"],
        ],
        text,
    )
}

pub fn mode(text: &str) -> Option<String> {
    one_of(&[&["auto"], &["light"], &["dark"]], text)
}

/// The first of the words that mean the same as this one.
fn one_of(choices: &[&[&str]], word: &str) -> Option<String> {
    let same = choices.iter().find(|same| same.contains(&word))?;
    same.first().map(|word| String::from(*word))
}

#[cfg(test)]
mod tests;
