-- Verified identities. Times are milliseconds since 1970 (UTC).

ALTER TABLE widget_keys ADD COLUMN identification_required INTEGER NOT NULL DEFAULT 0;
-- Sealed by auth::seal under the server's master key; NULL for keys of before.
ALTER TABLE widget_keys ADD COLUMN identity_secret TEXT;
-- The secrets that a rotation has replaced, and how long they are still taken.
ALTER TABLE widget_keys ADD COLUMN old_secret_hash TEXT;
ALTER TABLE widget_keys ADD COLUMN old_secret_until_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE widget_keys ADD COLUMN old_identity_secret TEXT;
ALTER TABLE widget_keys ADD COLUMN old_identity_until_ms INTEGER NOT NULL DEFAULT 0;

-- What a page calls its visitor, without proof. Kept on the session too, as it was when the session began.
ALTER TABLE visitors ADD COLUMN label TEXT;
ALTER TABLE sessions ADD COLUMN label TEXT;

-- Who a verified subject (`u_…`) is: as the owner's backend or page said it, with proof.
CREATE TABLE users (
    account      TEXT NOT NULL,
    subject      TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    display_name TEXT,
    email        TEXT,
    seen_ms      INTEGER NOT NULL,
    PRIMARY KEY (account, subject)
) STRICT, WITHOUT ROWID;

-- Generations of the key that signs tokens, after the first, which has no row. The key itself is derived from the master key and
-- the salt, so that neither this file nor secret.key alone is enough to sign.
CREATE TABLE signing_keys (
    kid              TEXT PRIMARY KEY,
    salt             TEXT NOT NULL,
    created_ms       INTEGER NOT NULL,
    signs_from_ms    INTEGER NOT NULL,
    previous_ends_ms INTEGER NOT NULL    -- until when the generation before it is taken
) STRICT, WITHOUT ROWID;
