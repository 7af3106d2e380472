-- An agent's retention goes on when the agent is gone: its conversations stay until their time is over, and no longer.
CREATE TABLE removed_agents (
    id             TEXT PRIMARY KEY,
    account        TEXT NOT NULL,
    retention_days INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER agents_removed AFTER DELETE ON agents
WHEN json_extract(old.settings, '$.retention_days') IS NOT NULL BEGIN
    INSERT OR REPLACE INTO removed_agents (id, account, retention_days)
    VALUES (old.id, old.account, json_extract(old.settings, '$.retention_days'));
END;
