-- What a key may use up: JSON of store::Caps.
ALTER TABLE widget_keys ADD COLUMN caps TEXT NOT NULL DEFAULT '{}';

-- A document belongs to every agent of the account, or to those that are named here: several, one or none yet.
ALTER TABLE documents ADD COLUMN for_all INTEGER NOT NULL DEFAULT 1;
CREATE TABLE document_agents (
    document_id TEXT NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    agent_id    TEXT NOT NULL REFERENCES agents (id) ON DELETE CASCADE,
    PRIMARY KEY (document_id, agent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_agents_by_agent ON document_agents (agent_id);
INSERT INTO document_agents (document_id, agent_id) SELECT id, agent_id FROM documents WHERE agent_id IS NOT NULL;
UPDATE documents SET for_all = 0 WHERE agent_id IS NOT NULL;
ALTER TABLE documents DROP COLUMN agent_id;
ALTER TABLE passages DROP COLUMN agent_id;
