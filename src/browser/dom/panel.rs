//! The panel: header, conversation, what to say next, composer. Drawn once from its template, then it follows the view model.
//! What the visitor does leaves as [`Ui`]; what it means is the engine's business.

use super::composer::Composer;
use super::launcher::FRAME;
use super::messages::Messages;
use super::{
    Kind, NOWHERE, Node, TEXT, VIEWPORT, append, build, call, enter, forget, listen, number, pass,
    put, put_bool, put_px, show, style, template,
};
use crate::engine::machine::Ui;
use crate::engine::text::Words;
use crate::engine::text::cut::each;
use crate::engine::view_model::{PanelView, Tone};
use std::ptr;

/// The number after the launcher's last.
const START: Node = super::launcher::BADGE + 1;

template! { TEMPLATE from START;
    PANEL "div class=panel part=panel role=dialog hidden"
    _HEADER " div class=header part=header"
    _AVATAR "  div class=avatar aria-hidden=true"
    LETTER "   span"
    PICTURE "   img alt referrerpolicy=no-referrer hidden"
    _WHO "  div class=who"
    TITLE "   h2 class=title"
    STATUS "   p class=status"
    CLOSE "  button type=button class=icon part=close"
    _CROSS "   svg viewBox=0,0,24,24 aria-hidden=true"
    _CROSS_LINE "    path d=m6,6,12,12M18,6,6,18"
    // Streaming would be read word by word; complete answers are announced through LIVE.
    LIST " div class=messages part=messages role=log aria-live=off tabindex=0"
    TYPING "  div class=typing role=img"
    _DOT_1 "   i"
    _DOT_2 "   i"
    _DOT_3 "   i"
    _FOOT " div class=foot"
    PILL "  button type=button class=pill hidden"
    _PILL_ICON "   svg viewBox=0,0,24,24 aria-hidden=true"
    _PILL_LINE "    path d=M12,5v14m6-6-6,6-6-6"
    PILL_WORDS "   span"
    PROMPTS "  div class=prompts role=group"
    PERSON "  button type=button class=person"
    _PERSON_ICON "   svg viewBox=0,0,24,24 aria-hidden=true"
    _PERSON_LINE "    path d=M12,12a4,4,0,1,0,0-8,4,4,0,0,0,0,8ZM4.5,20.5c1-3.6,4-5.5,7.5-5.5s6.5,1.9,7.5,5.5"
    PERSON_WORDS "   span"
    BANNER "  div class=banner role=status"
    BANNER_WORDS "   span"
    RETRY "   button type=button"
    CALL "  div class=call role=group hidden"
    METER "   div class=meter aria-hidden=true"
    _BAR_1 "    i"
    _BAR_2 "    i"
    _BAR_3 "    i"
    _BAR_4 "    i"
    _BAR_5 "    i"
    _TALK "   div class=talk"
    STATE "    b"
    TIME "    span role=timer"
    PICK "   label class=icon hidden"
    _PICK_ICON "    svg viewBox=0,0,24,24 aria-hidden=true"
    _PICK_LINE "     path d=m7,10,5,5,5-5"
    DEVICE "    select"
    MUTE "   button type=button class=icon"
    _MUTE_ICON "    svg viewBox=0,0,24,24 aria-hidden=true"
    _MUTE_LINE "     path d=M12,15a3,3,0,0,0,3-3V6a3,3,0,0,0-6,0v6a3,3,0,0,0,3,3Zm7-3.5a7,7,0,0,1-14,0m7,7V22"
    _MUTE_SLASH "     path d=M4,3l16,18"
    END "   button type=button class=hang"
    _END_ICON "    svg viewBox=0,0,24,24 aria-hidden=true"
    _END_LINE "     path d=M3,13.5c5-4.5,13-4.5,18,0l-2,3-4.5-1.5v-3c-1.6-.5-3.4-.5-5,0v3L5,16.5z"
    _COMPOSER "  div class=composer part=composer"
    FIELD "   textarea rows=1 dir=auto enterkeyhint=send"
    VOICE "   button type=button class=icon part=voice hidden"
    _VOICE_ICON "    svg viewBox=0,0,24,24 aria-hidden=true"
    _VOICE_LINE "     path d=M12,15a3,3,0,0,0,3-3V6a3,3,0,0,0-6,0v6a3,3,0,0,0,3,3Zm7-3.5a7,7,0,0,1-14,0m7,7V22"
    SEND "   button type=button class=send part=send"
    ARROW "    svg viewBox=0,0,24,24 aria-hidden=true"
    _ARROW_LINE "     path d=M12,19V5m-6,6,6-6,6,6"
    SQUARE "    svg class=square viewBox=0,0,24,24 aria-hidden=true hidden"
    _SQUARE_LINE "     path d=M7,7h10v10H7z"
    NOTE "  p class=note"
    LIVE " div class=live aria-live=polite"
}
/// The suggested prompts' buttons, and as many as may be there.
const CHIPS: Node = LIVE + 1;
const MOST_CHIPS: usize = 64;
/// First number of the rows.
pub const ROWS: Node = CHIPS + MOST_CHIPS as Node;

/// Nearer to the end than this, in CSS pixels, the list follows what is added.
const NEAR_END: f64 = 64.0;

/// What is listened to on the panel (rows come and go without listeners of their own), and on the visual viewport.
const EVENTS: &str = "click keydown keypress keyup input scroll";
const VIEWPORT_EVENTS: &str = "resize scroll";

/// The panel on screen, and what its elements cannot tell by themselves. Dropping it removes elements and listeners.
pub struct Panel {
    /// None until it is on the page.
    words: Option<&'static Words>,
    messages: Messages,
    composer: Composer,
    /// The visitor reads the end of the list.
    at_end: bool,
    shown_prompts: String,
    can_talk: bool,
}

impl Panel {
    /// Draws it without words, and not on the page yet: the visitor may never ask for it.
    pub fn draw() -> Panel {
        style(super::style::PANEL);
        build(TEMPLATE, NOWHERE, START);
        listen(PANEL, EVENTS, true);
        listen(VIEWPORT, VIEWPORT_EVENTS, true);
        Panel {
            words: None,
            messages: Messages::default(),
            composer: Composer::default(),
            at_end: true,
            shown_prompts: String::new(),
            can_talk: false,
        }
    }

    pub fn is_on_page(&self) -> bool {
        self.words.is_some()
    }

    fn speak(&mut self, words: &'static Words) {
        match self.words.replace(words) {
            Some(old) if ptr::eq(old, words) => return,
            Some(_) => {}
            None => append(PANEL, FRAME),
        }
        for (node, name, words) in [
            (CLOSE, "aria-label", words.close),
            (LIST, "aria-label", words.conversation),
            (TYPING, "aria-label", words.typing),
            (PILL_WORDS, TEXT, words.new_messages),
            (PERSON_WORDS, TEXT, words.person),
            (VOICE, "aria-label", words.call),
            (VOICE, "title", words.call),
            (MUTE, "aria-label", words.mute),
            (MUTE, "title", words.mute),
            (DEVICE, "aria-label", words.microphone),
            (PICK, "title", words.microphone),
            (END, "aria-label", words.end_call),
            (END, "title", words.end_call),
        ] {
            put(node, name, words);
        }
    }

    pub fn render(&mut self, view: &PanelView<'_>) {
        self.speak(view.words);
        let opens = show(PANEL, view.open) && view.open;
        put(PANEL, "aria-label", view.title);
        header(view);
        let change = self.messages.render(view.items, view.words);
        let typed = show(TYPING, view.typing);
        self.prompts(view);
        show(PERSON, view.offer_person);
        banner(view);
        self.call(view);
        note(view);
        let own = self.messages.own();
        self.composer.render(&view.composer, view.words, own);

        if opens || change.own {
            self.at_end = true;
        }
        if self.at_end {
            to_end();
        } else if change.grew && !typed {
            show(PILL, true);
        }
    }

    pub fn focus(&self) {
        call(FIELD, "focus");
    }

    /// Said by screen readers, once.
    pub fn announce(&self, words: &str) {
        put(LIVE, TEXT, words);
    }

    fn prompts(&mut self, view: &PanelView<'_>) {
        put(PROMPTS, "aria-label", view.prompted);
        show(PROMPTS, !view.prompts.is_empty());
        if self.shown_prompts == view.prompts {
            return;
        }
        enter(PROMPTS, 0);
        let mut chip = CHIPS;
        each(view.prompts, b'\n', &mut |prompt| {
            if chip < ROWS {
                build("button type=button class=chip dir=auto", PROMPTS, chip);
                put(chip, TEXT, prompt);
                chip += 1;
            }
        });
        self.shown_prompts = String::from(view.prompts);
    }

    /// The bar of a running call, in place of the button that starts one. The focus goes with them.
    fn call(&mut self, view: &PanelView<'_>) {
        self.can_talk = view.composer.can_talk && view.call.is_none();
        let Some(call) = &view.call else {
            show(VOICE, self.can_talk);
            pass(CALL, if self.can_talk { VOICE } else { FIELD });
            show(CALL, false);
            return;
        };
        let (state, words) = call.state;
        put(CALL, "data-state", state);
        put(STATE, TEXT, words);
        put(TIME, TEXT, &call.time);
        put_bool(MUTE, "aria-pressed", call.muted);
        show(CALL, true);
        pass(VOICE, MUTE);
        show(VOICE, false);
    }

    /// What the visitor did at a node. `ours`: the browser is not to do anything about it.
    pub fn heard(&mut self, kind: Kind, node: Node, ours: &mut bool) -> Option<Ui> {
        match kind {
            Kind::Click => return self.pressed(node),
            Kind::Input => {
                self.composer.grow();
                self.composer.fit();
            }
            Kind::Scroll if node == LIST => {
                self.at_end = number(LIST, "scrollHeight")
                    - number(LIST, "scrollTop")
                    - number(LIST, "clientHeight")
                    < NEAR_END;
                if self.at_end {
                    show(PILL, false);
                }
            }
            Kind::Resize | Kind::Scroll if node == VIEWPORT => self.fit_viewport(),
            Kind::Escape => {
                *ours = true;
                return Some(Ui::EscapePressed);
            }
            Kind::Enter if node == FIELD => {
                *ours = true;
                return self.submit();
            }
            Kind::Tab => *ours = self.keep_focus(node, self.last_stop(), CLOSE),
            Kind::ShiftTab => *ours = self.keep_focus(node, CLOSE, self.last_stop()),
            Kind::Enter | Kind::Resize | Kind::Scroll | Kind::Idle => {}
        }
        None
    }

    fn pressed(&mut self, node: Node) -> Option<Ui> {
        match node {
            CLOSE => Some(Ui::ClosePressed),
            SEND if self.composer.stops() => Some(Ui::StopPressed),
            SEND => self.submit(),
            RETRY => Some(Ui::RetryPressed),
            VOICE => Some(Ui::VoicePressed),
            MUTE => Some(Ui::MutePressed),
            END => Some(Ui::EndPressed),
            PERSON => Some(Ui::EscalatePressed),
            PILL => {
                self.at_end = true;
                to_end();
                None
            }
            CHIPS..ROWS => Some(Ui::PromptPressed((node - CHIPS) as usize)),
            _ => self.messages.resent_by(node).map(Ui::ResendPressed),
        }
    }

    fn submit(&mut self) -> Option<Ui> {
        let own = self.messages.own();
        self.composer.submit(own).map(Ui::Submitted)
    }

    fn last_stop(&self) -> Node {
        if self.composer.ready {
            SEND
        } else if self.can_talk {
            VOICE
        } else {
            FIELD
        }
    }

    /// Where the panel covers the page, Tab goes round inside it.
    fn keep_focus(&self, node: Node, edge: Node, other: Node) -> bool {
        let covers = number(PANEL, "offsetWidth") >= number(FRAME, "offsetWidth");
        let turns = covers && node == edge;
        if turns {
            call(other, "focus");
        }
        turns
    }

    /// The keyboard of a phone shrinks the visual viewport only: the panel follows it.
    fn fit_viewport(&self) {
        put_px(PANEL, "--k-vh", number(VIEWPORT, "height"));
        put_px(PANEL, "--k-vt", number(VIEWPORT, "offsetTop"));
        if self.at_end {
            to_end();
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        listen(VIEWPORT, VIEWPORT_EVENTS, false);
        forget(PANEL, ROWS - PANEL);
    }
}

fn header(view: &PanelView<'_>) {
    put(TITLE, TEXT, view.title);
    put(STATUS, TEXT, view.status);
    put(STATUS, "data-tone", tone(view.status_tone));
    // The style sheet makes it a capital: Unicode's table of capitals would cost 5 kB.
    let letter = view
        .title
        .chars()
        .find(|c| !c.is_ascii_punctuation() && *c != ' ');
    // The letter stays beneath the picture: it shows while that loads, and where it cannot.
    put(LETTER, TEXT, &letter.map_or(String::new(), String::from));
    if let Some(url) = view.avatar_url {
        put(PICTURE, "src", url);
    }
    show(PICTURE, view.avatar_url.is_some());
}

fn banner(view: &PanelView<'_>) {
    show(BANNER, view.banner.is_some());
    if let Some(banner) = &view.banner {
        put(BANNER, "data-tone", tone(banner.tone));
        put(BANNER_WORDS, TEXT, &banner.text);
        put(RETRY, TEXT, banner.retry.unwrap_or_default());
        show(RETRY, banner.retry.is_some());
    }
}

fn note(view: &PanelView<'_>) {
    let mut note = String::new();
    for words in [view.privacy_notice, view.footer].into_iter().flatten() {
        if !note.is_empty() {
            note.push_str(" · ");
        }
        note.push_str(words);
    }
    put(NOTE, TEXT, &note);
    show(NOTE, !note.is_empty());
}

fn to_end() {
    // More than there can be: the browser stops at the end.
    put(LIST, ".scrollTop", "99999999");
    show(PILL, false);
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Busy => "busy",
        Tone::Bad => "bad",
    }
}
