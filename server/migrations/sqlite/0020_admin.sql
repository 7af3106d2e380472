CREATE TABLE admin_tokens (
    account    TEXT PRIMARY KEY,
    token_hash TEXT,                   -- keyed hash; NULL: the owner has switched the admin API off
    created_ms INTEGER NOT NULL
) STRICT;
