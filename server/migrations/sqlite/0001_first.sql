-- The first layout. Times are milliseconds since 1970 (UTC). Lists and nested settings are JSON text:
-- they are read and written whole, never queried into.

CREATE TABLE agents (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    settings   TEXT NOT NULL,          -- JSON of store::Agent
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX agents_by_account ON agents (account, created_ms, id);

CREATE TABLE widget_keys (
    id          TEXT PRIMARY KEY,
    account     TEXT NOT NULL,
    name        TEXT NOT NULL,
    public_key  TEXT NOT NULL UNIQUE,
    secret_hash TEXT NOT NULL,
    origins     TEXT NOT NULL,         -- JSON array of canonical entries
    agent_id    TEXT REFERENCES agents (id),
    enabled     INTEGER NOT NULL,
    created_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX widget_keys_by_account ON widget_keys (account, created_ms, id);

CREATE TABLE branding (
    account  TEXT PRIMARY KEY,
    settings TEXT NOT NULL             -- JSON of karta_protocol::Branding
) STRICT;

CREATE TABLE documents (
    id         TEXT PRIMARY KEY,
    account    TEXT NOT NULL,
    agent_id   TEXT REFERENCES agents (id),
    title      TEXT NOT NULL,
    url        TEXT,
    body       TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX documents_by_account ON documents (account, created_ms, id);

-- Documents are searched in passages, so that an answer can quote the right paragraph.
CREATE TABLE passages (
    id          INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    account     TEXT NOT NULL,
    agent_id    TEXT,
    title       TEXT NOT NULL,
    heading     TEXT NOT NULL,         -- '' for the text before the first heading
    body        TEXT NOT NULL
) STRICT;
CREATE INDEX passages_by_document ON passages (document_id);

CREATE VIRTUAL TABLE passages_index USING fts5 (
    title, heading, body,
    content = 'passages', content_rowid = 'id',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE passages_words USING fts5vocab (passages_index, 'row');
CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
    INSERT INTO passages_index (rowid, title, heading, body) VALUES (new.id, new.title, new.heading, new.body);
END;
CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
    INSERT INTO passages_index (passages_index, rowid, title, heading, body)
    VALUES ('delete', old.id, old.title, old.heading, old.body);
END;

CREATE TABLE visitors (
    account    TEXT NOT NULL,
    id         TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE spent_tokens (
    jti         TEXT PRIMARY KEY,
    spent_ms    INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    replacement TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_tokens_by_expiry ON spent_tokens (expires_ms);

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,
    account       TEXT NOT NULL,
    key_id        TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    subject       TEXT NOT NULL,
    created_ms    INTEGER NOT NULL,
    -- Kept in step with the log by the transaction that appends to it.
    last_seq      INTEGER NOT NULL DEFAULT 0,
    running       INTEGER NOT NULL DEFAULT 0,
    asked_seq     INTEGER NOT NULL DEFAULT 0,   -- last user.message or user.transcript
    turn_seq      INTEGER NOT NULL DEFAULT 0    -- last session.status_running
) STRICT;
CREATE INDEX sessions_by_subject ON sessions (account, subject, created_ms);
CREATE INDEX sessions_unfinished ON sessions (id) WHERE running = 1 OR asked_seq > turn_seq;

CREATE TABLE events (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    client_id  TEXT,                   -- of a user.message: makes sending again harmless
    body       TEXT NOT NULL,          -- JSON of karta_protocol::SessionEvent without seq and at_ms
    PRIMARY KEY (session_id, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX events_by_client_id ON events (session_id, client_id) WHERE client_id IS NOT NULL;

CREATE TABLE feedback (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    part_id    TEXT NOT NULL,
    rating     TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (session_id, part_id)
) STRICT, WITHOUT ROWID;
