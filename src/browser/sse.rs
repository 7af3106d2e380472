//! Server-sent events, as they arrive: text in any pieces → the `data` of each complete event. Names, ids and comments are not used here.

#[derive(Default)]
pub struct Frames {
    /// What came since the last line break.
    line: String,
    data: String,
    /// The last piece ended with CR: an LF at the start of the next belongs to it.
    after_cr: bool,
}

/// An event longer than this is not ours.
const MAX_BYTES: usize = 1024 * 1024;

impl Frames {
    /// Takes the next piece. False: the stream is not what it should be and is better closed.
    pub fn push(&mut self, piece: &str, on_data: &mut dyn FnMut(&str)) -> bool {
        for c in piece.chars() {
            let lf_of_crlf = std::mem::take(&mut self.after_cr) && c == '\n';
            match c {
                '\n' if lf_of_crlf => {}
                '\n' | '\r' => {
                    self.after_cr = c == '\r';
                    self.end_line(on_data);
                }
                _ => self.line.push(c),
            }
        }
        self.line.len() + self.data.len() <= MAX_BYTES
    }

    fn end_line(&mut self, on_data: &mut dyn FnMut(&str)) {
        if self.line.is_empty() {
            // The blank line that ends an event.
            if let Some(data) = self.data.strip_suffix('\n') {
                on_data(data);
            }
            self.data.clear();
        } else if let Some(data) = self.line.strip_prefix("data:") {
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            self.data.push('\n');
        }
        self.line.clear();
    }
}
