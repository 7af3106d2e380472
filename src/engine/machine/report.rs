//! What the server has to know of handed calls, until it knows it: the lines of their transcripts, in order, and that a call is over. What a channel
//! or a request took with it goes out again; the server knows a line by its id.
//!
//! A line is acknowledged by the log, or by the answer to its POST. One request at a time, so it is clear which one is answered.

use super::core::Cx;
use super::link::Purpose;
use super::panel::Panel;
use super::verdict::Verdict;
use crate::engine::effect::{Body, Effect, Expect, Failure, Id, Method};
use crate::engine::limits::{ITEMS, MESSAGE_STRIKES};
use crate::engine::realtime::{BUILT, Only, Said};
use crate::engine::session::outbox::Way;
use karta_protocol::{ErrorCode, SessionEvent, client};

pub(super) struct Report {
    /// A line; or, where it is nobody's, the end of the call whose address its id is.
    said: Said,
    way: Way,
    /// Of [`MESSAGE_STRIKES`]. As many: nothing more is to be done, for better or worse.
    strikes: u32,
}

/// Their requests, among those that are awaited.
pub(super) const REPORT: Purpose = Purpose::Signal(client::CALL_SAID);

/// Whether a request that is awaited carries one of these.
pub(super) fn is_report(purpose: &Purpose) -> bool {
    BUILT && matches!(purpose, Purpose::Signal(kind) if *kind == client::CALL_SAID)
}

impl Report {
    fn is_over(&self) -> bool {
        self.strikes >= MESSAGE_STRIKES
    }

    fn is_posted(&self) -> bool {
        matches!(self.way, Way::Posted(_))
    }

    fn over(&mut self) {
        self.strikes = MESSAGE_STRIKES;
        self.way = Way::Waiting;
    }
}

/// The ways that they took are gone; `channel`: only that one.
pub(super) fn wait_again(reports: &mut Only<Vec<Report>>, channel: bool) {
    if let Some(reports) = reports.get_mut() {
        for report in reports {
            if !(channel && report.is_posted()) {
                report.way = Way::Waiting;
            }
        }
    }
}

impl Panel {
    /// The call is over; its engine is to be told.
    pub fn report_end(&mut self, location: Option<String>, cx: &mut Cx<'_>) {
        if let Some(location) = location {
            self.report(Said::nobody(location), cx);
        }
    }

    pub fn report(&mut self, said: Said, cx: &mut Cx<'_>) {
        let Some(reports) = self.reports.get_or_make() else {
            return;
        };
        // Hours of talk while the server is away: what came first is kept, and the end.
        if reports.len() >= ITEMS && !said.is_nobodys() {
            return;
        }
        reports.push(Report {
            said,
            way: Way::Waiting,
            strikes: 0,
        });
        if cx.core.halt.is_none() {
            self.send_reports(cx);
            self.watch(cx);
        }
    }

    /// In their order: lines by the data channel, else by POST, one after the other; an end by its address. When the page goes, all at once.
    pub fn send_reports(&mut self, cx: &mut Cx<'_>) {
        let Some(mut reports) = self.reports.take() else {
            return;
        };
        let last = self.link.suspended;
        let channel = self.peer.synced_id().filter(|_| !self.link.muted);
        let token = self.link.token.usable().cloned();
        let held = token.is_none() || self.link.held && !last;
        let (mut left, mut framed) = (false, false);
        for report in reports.iter_mut() {
            if report.is_over() {
                continue;
            }
            left = true;
            match report.way {
                Way::Posted(_) if !last => break,
                Way::Posted(_) => continue,
                Way::Framed(_) => {
                    framed = true;
                    continue;
                }
                Way::Waiting => {}
            }
            let line = !report.said.is_nobodys();
            if let Some(id) = channel.filter(|_| line) {
                report.way = Way::Framed(cx.now);
                framed = true;
                let event = report.said.event();
                cx.run(Effect::SendFrame { id, event });
                self.expect_frame(cx);
                continue;
            }
            // The call is over once all of it was heard: a line that a dead channel has would find none.
            if held || framed && !last {
                break;
            }
            let (method, url, body) = if line {
                let session = self.link.session_id().unwrap_or("");
                let url = cx.url(&["/sessions/", session, "/events"].concat());
                (Method::Post, url, Body::Json(report.said.event()))
            } else {
                (Method::Delete, report.said.id.clone(), Body::None)
            };
            // It outlives the page.
            let id = cx.http(method, url, token.clone(), body, Expect::Nothing, true);
            report.way = Way::Posted(id);
            self.awaited(id, REPORT, cx);
            if !last {
                break;
            }
        }
        if left {
            self.reports.put(reports);
        }
    }

    /// The line of this id; without one, what is on its way by a request.
    fn report_of(&mut self, id: Option<&str>) -> Option<&mut Report> {
        let reports = self.reports.get_mut()?;
        reports.iter_mut().find(|report| match id {
            // One whose request is not answered yet is not another's to be acknowledged.
            Some(id) => report.said.id == id && !report.is_posted(),
            None => report.is_posted(),
        })
    }

    /// The server has it.
    pub fn report_done(&mut self) {
        if let Some(report) = self.report_of(None) {
            report.over();
        }
    }

    /// The log has a line, perhaps one of these.
    pub fn report_logged(&mut self, event: &SessionEvent) {
        if let Some(id) = event.id.as_deref().or(event.part_id.as_deref())
            && let Some(report) = self.report_of(Some(id))
        {
            report.over();
        }
    }

    /// A refusal that came by the channel means what that of a POST means.
    pub fn report_told_off(&mut self, id: &str) -> bool {
        let told = self.report_of(Some(id));
        told.map(|report| report.way = Way::Posted(Id(0))).is_some()
    }

    /// True: it is not sent again, and nothing else follows.
    pub fn report_failed(&mut self, verdict: Verdict, failure: &Failure, cx: &mut Cx<'_>) -> bool {
        let unknown = failure.code == ErrorCode::ConnectionNotFound.as_str();
        let mut over = unknown || matches!(verdict, Verdict::Refused | Verdict::Limit);
        if let Some(report) = self.report_of(None) {
            report.way = Way::Waiting;
            report.strikes += u32::from(failure.status >= 500 && matches!(verdict, Verdict::Later));
            over |= report.is_over();
            if over {
                report.over();
            }
        }
        // Else the channel would take it again at once.
        self.link.muted |= !over;
        if unknown && self.handed_line().is_some() {
            // The server has lost the call, and with it its end and its bounds.
            self.end_call("connection", cx);
        }
        over
    }
}
