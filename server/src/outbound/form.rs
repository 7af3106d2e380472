//! A `multipart/form-data` body. reqwest's own wants a feature and a crate more.

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;

pub struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    pub fn new() -> Form {
        Form {
            // Nobody who writes a part can guess it.
            boundary: format!("karta-{:032x}", rand::random::<u128>()),
            body: Vec::new(),
        }
    }

    pub fn text(self, name: &str, value: &str) -> Form {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    /// With a media type of its own.
    pub fn typed(self, name: &str, kind: &str, value: &str) -> Form {
        let head = format!("name=\"{name}\"\r\nContent-Type: {kind}");
        self.part(&head, value.as_bytes())
    }

    pub fn file(self, name: &str, file: &str, kind: &str, value: &[u8]) -> Form {
        let head = format!("name=\"{name}\"; filename=\"{file}\"\r\nContent-Type: {kind}");
        self.part(&head, value)
    }

    fn part(mut self, head: &str, value: &[u8]) -> Form {
        let boundary = &self.boundary;
        let head =
            format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").into_bytes();
        self.body.extend(head);
        self.body.extend(value);
        self.body.extend(b"\r\n");
        self
    }

    pub fn send_with(mut self, request: RequestBuilder) -> RequestBuilder {
        let boundary = &self.boundary;
        let kind = format!("multipart/form-data; boundary={boundary}");
        let end = format!("--{boundary}--\r\n").into_bytes();
        self.body.extend(end);
        request.header(CONTENT_TYPE, kind).body(self.body)
    }
}
