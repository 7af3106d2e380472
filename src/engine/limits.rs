//! Every bound of the engine, with its reason.

/// Calls that wait for a key or for config. A page that calls more is in a loop.
pub const QUEUE_CALLS: usize = 1_000;

/// Subscriptions of a page, all events together: a page that subscribes in a loop must not grow without end.
pub const SUBSCRIPTIONS: usize = 1_000;

/// Depth to which the browser layer reads an argument: `init` → `theme` → `suggestedPrompts` → item.
pub const RAW_DEPTH: usize = 4;
/// Entries read of one list or free-form object.
pub const RAW_ENTRIES: u32 = 64;
/// Keys looked at in any other object, most of which are not read.
pub const RAW_KEYS: u32 = 1_000;
/// Bytes read of one text: above the longest message, so that "too long" can be told from "cut".
pub const RAW_TEXT_BYTES: usize = 64 * 1024;

/// One-line texts of the theme (names, labels, prompts): what fits on a phone.
pub const LINE_BYTES: usize = 200;
/// Greeting, footer, privacy notice.
pub const PARAGRAPH_BYTES: usize = 2_000;
/// Suggested prompts shown: more than this push the composer off a phone's screen.
pub const PROMPTS: usize = 6;
/// URLs and references.
pub const REFERENCE_BYTES: usize = 2_048;
/// A public key: `pk_live_<account>_<random>` with room.
pub const KEY_BYTES: usize = 256;

/// How long the launcher waits for config before it is drawn with what is known: under it, waiting avoids a change of
/// colour; over it, a visitor would take the site for chat-less.
pub const CONFIG_DEADLINE_MS: u64 = 600;

/// First and longest pause between attempts. Half a second hides a server's restart; at most half a minute finds it again soon
/// after a long outage.
pub const BACKOFF_FIRST_MS: u64 = 500;
pub const BACKOFF_CAP_MS: u64 = 30_000;
/// Pause before config is asked for again: nobody waits for it, the launcher already shows.
pub const CONFIG_RETRY_FIRST_MS: u64 = 5_000;
pub const CONFIG_RETRY_CAP_MS: u64 = 300_000;
/// A request without an answer, or a stream that does not open, is given up after this.
pub const REQUEST_DEADLINE_MS: u64 = 20_000;
/// A stream that lasted this long was a good one: its end starts the backoff anew.
pub const STREAM_GOOD_MS: u64 = 10_000;
/// A stream silent for longer is opened again when the tab comes to the front: after a sleep it is often dead without knowing.
pub const STREAM_QUIET_MS: u64 = 30_000;

/// From offer to synced channel. Text flows over HTTPS meanwhile, so there is time for a slow TURN path.
pub const PEER_DEADLINE_MS: u64 = 15_000;
/// Attempts at WebRTC that fail in a row before it is left alone until the network or the page changes.
pub const PEER_ATTEMPTS: u32 = 5;
/// STUN and TURN servers taken from an answer. Each costs the browser seconds of gathering.
pub const ICE_SERVERS: usize = 8;
/// A channel that lasted this long was a good one.
pub const PEER_GOOD_MS: u64 = 30_000;
/// A ping without any frame after it for this long: the channel is dead. Under the server's 20 s.
pub const PONG_DEADLINE_MS: u64 = 8_000;
/// The same while an answer is awaited: a server that died in the middle of one is noticed within 6 s, which ICE takes 15 to 30 for.
pub const BUSY_PING_MS: u64 = 2_000;
pub const BUSY_PONG_DEADLINE_MS: u64 = 4_000;

/// An ICE restart that brought no frame for this long did not help: another connection is quicker.
pub const RESTART_DEADLINE_MS: u64 = 1_500;

/// From microphone to the agent that listens. As long as an attempt at WebRTC.
pub const CALL_CONNECT_MS: u64 = PEER_DEADLINE_MS;
/// How long a call waits for the network to come back. A tunnel or a lift; longer silences are hung up on.
pub const CALL_LOST_MS: u64 = 30_000;
/// Pause between attempts while a call waits: it is to come back within 3 s of the network.
pub const CALL_RETRY_MS: u64 = 1_000;

/// Messages that wait for an acknowledgement. More means that nothing goes out: the composer keeps the text.
pub const OUTBOX_MESSAGES: usize = 50;
/// Answers of 5xx to one message before it counts as failed and lets the next one pass.
pub const MESSAGE_STRIKES: u32 = 6;
/// Lines on screen. The oldest go first; the server keeps them all.
pub const ITEMS: usize = 2_000;
/// One answer while it streams.
pub const PART_BYTES: usize = 256 * 1024;
/// Bytes of one attribute of `identify`, above the 500 characters that the server keeps; and of all together, which stay below the 64 kB of
/// a request however they are written in JSON (six bytes for a control character).
pub const ATTRIBUTE_BYTES: usize = 2_000;
pub const ATTRIBUTES_BYTES: usize = 10_000;

/// One line of a call that is reported to the log, as long as a message may be.
pub const REPORT_BYTES: usize = 16 * 1024;

/// Lines and bytes of the transcript given with `escalate`.
pub const TRANSCRIPT_LINES: usize = 30;
pub const TRANSCRIPT_LINE_BYTES: usize = 2_000;
/// Longest lock of the composer: a day. A server that asks for more means "come back later".
pub const LOCK_SECONDS: u32 = 86_400;
/// Refresh after this share of the token's life, in percent.
pub const TOKEN_REFRESH_PERCENT: u64 = 80;
