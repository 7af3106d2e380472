//! Every bound of the engine, with its reason.

/// Calls that wait for a key or for config. A page that calls more is in a loop.
pub const QUEUE_CALLS: usize = 1_000;

/// Subscriptions of a page, all events together: a page that subscribes in a loop must not grow without end.
pub const SUBSCRIPTIONS: usize = 1_000;

/// Depth to which the browser layer reads an argument: `init` → `theme` → `suggestedPrompts` → item.
pub const RAW_DEPTH: usize = 4;
/// Entries read of one list or free-form object.
pub const RAW_ENTRIES: usize = 64;
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
