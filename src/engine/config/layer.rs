//! One source's wishes, read by the table of settings and checked where they arrive: a bad value is noted once with its source and dropped, so
//! that the fold in [`super::resolve`] only ever sees good ones.

use super::check;
use super::field::{ALIASES, Field, LOOK, PROOF, REST, Spec};
use crate::engine::command::{Identity, Secret};
use crate::engine::error::{BAD_VALUE, Rejection, SECRET_KEY, clip, refuse};
use crate::engine::limits::{LINE_BYTES, PROMPTS};
use crate::engine::raw::Raw;
use crate::engine::text::cut::each;

/// Where settings come from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Server,
    Attributes,
    Init,
    Update,
    /// Names a visitor and sets nothing.
    Identify,
}

impl Source {
    /// In front of a setting's name, in a report.
    fn words(self) -> &'static str {
        match self {
            Source::Server => "server config: ",
            Source::Attributes => "",
            Source::Init => "karta(\"init\"): ",
            Source::Update => "karta(\"update\"): ",
            Source::Identify => "karta(\"identify\"): ",
        }
    }

    /// The object that a setting stands in, if this source has it at all; empty: in none. A tag has only one level.
    fn part(self, spec: &Spec) -> Option<&'static str> {
        match self {
            Source::Server => spec.server,
            Source::Attributes => spec.page.map(|_| ""),
            Source::Init | Source::Update | Source::Identify => spec.page,
        }
    }

    /// In front of every name.
    fn tag(self) -> &'static str {
        match self {
            Source::Attributes => "data-",
            _ => "",
        }
    }

    /// The setting's own name, as this source writes it.
    fn spell(self, spec: &Spec) -> String {
        let mut name = String::from(self.tag());
        let separator = match self {
            Source::Server => '_',
            Source::Attributes => '-',
            Source::Init | Source::Update | Source::Identify => return name + spec.name,
        };
        if self == Source::Attributes && spec.page == Some("theme") {
            name.push_str("theme-");
        }
        for c in spec.name.chars() {
            if c.is_ascii_uppercase() {
                name.push(separator);
            }
            name.push(c.to_ascii_lowercase());
        }
        name
    }
}

/// Anything that settings can be read from.
pub trait Settings {
    /// Hands over what stands under `name`, in the object `part` where that is not empty.
    fn get(&self, part: &str, name: &str, take: &mut dyn FnMut(&Raw));
}

impl Settings for Raw {
    fn get(&self, part: &str, name: &str, take: &mut dyn FnMut(&Raw)) {
        let place = if part.is_empty() {
            self
        } else {
            self.entry(part)
        };
        take(place.entry(name));
    }
}

/// Good values by setting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<(Field, String)>);

impl Values {
    pub fn get(&self, field: Field) -> Option<&str> {
        let found = self.0.iter().find(|(have, _)| *have == field)?;
        Some(&found.1)
    }

    pub fn set(&mut self, field: Field, value: String) {
        if field == Field::Accent {
            // A text colour belongs to the accent that it was chosen for.
            self.0.retain(|(have, _)| *have != Field::AccentForeground);
        }
        match self.0.iter_mut().find(|(have, _)| *have == field) {
            Some((_, have)) => *have = value,
            None => self.0.push((field, value)),
        }
    }

    /// Those of `other` win.
    pub fn merge(&mut self, other: &Values) {
        for (field, value) in &other.0 {
            self.set(*field, value.clone());
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    pub values: Values,
    /// From `data-user-id` and friends, or `init({userToken})`.
    pub identity: Option<Identity>,
    /// A secret key stands where the public one belongs.
    pub secret_key: bool,
    /// What was not taken, and why.
    pub rejected: Vec<Rejection>,
}

impl Layer {
    /// All settings of a source.
    pub fn read(source: Source, settings: &dyn Settings) -> Layer {
        let mut layer = Layer::default();
        layer.take(source, settings, &LOOK);
        layer.take(source, settings, &REST);
        layer.identify(source, settings);
        layer
    }

    /// Those that the button's look follows from; they replace what is there.
    pub fn look(&mut self, source: Source, settings: &dyn Settings) {
        self.take(source, settings, &LOOK);
    }

    /// Who the visitor is.
    pub fn identify(&mut self, source: Source, settings: &dyn Settings) {
        let mut proof = Layer::default();
        proof.take(source, settings, &PROOF);
        self.rejected.append(&mut proof.rejected);
        if !proof.values.0.is_empty() {
            let text = |field: Field| proof.values.get(field).map(String::from);
            self.identity = Some(Identity {
                user_id: text(Field::UserId),
                identity_token: text(Field::IdentityToken).map(Secret),
                user_token: text(Field::UserToken).map(Secret),
                attributes: Vec::new(),
            });
        }
    }

    pub fn get(&self, field: Field) -> Option<&str> {
        self.values.get(field)
    }

    /// Values of `other` replace those of this one: a second `init` before mount.
    pub fn merge(&mut self, other: &Layer) {
        self.secret_key |= other.secret_key;
        self.values.merge(&other.values);
    }

    fn take(&mut self, source: Source, settings: &dyn Settings, specs: &[Spec]) {
        for spec in specs {
            let Some(part) = source.part(spec) else {
                continue;
            };
            let mut others = ALIASES
                .iter()
                .filter(|(of, field, _)| *of == source && *field == spec.field);
            let mut name = source.spell(spec);
            while !self.take_one(source, settings, spec, part, &name) {
                let Some((_, _, alias)) = others.next() else {
                    break;
                };
                name = source.tag().to_owned() + alias;
            }
        }
    }

    /// False: there is nothing under this name.
    fn take_one(
        &mut self,
        source: Source,
        settings: &dyn Settings,
        spec: &Spec,
        part: &str,
        name: &str,
    ) -> bool {
        let mut found = false;
        settings.get(part, name, &mut |raw| {
            found = match raw {
                // What a template leaves where it had nothing to say.
                Raw::Text(text) => !text.trim_ascii().is_empty(),
                Raw::Undefined | Raw::Null => false,
                _ => true,
            };
            if !found {
                return;
            }
            let point = if part.is_empty() { "" } else { "." };
            let mut take = Take {
                layer: self,
                place: [source.words(), part, point, name],
            };
            if source == Source::Update && part.is_empty() && spec.field != Field::Locale {
                take.refuse(&[" cannot change; only theme and locale can"]);
            } else if let Some(value) = (spec.check)(&mut take, raw) {
                self.values.set(spec.field, value);
            }
        });
        found
    }
}

/// One value on its way into a layer.
pub struct Take<'a> {
    layer: &'a mut Layer,
    /// Source and name, for a report.
    place: [&'a str; 4],
}

impl Take<'_> {
    /// A value that `parse` takes and puts into its one form.
    pub fn form(
        &mut self,
        raw: &Raw,
        parse: fn(&str) -> Option<String>,
        expected: &str,
    ) -> Option<String> {
        let text = self.text(raw)?;
        let good = parse(text.trim_ascii());
        if good.is_none() {
            self.refuse(&[": \"", clip(text, 60), "\" is not ", expected]);
        }
        good
    }

    /// A text of at most `max` bytes; the rest is cut.
    pub fn words(&mut self, raw: &Raw, max: usize) -> Option<String> {
        let text = self.text(raw)?;
        let text = self.cut(text, max);
        (!text.is_empty()).then_some(text)
    }

    fn cut(&mut self, text: &str, max: usize) -> String {
        let mut text = check::plain(text);
        let end = clip(&text, max).len();
        if end < text.len() {
            self.refuse(&[": the text is too long and was cut"]);
            text.truncate(end);
        }
        text
    }

    /// An array of texts, or `one|another`. Kept one a line.
    pub fn lines(&mut self, raw: &Raw) -> Option<String> {
        let mut parts = Vec::new();
        match raw {
            Raw::List(list) => {
                for item in list {
                    match item {
                        Raw::Text(text) => parts.push(text.as_str()),
                        other => self.mistyped("an array of strings", other),
                    }
                }
            }
            Raw::Text(text) => each(text, b'\n', &mut |line| {
                each(line, b'|', &mut |part| parts.push(part));
            }),
            other => {
                self.mistyped("an array of strings", other);
                return None;
            }
        }
        parts.retain(|part| !part.trim_ascii().is_empty());
        if parts.len() > PROMPTS {
            self.refuse(&[": only the first 6 are shown"]);
            parts.truncate(PROMPTS);
        }
        let mut lines = String::new();
        for part in parts {
            let line = self.cut(part, LINE_BYTES);
            lines.extend(line.chars().map(|c| if c == '\n' { ' ' } else { c }));
            lines.push('\n');
        }
        Some(lines)
    }

    /// The value is never part of the report: it may be a secret.
    pub fn key(&mut self, raw: &Raw) -> Option<String> {
        let key = self.text(raw)?.trim_ascii();
        if key.starts_with("sk_") {
            self.layer.secret_key = true;
            let fix = " holds a secret key (sk_…). Use the public key (pk_…) and rotate the secret one: anyone can read this page";
            refuse(&mut self.layer.rejected, SECRET_KEY, &self.place, &[fix]);
            return None;
        }
        let good = check::is_key(key);
        if !good {
            self.refuse(&[" is not a public key (pk_…)"]);
        }
        good.then(|| String::from(key))
    }

    /// `true`, or nothing.
    pub fn flag(&mut self, raw: &Raw) -> Option<String> {
        matches!(raw, Raw::Bool(true)).then(String::new)
    }

    /// Taken as it is and never repeated.
    pub fn verbatim(&mut self, raw: &Raw) -> Option<String> {
        self.text(raw).map(String::from)
    }

    fn text<'a>(&mut self, raw: &'a Raw) -> Option<&'a str> {
        match raw {
            Raw::Text(text) => Some(text),
            other => {
                self.mistyped("a string", other);
                None
            }
        }
    }

    fn mistyped(&mut self, expected: &str, found: &Raw) {
        self.refuse(&[" must be ", expected, ", not ", found.kind()]);
    }

    fn refuse(&mut self, words: &[&str]) {
        refuse(&mut self.layer.rejected, BAD_VALUE, &self.place, words);
    }
}

#[cfg(test)]
mod tests;
