-- What was used up of a key: by whom or of what, in which day or month (0: ever). Kept here so that neither a restart nor a
-- client can reset it.
CREATE TABLE counters (
    key_id     TEXT NOT NULL,
    name       TEXT NOT NULL,
    period_ms  INTEGER NOT NULL,       -- when the period began
    used       INTEGER NOT NULL,
    expires_ms INTEGER,                -- may be forgotten from then on; NULL: never
    PRIMARY KEY (key_id, name, period_ms)
) STRICT, WITHOUT ROWID;
-- No foreign key: a turn may end after its key was deleted, and must be able to.
CREATE TRIGGER counters_forgotten AFTER DELETE ON widget_keys BEGIN
    DELETE FROM counters WHERE key_id = old.id;
END;
CREATE INDEX counters_by_expiry ON counters (expires_ms) WHERE expires_ms IS NOT NULL;

-- Until when the minutes of a session are counted already.
ALTER TABLE sessions ADD COLUMN paid_until_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_running ON sessions (key_id) WHERE running = 1;
