//! Server-sent events, read as the HTML standard says and a little more leniently: any line ending, comments, `data:` with or without
//! a space, UTF-8 cut anywhere, a last event without its blank line. Pure.

/// A line longer than this is no chat completion.
const LINE_MAX: usize = 1024 * 1024;

#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    after_cr: bool,
    begun: bool,
}

/// A line without end.
#[derive(Debug, PartialEq, Eq)]
pub struct TooLong;

impl Parser {
    /// The data of every event that these bytes complete.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = *byte == b'\r';
                    self.end_line(&mut events);
                }
                _ if self.line.len() == LINE_MAX => return Err(TooLong),
                _ => self.line.push(*byte),
            }
        }
        Ok(events)
    }

    /// The event that was left open when the stream ended.
    pub fn finish(&mut self) -> Option<String> {
        let mut events = Vec::new();
        self.end_line(&mut events);
        events.pop().or_else(|| self.data.take())
    }

    fn end_line(&mut self, events: &mut Vec<String>) {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            events.extend(self.data.take());
            return;
        }
        let (field, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        if field == b"data" {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            let value = String::from_utf8_lossy(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                None => self.data = Some(value.into_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events: Vec<String> = pieces
            .iter()
            .flat_map(|p| parser.read(p).expect("short lines"))
            .collect();
        events.extend(parser.finish());
        events
    }

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(all(&[text.as_bytes()]), expected, "{text:?}");
    }

    #[test]
    fn events_are_read_as_servers_write_them() {
        check("data: a\n\ndata: b\n\n", &["a", "b"]);
        check("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]);
        check("data: a\r\rdata: b\r\r", &["a", "b"]);
        check("data:a\n\ndata:  b\n\n", &["a", " b"]);
        check(": ping\n\nevent: x\nid: 1\nretry: 5\ndata: a\n\n", &["a"]);
        check("data: a\ndata: b\n\n", &["a\nb"]);
        check("\u{feff}data: a\n\n", &["a"]);
        check("data: a", &["a"]);
        check("data: a\n", &["a"]);
        check("database: a\n\n", &[]);
        check("data\n\n", &[""]);
        check("", &[]);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::default();
        let long = vec![b'x'; LINE_MAX];
        assert_eq!(parser.read(&long), Ok(Vec::new()));
        assert_eq!(parser.read(b"x"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn cutting_the_stream_anywhere_changes_nothing(text in "(data:? ?[a-zäß€🙂]{0,6}|:c|id:1|)(\r\n|\n|\r)*", more in "([dat:xé ]|\r\n|\n){0,60}", cuts in prop::collection::vec(0usize..200, 0..8)) {
            let text = format!("{text}{more}");
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            pieces.push(&bytes[from..]);
            prop_assert_eq!(all(&pieces), all(&[bytes]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            all(&[&bytes]);
        }
    }
}
