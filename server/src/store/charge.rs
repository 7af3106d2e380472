//! What an append or a new session uses up of its key. The store counts; which counters, how much and what is too much was decided
//! above ([`crate::session::caps`]).

/// Checked and counted in the same transaction as what it pays for: all of it, or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    pub key_id: String,
    pub now_ms: u64,
    pub counts: Vec<Count>,
    /// The session's time. A minute that is paid already costs nothing.
    pub minutes: Option<Minutes>,
    /// The time in which it is talked to, paid apart from that: a minute of text has not paid for the voice.
    pub talk: Option<Minutes>,
    /// What is held back for a turn of the session that has not begun yet. It joins what is held back for the one that runs; at
    /// that one's end it is all that stays.
    pub aside: Aside,
}

/// The most that turns may cost which are not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    pub tokens: u64,
    /// Millionths of a unit of money.
    pub micros: u64,
}

/// What a counter counts of [`Aside`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Tokens,
    Micros,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Minutes {
    /// The session was in use from then until now.
    pub from_ms: u64,
    /// Their `add` and `need` are for each minute that is not paid yet.
    pub counts: Vec<Count>,
}

/// One counter of the key, for one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub name: String,
    /// When the period began; 0: it is all time.
    pub period_ms: u64,
    /// When the counter may be forgotten. None: never.
    pub expires_ms: Option<u64>,
    pub add: u64,
    /// Refused where less than this is left.
    pub need: u64,
    /// What is held back for turns of the key counts as used, too.
    pub aside: Option<Measure>,
    pub cap: Option<u64>,
}

/// The counter that has too little left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    pub name: String,
    /// There is something left, but turns that are not over may use it up.
    pub set_aside: bool,
}
