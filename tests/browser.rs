//! The browser layer in a real browser: what a page may throw at it, and what it may leave behind. The engine's own tests are native;
//! the loader and the whole product are tested by tests/e2e.
#![cfg(target_arch = "wasm32")]

use js_sys::{Function, JSON, Reflect, eval};
use karta::browser::headless::Headless;
use karta::browser::raw;
use karta::browser::screen::Screen;
use karta::browser::sse::Frames;
use karta::browser::surface::Surface;
use karta::browser::{callbacks, storage, wire};
use karta::engine::command::CallbackId;
use karta::engine::config::{Config, Field};
use karta::engine::dialect::Raw;
use karta::engine::effect::{Expect, Reply};
use karta::engine::event::{EventName, HostEvent};
use karta::engine::json::Json;
use karta::engine::machine::Machine;
use karta::engine::text;
use karta::engine::view_model::{ComposerView, Item, ItemState, PanelView, Role, Tone, ViewModel};
use karta_protocol::{SessionEvent, Source, WidgetConfig};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::*;
use web_sys::Element;

wasm_bindgen_test_configure!(run_in_browser);

fn js(source: &str) -> JsValue {
    eval(&["(", source, ")"].concat()).expect("the test's own script runs")
}

fn read(source: &str) -> Raw {
    raw::read(&js(source), &mut |_| CallbackId(7))
}

fn text_of(words: &str) -> Raw {
    Raw::Text(String::from(words))
}

// ---- What a page hands over ------------------------------------------------------------------------------------------

#[wasm_bindgen_test]
fn plain_values_are_read_as_they_are() {
    assert_eq!(read("undefined"), Raw::Undefined);
    assert_eq!(read("null"), Raw::Null);
    assert_eq!(read("true"), Raw::Bool(true));
    assert_eq!(read("1.5"), Raw::Number(1.5));
    assert_eq!(read("'héllo'"), text_of("héllo"));
    assert_eq!(read("() => 1"), Raw::Function(CallbackId(7)));
    assert_eq!(
        read("({userId: 'u', attributes: {plan: 'pro'}})"),
        Raw::Object(vec![
            (String::from("userId"), text_of("u")),
            (
                String::from("attributes"),
                Raw::Object(vec![(String::from("plan"), text_of("pro"))])
            ),
        ])
    );
}

#[wasm_bindgen_test]
fn hostile_values_never_throw() {
    for source in [
        "Symbol('x')",
        "10n",
        "new Proxy({}, {getOwnPropertyDescriptor() { throw 1 }, ownKeys() { throw 1 }, get() { throw 1 }})",
        "(() => { const r = Proxy.revocable({}, {}); r.revoke(); return r.proxy })()",
        "(() => { const r = Proxy.revocable([], {}); r.revoke(); return r.proxy })()",
        "'x'.repeat(2e6)",
    ] {
        assert!(matches!(read(source), Raw::Unreadable(_)), "{source}");
    }
    // A getter that throws spoils its own entry only.
    let Raw::Object(entries) = read("({get userId() { throw 1 }, identityToken: 't'})") else {
        panic!("an object is an object");
    };
    assert!(matches!(entries[0].1, Raw::Unreadable(_)));
    assert_eq!(entries[1].1, text_of("t"));
    // Cycles end at the bound.
    read("(() => { const a = []; a.push(a); return a })()");
    read("(() => { const a = {}; a.theme = a; a.context = a; return a })()");
    read("window");
    read("document.body");
    assert_eq!(
        read("({__proto__: {userId: 'inherited'}})"),
        Raw::Object(vec![])
    );
    assert_eq!(
        read("({context: JSON.parse('{\"__proto__\": \"x\", \"a\": \"b\"}')})"),
        Raw::Object(vec![(
            String::from("context"),
            Raw::Object(vec![(String::from("a"), text_of("b"))])
        )])
    );
}

#[wasm_bindgen_test]
fn keys_that_nobody_asked_for_are_not_touched() {
    let touched = js("window.touched = 0");
    assert_eq!(touched.as_f64(), Some(0.0));
    read("({get surprise() { window.touched++; return 1 }, userId: 'u'})");
    assert_eq!(js("window.touched").as_f64(), Some(0.0));
}

#[wasm_bindgen_test]
fn same_function_has_the_same_id() {
    let (one, two) = (js("() => 1"), js("() => 1"));
    let first = callbacks::intern(&one);
    assert_ne!(first, callbacks::intern(&two));
    assert_eq!(first, callbacks::intern(&one));
}

#[wasm_bindgen_test]
fn a_subscriber_gets_a_fresh_object_and_may_throw() {
    let keep = callbacks::intern(&js(
        "(e) => { (window.seen ||= []).push(e); throw new Error('from the page') }",
    ));
    let event = HostEvent {
        name: EventName::LimitReached,
        payload: Json::default()
            .text("message", "later")
            .number("retryAfterSeconds", 3)
            .list("lines", vec![Json::default().text("role", "user")]),
    };
    callbacks::call(keep, &event);
    callbacks::call(keep, &event);
    assert_eq!(js("window.seen.length").as_f64(), Some(2.0));
    assert!(js("window.seen[0] !== window.seen[1] && Object.getPrototypeOf(window.seen[0]) === Object.prototype").is_truthy());
    assert_eq!(
        JSON::stringify(&js("window.seen[0]"))
            .map(String::from)
            .ok()
            .as_deref(),
        Some("{\"message\":\"later\",\"retryAfterSeconds\":3,\"lines\":[{\"role\":\"user\"}]}")
    );
}

// ---- What the server says --------------------------------------------------------------------------------------------

#[wasm_bindgen_test]
fn events_split_anywhere_are_the_same_events() {
    const STREAM: &str = ": hello\r\n\r\ndata: {\"a\":\"é\"}\n\nid: 3\nevent: x\ndata:one\ndata: two\r\n\r\n\ndata: last\r\rdata: cut";
    let expected = ["{\"a\":\"é\"}", "one\ntwo", "last"];
    let splits = STREAM.char_indices().map(|(at, _)| at);
    for at in splits {
        let mut got = Vec::new();
        let mut frames = Frames::default();
        for piece in [&STREAM[..at], &STREAM[at..]] {
            assert!(frames.push(piece, &mut |data| got.push(String::from(data))));
        }
        assert_eq!(got, expected, "split at {at}");
    }
}

#[wasm_bindgen_test]
fn an_endless_event_is_given_up() {
    let mut frames = Frames::default();
    let piece = "x".repeat(700_000);
    assert!(frames.push(&piece, &mut |_| ()));
    assert!(!frames.push(&piece, &mut |_| ()));
}

#[wasm_bindgen_test]
fn events_are_read_as_serde_reads_them() {
    for line in include_str!("../fixtures/wire/conversation.jsonl").lines() {
        let object = wire::object(line).expect("the fixture is JSON");
        let mut expected: SessionEvent =
            serde_wasm_bindgen::from_value(object.clone()).expect("the fixture is an event");
        expected.usage = None;
        expected.stop_reason = None;
        assert_eq!(wire::event(&object), expected, "{line}");
    }
}

#[wasm_bindgen_test]
fn config_is_read_as_serde_reads_it() {
    let object =
        wire::object(include_str!("../fixtures/wire/config.json")).expect("the fixture is JSON");
    let Some(Reply::Config(layer)) = wire::reply(&object, Expect::Config) else {
        panic!("the fixture is a config");
    };
    let expected: WidgetConfig =
        serde_wasm_bindgen::from_value(object).expect("the fixture is a config");
    assert_eq!(layer.rejected, []);
    let prompts = expected.agent.suggested_prompts.join("\n") + "\n";
    for (field, value) in [
        (Field::AgentName, Some(expected.agent.name)),
        (Field::AgentAvatar, expected.agent.avatar_url),
        (Field::Greeting, expected.agent.greeting),
        (Field::SuggestedPrompts, Some(prompts)),
        (
            Field::Accent,
            expected
                .branding
                .primary_color
                .map(|color| color.to_lowercase()),
        ),
        (Field::LogoUrl, expected.branding.logo_url),
        (Field::LauncherLabel, expected.branding.launcher_label),
        (Field::PrivacyNotice, expected.branding.privacy_notice),
        (Field::Footer, expected.branding.footer),
        (Field::Position, Some(String::from("bl"))),
    ] {
        assert_eq!(layer.get(field), value.as_deref(), "{field:?}");
    }
    assert_eq!(layer.get(Field::WidgetEnabled), Some(""));
    assert!(expected.features.widget_enabled);
}

#[wasm_bindgen_test]
fn nonsense_is_no_answer() {
    for text in ["", "[", "1", "\"x\"", "<html>"] {
        assert_eq!(wire::object(text), None, "{text}");
    }
    let empty = wire::object("{}").expect("an object");
    for expect in [Expect::Config, Expect::Token, Expect::Session] {
        assert_eq!(wire::reply(&empty, expect), None);
    }
}

// ---- Storage ---------------------------------------------------------------------------------------------------------

#[wasm_bindgen_test]
fn a_record_survives_and_is_forgotten() {
    let record = "1\u{1f}v_1\u{1f}héllo \u{1f600}";
    storage::store("pk_test", Some(record));
    assert_eq!(
        storage::all(),
        [(String::from("pk_test"), String::from(record))]
    );
    storage::store("pk_test", None);
    assert_eq!(storage::all(), []);
}

#[wasm_bindgen_test]
fn denied_storage_costs_nothing_but_the_memory() {
    js("window.kept = Object.getOwnPropertyDescriptor(window, 'localStorage')");
    js(
        "Object.defineProperty(window, 'localStorage', {configurable: true, get() { throw new DOMException('no', 'SecurityError') }})",
    );
    storage::store("pk_denied", Some("1"));
    assert_eq!(storage::all(), []);
    storage::store("pk_denied", None);
    js("Object.defineProperty(window, 'localStorage', window.kept)");
    assert_eq!(storage::all(), []);
}

// ---- The screen ------------------------------------------------------------------------------------------------------

fn item(key: u32, role: Role, text: &str, state: ItemState) -> Item {
    Item {
        key,
        rev: 1,
        role,
        id: String::new(),
        seq: None,
        text: String::from(text),
        state,
        spoken: false,
        sources: Vec::new(),
        at_ms: None,
    }
}

fn panel<'a>(items: &'a [Item]) -> PanelView<'a> {
    let words = text::words("en");
    PanelView {
        open: true,
        title: "Juniper",
        avatar_url: None,
        status: "Online",
        status_tone: Tone::Good,
        items,
        typing: false,
        banner: None,
        prompts: "",
        prompted: "",
        composer: ComposerView {
            placeholder: words.placeholder,
            enabled: true,
            max_bytes: 1_000,
            can_stop: false,
            can_talk: false,
        },
        call: None,
        footer: None,
        privacy_notice: None,
        offer_person: false,
        words,
    }
}

fn show(screen: &mut Screen, config: &Config, items: &[Item]) {
    screen.render(&ViewModel {
        launcher: Some(config.launcher(0, true)),
        panel: Some(panel(items)),
        theme: config.theme(),
    });
}

fn screen() -> Screen {
    let make = Closure::<dyn Fn() -> JsValue>::new(karta::browser::dom::mount);
    Screen::new(
        false,
        make.into_js_value(),
        JsValue::UNDEFINED,
        js("new AbortController().signal"),
    )
}

fn document() -> web_sys::Document {
    js("document").unchecked_into()
}

fn root() -> web_sys::ShadowRoot {
    let host = document()
        .query_selector("body > karta-root")
        .ok()
        .flatten();
    host.and_then(|host| host.shadow_root())
        .expect("the host is in the body")
}

fn all(selector: &str) -> Vec<Element> {
    let list = root()
        .query_selector_all(selector)
        .expect("a good selector");
    (0..list.length())
        .filter_map(|at| list.item(at))
        .map(JsCast::unchecked_into)
        .collect()
}

#[wasm_bindgen_test]
fn text_of_agent_and_visitor_is_never_markup() {
    let config = Config::default();
    let mut screen = screen();
    let evil = "<img src=x onerror=alert(1)><script>alert(1)</script> [a](javascript:alert(1)) [b](data:text/html,x) \
                [ok](https://example.com/x) ![pic](https://evil.test/p.png) **bold**";
    let mut answer = item(2, Role::Agent, evil, ItemState::Done);
    answer.sources = vec![
        Source {
            title: String::from("<b>T</b>"),
            url: Some(String::from("javascript:alert(1)")),
        },
        Source {
            title: String::from("Shipping"),
            url: Some(String::from("https://example.com/s")),
        },
    ];
    show(
        &mut screen,
        &config,
        &[item(1, Role::User, evil, ItemState::Sent), answer],
    );
    assert!(all("script, style, iframe, object, [style*=url], [onerror], [src^=http]").is_empty());
    let hrefs: Vec<_> = all("[part~=message] a")
        .iter()
        .map(|a| a.get_attribute("href").unwrap_or_default())
        .collect();
    assert!(
        hrefs
            .iter()
            .any(|href| href.starts_with("https://example.com/x")),
        "{hrefs:?}"
    );
    assert!(
        hrefs.iter().all(|href| href.starts_with("https://")),
        "{hrefs:?}"
    );
    let sources: Vec<_> = all(".sources > .source")
        .iter()
        .map(|source| (source.text_content(), source.get_attribute("href")))
        .collect();
    assert_eq!(
        sources,
        [
            (Some(String::from("<b>T</b>")), None),
            (
                Some(String::from("Shipping")),
                Some(String::from("https://example.com/s"))
            ),
        ]
    );
    for a in all("[part~=message] a") {
        assert_eq!(
            a.get_attribute("rel").as_deref(),
            Some("noopener noreferrer nofollow ugc")
        );
        assert_eq!(a.get_attribute("target").as_deref(), Some("_blank"));
    }
    let words = all("[data-role=user]")[0]
        .text_content()
        .unwrap_or_default();
    assert!(words.contains("<script>alert(1)</script>"), "{words}");
    screen.unmount();
}

#[wasm_bindgen_test]
fn one_more_token_touches_one_row() {
    let config = Config::default();
    let mut screen = screen();
    let mut items = vec![
        item(1, Role::User, "Hello", ItemState::Sent),
        item(2, Role::Agent, "One", ItemState::Streaming),
    ];
    show(&mut screen, &config, &items);
    let before = all("[part~=message]");
    items[1].text.push_str(" two **three");
    items[1].rev += 1;
    show(&mut screen, &config, &items);
    let after = all("[part~=message]");
    assert_eq!(before, after, "rows are kept, not made anew");
    assert!(
        after[1]
            .text_content()
            .unwrap_or_default()
            .contains("One two")
    );
    assert_eq!(
        after[1].get_attribute("data-state").as_deref(),
        Some("streaming")
    );
    // Another order and a row less.
    show(&mut screen, &config, &[items[1].clone()]);
    assert_eq!(all("[part~=message]"), [after[1].clone()]);
    screen.unmount();
}

#[wasm_bindgen_test]
async fn an_idle_browser_draws_the_panel_but_not_on_the_page() {
    let config = Config::default();
    let mut screen = screen();
    screen.render(&ViewModel {
        launcher: Some(config.launcher(0, false)),
        panel: None,
        theme: config.theme(),
    });
    let idle = js("new Promise(done => requestIdleCallback(() => requestIdleCallback(done)))");
    wasm_bindgen_futures::JsFuture::from(idle.unchecked_into::<js_sys::Promise>())
        .await
        .expect("a time comes");
    assert!(all("[part~=panel]").is_empty());
    assert_eq!(
        js("document.querySelector('karta-root').shadowRoot.adoptedStyleSheets.length").as_f64(),
        Some(2.0),
        "it is drawn"
    );
    show(&mut screen, &config, &[]);
    assert_eq!(all("[part~=panel]").len(), 1);
    screen.unmount();
}

#[wasm_bindgen_test]
fn every_documented_part_is_there() {
    let config = Config::default();
    let mut screen = screen();
    show(
        &mut screen,
        &config,
        &[item(1, Role::Agent, "Hi", ItemState::Done)],
    );
    for part in [
        "launcher", "badge", "panel", "header", "messages", "message", "composer", "send", "close",
    ] {
        assert_eq!(all(&["[part~=", part, "]"].concat()).len(), 1, "{part}");
    }
    screen.unmount();
}

#[wasm_bindgen_test]
fn unmount_leaves_the_page_as_it_was_found() {
    let document = document();
    let page = || {
        document
            .document_element()
            .map(|root| root.outer_html())
            .unwrap_or_default()
    };
    let before = page();
    let config = Config::default();
    for _ in 0..3 {
        let mut screen = screen();
        show(
            &mut screen,
            &config,
            &[item(1, Role::Agent, "Hi", ItemState::Done)],
        );
        assert_ne!(page(), before);
        screen.unmount();
        assert_eq!(page(), before);
    }
}

#[wasm_bindgen_test]
async fn a_lost_host_comes_back_and_copies_go() {
    let config = Config::default();
    let mut screen = screen();
    show(&mut screen, &config, &[]);
    js("document.querySelector('karta-root').remove()");
    js("document.body.append(document.createElement('karta-root'))");
    // Observers report when the running script is done.
    let tick = js("new Promise(done => setTimeout(done, 0))").unchecked_into::<js_sys::Promise>();
    wasm_bindgen_futures::JsFuture::from(tick)
        .await
        .expect("time passes");
    assert_eq!(
        js("document.querySelectorAll('karta-root').length").as_f64(),
        Some(1.0)
    );
    assert_eq!(all("[part~=launcher]").len(), 1);
    screen.unmount();
}

#[wasm_bindgen_test]
fn a_page_that_hates_us_cannot_hide_the_launcher() {
    let sheet = js(
        "(() => { const s = new CSSStyleSheet(); s.replaceSync('body * { all: unset !important; display: none !important } html { transform: translateX(-4000px) }'); document.adoptedStyleSheets = [s]; return s })()",
    );
    let config = Config::default();
    let mut screen = screen();
    screen.render(&ViewModel {
        launcher: Some(config.launcher(0, false)),
        panel: None,
        theme: config.theme(),
    });
    let hit = Function::new_no_args(
        "const b = document.querySelector('karta-root').shadowRoot.querySelector('.launcher').getBoundingClientRect();\
         return document.elementFromPoint(b.x + b.width / 2, b.y + b.height / 2)?.localName",
    );
    assert_eq!(
        hit.call0(&JsValue::UNDEFINED)
            .ok()
            .and_then(|name| name.as_string())
            .as_deref(),
        Some("karta-root")
    );
    screen.unmount();
    let none = js_sys::Array::new();
    Reflect::set(&document(), &JsValue::from_str("adoptedStyleSheets"), &none)
        .expect("sheets can be taken off");
    drop(sheet);
}

// ---- Without a screen --------------------------------------------------------------------------------------------------

#[wasm_bindgen_test]
fn state_is_a_plain_object_with_nothing_left_out() {
    // The page's functions are called on nothing, so what they keep is the window's.
    js("window.shownStates = []");
    let mut surface = Headless::new(&js(
        "{show: (state) => window.shownStates.push(state), tell: () => {}, meter: {}, devices: {}}",
    ));
    let machine = Machine::new();
    for _ in 0..2 {
        surface.render(&machine.view(), &machine);
    }
    assert_eq!(
        js("JSON.stringify(window.shownStates[0])")
            .as_string()
            .as_deref(),
        Some(
            "{\"connection\":\"idle\",\"sessionId\":null,\"open\":false,\"agent\":{\"name\":\"Assistant\",\"avatarUrl\":null,\"privacyNotice\":null,\"footer\":null},\
             \"locale\":\"en\",\"typing\":false,\"answering\":false,\"unread\":0,\"prompts\":[],\"tool\":null,\"canSend\":false,\"offersPerson\":false,\"limit\":null,\"error\":null,\
             \"voice\":{\"available\":false,\"phase\":\"off\",\"muted\":false,\"seconds\":0,\"blocked\":false,\"captions\":{\"user\":null,\"agent\":null},\"ended\":null},\"messages\":[]}"
        )
    );
    assert!(
        js("window.shownStates[0].messages === window.shownStates[1].messages && Object.getPrototypeOf(window.shownStates[0]) === Object.prototype")
            .is_truthy()
    );
    assert!(surface.unmount(), "it wants to show that there is nothing");
}

#[wasm_bindgen_test]
fn a_record_that_another_engine_wrote_is_noticed_once_and_an_own_one_never() {
    js("window.toldRecords = []");
    let mut surface = Headless::new(&js(
        "{show: () => {}, tell: (...what) => window.toldRecords.push(what), meter: {}, devices: {}}",
    ));
    storage::store("pk_two", Some("first"));
    assert_eq!(surface.overwritten("pk_two"), None, "it is known from boot");
    storage::store("pk_two", Some("own"));
    surface.stored("pk_two");
    assert_eq!(surface.overwritten("pk_two"), None);
    assert_eq!(
        js("JSON.stringify(window.toldRecords)")
            .as_string()
            .as_deref(),
        Some("[[\"karta:pk_two\",\"own\"]]")
    );
    storage::store("pk_two", Some("another's"));
    let news = Some(Some(String::from("another's")));
    assert_eq!(surface.overwritten("pk_two"), news);
    assert_eq!(surface.overwritten("pk_two"), None);
    storage::store("pk_two", None);
    assert_eq!(surface.overwritten("pk_two"), Some(None));
    assert_eq!(surface.overwritten("pk_two"), None);
}

#[wasm_bindgen_test]
fn an_engine_does_not_hear_its_own_event() {
    let options = js("{show: () => {}, tell: () => {}, meter: {}, devices: {}}");
    let _surface = Headless::new(&options);
    let event: web_sys::Event =
        js("new StorageEvent('storage', {key: 'karta:pk_own', newValue: 'x'})").unchecked_into();
    let heard = || storage::changed(&event).map(|(key, _)| key);
    assert_eq!(heard().as_deref(), Some("pk_own"));
    let _ = Reflect::set(&event, &"from".into(), &js("{}"));
    assert_eq!(
        heard().as_deref(),
        Some("pk_own"),
        "of another of this page"
    );
    let _ = Reflect::set(&event, &"from".into(), &options);
    assert_eq!(heard(), None);
}
