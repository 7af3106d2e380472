//! The conversation: one row per item, kept by key and revision, so that one more token touches one text and not the history.
//! Agent text comes as steps (`engine::markdown`) and becomes elements here; there is no HTML sink.

use super::panel::{LIST, ROWS, TYPING};
use super::{
    CURSOR, Node, TEXT, build, close, enter, flag, forget, open, put, put_before, say, template,
};
use crate::engine::markdown::{self, Doc, Tag};
use crate::engine::text::Words;
use crate::engine::view_model::{Item, ItemState, Role};

// Numbers of a row count from the row's own.
template! { ROW from 0;
    _ROW "div class=message part=message"
    AUTHOR " span class=live"
    BUBBLE " div class=bubble dir=auto"
}
/// The button that sends again; only rows that failed have it.
const RESEND: Node = 3;
/// Numbers that a row takes.
const STEP: Node = 5;

const PAGE: &str = "svg viewBox=0,0,24,24 aria-hidden=true
 path d=M14,3H7a2,2,0,0,0-2,2v14a2,2,0,0,0,2,2h10a2,2,0,0,0,2-2V8zM14,3v5h5M9,13h6M9,17h4";

/// Beside what was said aloud.
const WAVE: &str = "svg class=wave viewBox=0,0,24,24 aria-hidden=true
 path d=M4,10v4M8,7v10M12,4v16M16,8v8M20,10v4";

struct Row {
    key: u32,
    rev: u32,
    role: Role,
    spoken: bool,
    node: Node,
    /// What stands in the bubble, to change only what follows the first difference.
    doc: Doc,
}

/// The rows inside the scrolling list.
#[derive(Default)]
pub struct Messages {
    rows: Vec<Row>,
    /// How many rows there ever were: none takes another's numbers.
    made: Node,
}

/// What a render changed, for scrolling.
#[derive(Default)]
pub struct Change {
    pub grew: bool,
    pub own: bool,
}

impl Messages {
    pub fn render(&mut self, items: &[Item], words: &'static Words) -> Change {
        let mut change = Change::default();
        let mut before = None;
        for (index, item) in items.iter().enumerate() {
            let known = self.rows.get(index..).unwrap_or_default();
            if known.iter().any(|row| row.key == item.key) {
                // Whatever stands between here and the item's row has left the conversation.
                while self.rows.get(index).is_some_and(|row| row.key != item.key) {
                    self.remove(index);
                }
            } else {
                self.insert(index, item, words);
                change.grew = true;
                change.own |= item.role == Role::User && item.seq.is_none();
            }
            if let Some(row) = self.rows.get_mut(index) {
                if row.rev != item.rev {
                    change.grew |= row.update(item, words);
                }
                flag(row.node, "data-first", before != Some(item.role));
            }
            before = Some(item.role);
        }
        while self.rows.len() > items.len() {
            self.remove(items.len());
        }
        change
    }

    fn insert(&mut self, index: usize, item: &Item, words: &'static Words) {
        let mut row = Row {
            key: item.key,
            rev: item.rev,
            role: item.role,
            spoken: item.spoken,
            node: ROWS + self.made * STEP,
            doc: Doc::default(),
        };
        self.made += 1;
        build(ROW, LIST, row.node);
        put_before(
            row.node,
            self.rows.get(index).map_or(TYPING, |row| row.node),
        );
        let (role, author) = match item.role {
            Role::User => ("user", words.you),
            Role::Agent => ("agent", words.assistant),
            Role::System => ("system", ""),
        };
        put(row.node, "data-role", role);
        // Colour and side say who speaks; this says it to those who hear the page.
        put(row.node + AUTHOR, TEXT, author);
        if item.spoken {
            put(
                row.node + AUTHOR,
                TEXT,
                &[author, ", ", words.spoken].concat(),
            );
        }
        flag(row.node, "data-spoken", item.spoken);
        row.update(item, words);
        self.rows.insert(index, row);
    }

    fn remove(&mut self, index: usize) {
        forget(self.rows.remove(index).node, STEP);
    }

    /// How many of the visitor's messages are on screen that were typed.
    pub fn own(&self) -> usize {
        self.rows
            .iter()
            .filter(|row| row.role == Role::User && !row.spoken)
            .count()
    }

    /// The item that this button sends again.
    pub fn resent_by(&self, button: Node) -> Option<u32> {
        let row = self.rows.iter().find(|row| row.node + RESEND == button)?;
        Some(row.key)
    }
}

impl Row {
    /// True when the text grew.
    fn update(&mut self, item: &Item, words: &'static Words) -> bool {
        self.rev = item.rev;
        let state = match item.state {
            ItemState::Sending => "sending",
            ItemState::Sent => "sent",
            ItemState::Failed => "failed",
            ItemState::Streaming => "streaming",
            ItemState::Done => "done",
            ItemState::Interrupted => "interrupted",
        };
        put(self.node, "data-state", state);
        let grew = match item.role {
            Role::Agent => self.formatted(&item.text, item.state == ItemState::Streaming),
            Role::User | Role::System => put(self.node + BUBBLE, TEXT, &item.text),
        };
        self.extras(item, words);
        grew
    }

    fn formatted(&mut self, source: &str, streaming: bool) -> bool {
        let doc = markdown::parse(source, streaming);
        let (same, steps) = self.doc.common(&doc);
        if steps == self.doc.len() && steps == doc.len() {
            return false;
        }
        enter(self.node + BUBBLE, same);
        for (tag, words) in doc.steps().skip(steps) {
            draw(tag, words);
        }
        self.doc = doc;
        true
    }

    /// Sources and the line under the bubble. Few and rarely changed, so they are simply made anew.
    fn extras(&self, item: &Item, words: &'static Words) {
        enter(self.node, BUBBLE as usize);
        if item.spoken {
            build(WAVE, self.node, self.node + RESEND);
        }
        if !item.sources.is_empty() {
            element("div", "class", "sources");
            put(CURSOR, "role", "group");
            put(CURSOR, "aria-label", words.sources);
            for source in &item.sources {
                match source.url.as_deref().and_then(markdown::safe_href) {
                    Some(href) => link(href),
                    None => open("span"),
                }
                put(CURSOR, "class", "source");
                build(PAGE, CURSOR, self.node + RESEND);
                open("span");
                say(&source.title);
                close();
                close();
            }
            close();
        }
        let line = match (item.role, item.state) {
            (Role::User, ItemState::Failed) => words.not_sent,
            (Role::Agent, ItemState::Failed) => words.answer_failed,
            (Role::Agent, ItemState::Interrupted) => words.stopped,
            _ => return,
        };
        element("div", "class", "meta");
        open("span");
        say(line);
        close();
        if item.role == Role::User {
            build("button type=button", CURSOR, self.node + RESEND);
            put(self.node + RESEND, TEXT, words.resend);
        }
    }
}

/// Opens an element with one attribute.
fn element(tag: &str, name: &str, value: &str) {
    open(tag);
    put(CURSOR, name, value);
}

/// Opens a link that leaves the page: new tab, no opener, no referrer, no endorsement.
fn link(href: &str) {
    element("a", "href", href);
    put(CURSOR, "target", "_blank");
    put(CURSOR, "rel", "noopener noreferrer nofollow ugc");
    // The visitor sees where it leads, whatever the words say.
    put(CURSOR, "title", href);
}

fn draw(tag: Tag, words: &str) {
    let name = match tag {
        Tag::Text => return say(words),
        Tag::Close => return close(),
        Tag::Link => return link(words),
        Tag::Paragraph | Tag::Heading => "p",
        Tag::Quote => "blockquote",
        Tag::Block => "pre",
        Tag::Rule => "hr",
        Tag::List => "ul",
        Tag::Numbered => "ol",
        Tag::Item => "li",
        Tag::Break => "br",
        Tag::Code => "code",
        Tag::Bold => "b",
        Tag::Italic => "em",
    };
    open(name);
    match tag {
        Tag::Heading => put(CURSOR, "class", "h"),
        // Long lines scroll, also by keyboard.
        Tag::Block => put(CURSOR, "tabindex", "0"),
        Tag::Numbered => put(CURSOR, "start", words),
        _ => false,
    };
}
