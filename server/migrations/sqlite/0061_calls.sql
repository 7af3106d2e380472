-- Calls that a realtime engine answers, as long as they run: what a server needs to go on with those of one that died.
CREATE TABLE calls (
    id         TEXT PRIMARY KEY,
    owner      TEXT NOT NULL,          -- the process that holds it, and the name of that one's lock
    session_id TEXT NOT NULL,
    began_ms   INTEGER NOT NULL,
    kept       TEXT NOT NULL           -- JSON
) STRICT, WITHOUT ROWID;
-- No foreign key: a call whose session was deleted meanwhile has an engine that must be told.
