//! Who may import whom (house style 3), read from the `use` lines. The compiler keeps the browser out; this keeps the rooms apart.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules that know nothing but the protocol and each other.
const LEAVES: [&str; 13] = [
    "command",
    "effect",
    "error",
    "event",
    "json",
    "limits",
    "random",
    "raw",
    "state",
    "text",
    "view_model",
    "markdown",
    "config",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("the sources are there")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// First module under `engine` that a `use` line names, for absolute paths and for those through `super`.
fn imported(line: &str, room: &str) -> Option<String> {
    let path = line
        .trim()
        .trim_start_matches("pub ")
        .strip_prefix("use ")?;
    let rest = path.strip_prefix("crate::engine::").or_else(|| {
        // Only the top level's own files reach `engine` by one `super`.
        path.strip_prefix("super::").filter(|_| room.is_empty())
    })?;
    let end = rest.find([':', ';', '{', ' ']).unwrap_or(rest.len());
    rest.get(..end)
        .map(String::from)
        .filter(|name| !name.is_empty())
}

#[test]
fn rooms_keep_to_their_imports() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the walk found the engine");
    let mut checked = 0;
    for file in files {
        let inside = file.strip_prefix(&root).expect("found under the root");
        let first = inside
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or("");
        let module = first.trim_end_matches(".rs");
        let room = if inside.iter().count() > 1 {
            module
        } else {
            ""
        };
        let text = fs::read_to_string(&file).expect("the source is text");
        let body = text.split("#[cfg(test)]").next().unwrap_or("");
        assert!(
            !body.contains("browser::") && !body.contains("web_sys") && !body.contains("js_sys"),
            "{file:?}"
        );
        for line in body.lines() {
            let Some(name) = imported(line, room) else {
                continue;
            };
            let allowed = match module {
                // The vocabulary refers to itself and to nothing that decides.
                "command" | "event" | "effect" | "json" | "error" | "limits" | "random" | "raw"
                | "state" | "text" | "view_model" | "markdown" => LEAVES.contains(&name.as_str()),
                "config" | "dialect" | "session" | "realtime" => {
                    LEAVES.contains(&name.as_str()) || name == module
                }
                "machine" => {
                    LEAVES.contains(&name.as_str())
                        || ["session", "dialect", "realtime", "machine"].contains(&name.as_str())
                }
                "shell" => LEAVES.contains(&name.as_str()) || name == "machine",
                other => panic!("{other} is new: give it a place in house style 3 and here"),
            };
            assert!(
                allowed,
                "{} may not import {name}: {line}",
                inside.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "the reader of `use` lines still reads them");
}

#[test]
fn protocol_does_not_know_the_engine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).expect("the source is text");
        assert!(!text.contains("karta::"), "{file:?}");
    }
}
