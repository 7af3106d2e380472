//! What operators can watch: numbers of the process for Prometheus, on a listener of their own that is off unless configured
//! (`KARTA_METRICS_LISTEN`). Everything is counted where it happens and read when it is asked for. No label is made of anything that a
//! visitor or a page sent.

use crate::app::App;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Metric, Registry};
use std::sync::atomic::{AtomicU64, Ordering};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Panics that a boundary caught, whichever it was.
static PANICS: AtomicU64 = AtomicU64::new(0);
/// Answers by the first digit of their status.
static REQUESTS: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// Counts every panic of the process from now on, before it is reported as usual.
pub fn count_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        report(panic);
    }));
}

pub fn answered(status: u16) {
    if let Some(count) = REQUESTS.get(usize::from(status / 100)) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn router(app: App) -> Router {
    Router::new().route("/metrics", get(show)).with_state(app)
}

async fn show(State(app): State<App>) -> Response {
    let mut page = Page(Registry::with_prefix("karta"));
    of_process(&mut page);
    of_sessions(&mut page, &app);
    of_rtc(&mut page, &app).await;
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ = encode(&mut text, &page.0);
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

struct Page(Registry);

impl Page {
    fn count(&mut self, name: &str, help: &str, value: u64) {
        self.put(name, help, ConstCounter::new(value));
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.put(name, help, ConstGauge::new(value));
    }

    fn put(&mut self, name: &str, help: &str, metric: impl Metric) {
        self.0.register(name, help, metric);
    }
}

fn of_process(page: &mut Page) {
    let panics = PANICS.load(Ordering::Relaxed);
    page.count("panics", "Panics that were caught", panics);
    for (class, count) in REQUESTS.iter().enumerate().skip(2) {
        let name = format!("answers_{class}xx");
        let count = count.load(Ordering::Relaxed);
        page.count(&name, "Answers to HTTP requests with such a status", count);
    }
}

fn of_sessions(page: &mut Page, app: &App) {
    let load = app.sessions.load();
    page.gauge(
        "sessions",
        "Conversations that are in memory, with readers or a turn",
        load.sessions,
    );
    page.gauge("turns", "Turns that run", load.turns);
    page.put(
        "turn_seconds",
        "From the beginning of a turn to its end; aloud, until it was heard",
        load.turn_seconds,
    );
    page.gauge("calls", "Calls that go on", app.voices.calls());
    page.gauge(
        "calls_max",
        "Calls that may go on at once",
        app.voices.calls_max(),
    );
    page.gauge(
        "store_waiting",
        "Writes that wait for the database",
        app.store.waiting_writes(),
    );
}

async fn of_rtc(page: &mut Page, app: &App) {
    let Some(rtc) = &app.rtc else { return };
    page.gauge(
        "connections",
        "WebRTC connections, half-open ones included",
        rtc.connections(),
    );
    let Some(load) = rtc.load().await else { return };
    page.gauge("peers", "WebRTC peers of the media threads", load.peers);
    page.gauge(
        "peer_addresses",
        "Addresses that peers send from",
        load.addresses,
    );
    page.count(
        "packets_dropped",
        "Datagrams that were no peer's or not genuine, or that a full socket lost",
        load.dropped,
    );
    page.count(
        "stun_unmatched",
        "Connectivity checks that named no peer",
        load.unmatched_stun,
    );
    page.count(
        "peer_panics",
        "Peers that panicked and were ended",
        load.panics,
    );
    page.gauge(
        "media_commands_waiting",
        "Orders that wait for a media thread",
        load.commands,
    );
    page.gauge(
        "media_packets_waiting",
        "Packets that wait for a full socket",
        load.backlog,
    );
}
