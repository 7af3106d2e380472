-- What is set aside for the turns of a session that run or wait: the most that they may cost. Zero at first: a turn that ran while the server was
-- replaced is not held back for.
ALTER TABLE sessions ADD COLUMN aside_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN aside_micros INTEGER NOT NULL DEFAULT 0;
DROP INDEX sessions_running;
CREATE INDEX sessions_aside ON sessions (key_id, aside_tokens, aside_micros) WHERE aside_tokens > 0;
