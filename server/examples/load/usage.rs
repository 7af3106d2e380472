//! What Linux says that a process uses.

use super::client::Failure;
use std::time::Instant;

/// `USER_HZ`, the same on every Linux that runs this.
const TICKS_A_SECOND: f64 = 100.0;

pub struct Usage {
    at: Instant,
    ticks: f64,
    pub rss_kb: u64,
}

impl Usage {
    pub fn of(id: u32) -> Result<Usage, Failure> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        // The name, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let rss = rss.and_then(|line| line.split_whitespace().next()?.parse().ok());
        Ok(Usage {
            at: Instant::now(),
            ticks: ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0),
            rss_kb: rss.unwrap_or(0),
        })
    }

    /// Of one core.
    pub fn percent_since(&self, before: &Usage) -> f64 {
        let seconds = (self.at - before.at).as_secs_f64();
        (self.ticks - before.ticks) / TICKS_A_SECOND / seconds.max(0.001) * 100.0
    }
}

/// Of a list in any order; 0 of an empty one.
pub fn percentile(list: &[f64], percent: f64) -> f64 {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}
