//! The stored record as text: its fields one behind the other, between separators that no field can hold (control characters never get into a
//! message). The browser layer keeps the text and does not read it; so the same few lines write and read it everywhere, and tests are native.

use crate::engine::effect::Stored;
use crate::engine::text::cut::{cut, digits};
use crate::engine::text::number;

/// Version of what follows.
const VERSION: &str = "1";
/// ASCII's own unit separator.
const MARK: char = '\u{1f}';

impl Stored {
    pub fn write(&self) -> String {
        let mut text = String::from(VERSION);
        let mut add = |field: &str| {
            text.push(MARK);
            text.push_str(field);
        };
        let mut seen = String::new();
        number::push(&mut seen, self.seen_seq);
        add(&self.owner);
        add(self.visitor_id.as_deref().unwrap_or(""));
        add(self.session_id.as_deref().unwrap_or(""));
        add(if self.open { "open" } else { "" });
        add(&seen);
        for (id, text) in &self.outbox {
            add(id);
            add(text);
        }
        text
    }

    /// Anything on the page may have written it: what cannot be read is as if it were not there.
    pub fn read(text: &str) -> Stored {
        let (version, mut rest) = cut(text, MARK as u8);
        let mut stored = Stored::default();
        if version != VERSION {
            return stored;
        }
        let mut next = || {
            let (field, after) = cut(rest, MARK as u8);
            rest = after;
            Some(String::from(field)).filter(|field| !field.is_empty())
        };
        stored.owner = next().unwrap_or_default();
        stored.visitor_id = next();
        stored.session_id = next();
        stored.open = next().is_some();
        stored.seen_seq = digits(&next().unwrap_or_default());
        while let (Some(id), Some(text)) = (next(), next()) {
            stored.outbox.push((id, text));
        }
        stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_reads_as_it_was_written() {
        let full = Stored {
            owner: "user:7".into(),
            visitor_id: Some("v_1".into()),
            session_id: Some("s_1".into()),
            open: true,
            seen_seq: 12,
            outbox: vec![
                ("m1".into(), "héllo \u{1f600}\nline".into()),
                ("m2".into(), "\t\"quoted\"".into()),
            ],
        };
        let visitor_only = Stored {
            visitor_id: Some("v_1".into()),
            ..Stored::default()
        };
        for stored in [full, visitor_only, Stored::default()] {
            assert_eq!(Stored::read(&stored.write()), stored);
        }
    }

    #[test]
    fn nonsense_is_an_empty_record() {
        for text in [
            "",
            "null",
            "{\"visitor\":\"v\"}",
            "2\u{1f}\u{1f}v_1",
            "\u{1f}",
            "1",
            "1\u{1f}",
        ] {
            assert_eq!(Stored::read(text), Stored::default(), "{text:?}");
        }
        let odd = Stored::read("1\u{1f}\u{1f}v\u{1f}\u{1f}\u{1f}x\u{1f}id without text");
        assert_eq!(odd.visitor_id.as_deref(), Some("v"));
        assert_eq!((odd.seen_seq, odd.outbox), (0, Vec::new()));
    }
}
