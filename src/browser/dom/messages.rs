//! The conversation: one row per item, kept by key and revision, so that one more token touches one text and not the history.
//! Agent text comes as steps (`engine::markdown`) and becomes elements here; there is no HTML sink.

use super::{append, digits, flag, icon, make, set, text};
use crate::engine::markdown::{self, Doc, Tag};
use crate::engine::text::Words;
use crate::engine::view_model::{Item, ItemState, Role};
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlElement, Node};

const PAGE: &str =
    "M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8zM14 3v5h5M9 13h6M9 17h4";

struct Row {
    key: u32,
    rev: u32,
    role: Role,
    element: HtmlElement,
    bubble: HtmlElement,
    /// What stands in the bubble, to change only what follows the first difference.
    doc: Doc,
}

/// The rows inside the scrolling list.
pub struct Messages {
    /// Rows are put before this node (the typing dots).
    end: Node,
    list: HtmlElement,
    rows: Vec<Row>,
}

/// What a render changed, for scrolling.
#[derive(Default)]
pub struct Change {
    pub grew: bool,
    pub own: bool,
}

impl Messages {
    pub fn new(list: HtmlElement, end: Node) -> Messages {
        Messages {
            end,
            list,
            rows: Vec::new(),
        }
    }

    pub fn render(&mut self, items: &[Item], words: &'static Words) -> Change {
        let mut change = Change::default();
        for (index, item) in items.iter().enumerate() {
            // Whatever stands between here and the item's row has left the conversation.
            if let Some(ahead) = self
                .rows
                .iter()
                .skip(index)
                .position(|row| row.key == item.key)
            {
                for row in self.rows.drain(index..index + ahead) {
                    row.element.remove();
                }
            } else {
                let row = Row::new(item, words);
                let before = self
                    .rows
                    .get(index)
                    .map_or(&self.end, |row| row.element.as_ref());
                let _ = self.list.insert_before(&row.element, Some(before));
                self.rows.insert(index, row);
                change.grew = true;
                change.own |= item.role == Role::User && item.state == ItemState::Sending;
            }
            let first = items
                .get(index.wrapping_sub(1))
                .is_none_or(|previous| previous.role != item.role);
            if let Some(row) = self.rows.get_mut(index) {
                if row.rev != item.rev {
                    change.grew |= row.update(item, words);
                }
                if row.element.has_attribute("data-first") != first {
                    flag(&row.element, "data-first", first);
                }
            }
        }
        for row in self.rows.drain(items.len().min(self.rows.len())..) {
            row.element.remove();
        }
        change
    }

    /// How many of the visitor's messages are on screen.
    pub fn own(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.role == Role::User)
            .count()
    }
}

impl Row {
    fn new(item: &Item, words: &'static Words) -> Row {
        let element = make("div", "message");
        set(&element, "part", "message");
        set(
            &element,
            "data-role",
            match item.role {
                Role::User => "user",
                Role::Agent => "agent",
                Role::System => "system",
            },
        );
        let author = match item.role {
            Role::User => Some(words.you),
            Role::Agent => Some(words.assistant),
            Role::System => None,
        };
        if let Some(author) = author {
            // Colour and side say who speaks; this says it to those who hear the page.
            let name = make("span", "live");
            text(&name, author);
            append(&element, &name);
        }
        let bubble = make("div", "bubble");
        set(&bubble, "dir", "auto");
        append(&element, &bubble);
        let mut row = Row {
            key: item.key,
            rev: item.rev,
            role: item.role,
            element,
            bubble,
            doc: Doc::default(),
        };
        row.update(item, words);
        row
    }

    /// True when the text grew.
    fn update(&mut self, item: &Item, words: &'static Words) -> bool {
        self.rev = item.rev;
        set(
            &self.element,
            "data-state",
            match item.state {
                ItemState::Sending => "sending",
                ItemState::Sent => "sent",
                ItemState::Failed => "failed",
                ItemState::Streaming => "streaming",
                ItemState::Done => "done",
                ItemState::Interrupted => "interrupted",
            },
        );
        let grew = match item.role {
            Role::Agent => self.formatted(&item.text, item.state == ItemState::Streaming),
            Role::User | Role::System => self.plain(&item.text),
        };
        self.extras(item, words);
        grew
    }

    fn plain(&self, words: &str) -> bool {
        let same = self.bubble.text_content().as_deref() == Some(words);
        if !same {
            text(&self.bubble, words);
        }
        !same
    }

    fn formatted(&mut self, source: &str, streaming: bool) -> bool {
        let doc = markdown::parse(source, streaming);
        let (same, steps) = self.doc.common(&doc);
        if steps == self.doc.len() && steps == doc.len() {
            return false;
        }
        while self.bubble.child_element_count() as usize > same {
            match self.bubble.last_element_child() {
                Some(last) => last.remove(),
                None => break,
            }
        }
        draw(&self.bubble, doc.steps().skip(steps));
        self.doc = doc;
        true
    }

    /// Sources and the line under the bubble. Few and rarely changed, so they are simply made anew.
    fn extras(&self, item: &Item, words: &'static Words) {
        while let Some(extra) = self.bubble.next_element_sibling() {
            extra.remove();
        }
        if !item.sources.is_empty() {
            let list = make("div", "sources");
            set(&list, "role", "group");
            set(&list, "aria-label", words.sources);
            for source in &item.sources {
                let href = source.url.as_deref().and_then(markdown::safe_href);
                let chip = make(if href.is_some() { "a" } else { "span" }, "source");
                if let Some(href) = href {
                    outward(&chip, href);
                }
                append(&chip, &icon(PAGE));
                let title = make("span", "");
                text(&title, &source.title);
                append(&chip, &title);
                append(&list, &chip);
            }
            append(&self.element, &list);
        }
        let (line, resend) = match (item.role, item.state) {
            (Role::User, ItemState::Failed) => (words.not_sent, true),
            (Role::Agent, ItemState::Failed) => (words.answer_failed, false),
            (Role::Agent, ItemState::Interrupted) => (words.stopped, false),
            _ => return,
        };
        let meta = make("div", "meta");
        let note = make("span", "");
        text(&note, line);
        append(&meta, &note);
        if resend {
            let button = make("button", "");
            set(&button, "type", "button");
            set(&button, "data-act", "resend");
            set(&button, "data-key", &digits(u64::from(item.key)));
            text(&button, words.resend);
            append(&meta, &button);
        }
        append(&self.element, &meta);
    }
}

/// A link that leaves the page: new tab, no opener, no referrer, no endorsement.
fn outward(link: &Element, href: &str) {
    set(link, "href", href);
    set(link, "target", "_blank");
    set(link, "rel", "noopener noreferrer nofollow ugc");
    // The visitor sees where it leads, whatever the words say.
    set(link, "title", href);
}

fn draw<'a>(bubble: &Element, steps: impl Iterator<Item = (Tag, &'a str)>) {
    let mut open = bubble.clone();
    for (tag, words) in steps {
        let (name, class) = match tag {
            Tag::Text => {
                let _ = open.append_with_str_1(words);
                continue;
            }
            Tag::Close => {
                open = open.parent_element().unwrap_or(open);
                continue;
            }
            Tag::Paragraph => ("p", ""),
            Tag::Heading => ("p", "h"),
            Tag::Quote => ("blockquote", ""),
            Tag::Block => ("pre", ""),
            Tag::Rule => ("hr", ""),
            Tag::List => ("ul", ""),
            Tag::Numbered => ("ol", ""),
            Tag::Item => ("li", ""),
            Tag::Break => ("br", ""),
            Tag::Code => ("code", ""),
            Tag::Bold => ("b", ""),
            Tag::Italic => ("em", ""),
            Tag::Link => ("a", ""),
        };
        let element = make(name, class);
        match tag {
            // Long lines scroll, also by keyboard.
            Tag::Block => set(&element, "tabindex", "0"),
            Tag::Numbered => set(&element, "start", words),
            Tag::Link => outward(&element, words),
            _ => {}
        }
        append(&open, &element);
        open = element.unchecked_into();
    }
}
