-- What the page says about its visitor, without proof: JSON object of short values, the latest that was said.
ALTER TABLE sessions ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
