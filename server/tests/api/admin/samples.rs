//! The curl lines of docs/OPERATING.md, word by word.

use super::{ADMIN, Owner, form};
use crate::server::{Call, PAGE};
use serde_json::json;

const OPERATING: &str = include_str!("../../../../docs/OPERATING.md");

/// What the shell would give to curl.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn call(line: &str) -> Call {
    let words = words(line);
    let (mut method, mut path, mut headers, mut body, mut parts) = (
        "GET".to_owned(),
        String::new(),
        Vec::new(),
        None,
        Vec::new(),
    );
    let mut rest = words.into_iter().skip(1);
    while let Some(word) = rest.next() {
        let mut value = || rest.next().expect("a value");
        match word.as_str() {
            "-X" => method = value(),
            "-H" => headers.push(value()),
            "-d" => body = Some(value()),
            "-F" => parts.push(value()),
            _ => {
                path = word
                    .strip_prefix("http://host")
                    .expect("the host")
                    .to_owned()
            }
        }
    }
    let mut call = Call::new(&method, &path);
    let mut content_type = "application/x-www-form-urlencoded".to_owned();
    for header in headers {
        let (name, value) = header.split_once(": ").expect("a header");
        match name {
            "Authorization" => call = call.header("authorization", value),
            "Content-Type" => content_type = value.to_owned(),
            other => panic!("{other}"),
        }
    }
    if let Some(body) = body {
        return call.body(&content_type, body);
    }
    if parts.is_empty() {
        return call;
    }
    let parts: Vec<_> = parts
        .iter()
        .map(|part| part.split_once('=').expect("a part"))
        .map(|(name, value)| match value.strip_prefix('@') {
            Some(file) => (name, Some(file), "Parcels take two days.".as_bytes()),
            None => (name, None, value.as_bytes()),
        })
        .collect();
    form(call, &parts)
}

#[tokio::test]
async fn every_sample_works_as_it_is_printed() {
    let owner = Owner::start().await;
    let key = owner
        .made(
            "/widget-keys",
            json!({"name": "x", "domain_allowlist": [PAGE]}),
        )
        .await;
    let agent = owner.made("/agents", json!({"name": "x"})).await;
    let document = owner.add_document("a.md", "# Parcels\n\nText.\n").await;
    let conversation = json!({"id": owner.server.session().await.1});
    let samples: Vec<&str> = OPERATING
        .split("```sh\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .filter(|block| block.starts_with("curl"))
        .collect();
    assert!(samples.len() >= 12, "{}", samples.len());
    // Deletes last: the others need what is deleted.
    let (deletes, others): (Vec<&str>, Vec<&str>) = samples
        .into_iter()
        .partition(|sample| sample.contains("DELETE"));
    for sample in others.into_iter().chain(deletes) {
        let mut line = sample
            .replace("\\\n", " ")
            .replace("$HOST", "http://host")
            .replace("$ADMIN", &owner.token);
        for (name, made) in [
            ("$KEY", &key),
            ("$AGENT", &agent),
            ("$DOCUMENT", &document),
            ("$CONVERSATION", &conversation),
        ] {
            line = line.replace(name, made["id"].as_str().expect("an id"));
        }
        assert!(!line.contains('$'), "{line}");
        let reply = owner.call(call(&line)).await;
        assert!(reply.status.is_success(), "{sample}\n{reply:?}");
    }
}

#[tokio::test]
async fn the_guide_names_every_call() {
    let owner = Owner::start().await;
    let paths = owner.document["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        let Some(path) = path
            .strip_prefix(ADMIN)
            .filter(|path| !path.starts_with("/widget/"))
        else {
            continue;
        };
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_uppercase();
            let named = OPERATING.split('`').any(|code| {
                let (methods, target) = code.split_once(" /").unwrap_or((code, ""));
                format!("/{target}").split(' ').next() == Some(path)
                    && methods.split(' ').any(|word| word == method)
            });
            assert!(named, "{method} {path}");
        }
    }
}
