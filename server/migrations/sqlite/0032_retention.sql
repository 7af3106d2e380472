-- When a session was last written to: what retention counts from.
ALTER TABLE sessions ADD COLUMN last_ms INTEGER NOT NULL DEFAULT 0;
UPDATE sessions SET last_ms = max(created_ms, coalesce((SELECT max(at_ms) FROM events WHERE session_id = sessions.id), 0));
CREATE INDEX sessions_by_age ON sessions (agent_id, last_ms);
