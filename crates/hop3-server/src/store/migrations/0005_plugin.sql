CREATE TABLE plugin (
    name TEXT PRIMARY KEY,
    -- Of its program; from the sequence of apps.
    uid INTEGER NOT NULL,
    -- What it said when it was installed, JSON.
    introduction TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 0,
    -- The name of the key that signed it.
    signed_by TEXT,
    installed_ms INTEGER NOT NULL,
    -- The event it was told of last.
    last_event INTEGER NOT NULL
) STRICT;

-- Whose bundles are taken.
CREATE TABLE plugin_key (
    name TEXT PRIMARY KEY,
    -- Ed25519, 32 bytes.
    public_key BLOB NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT;
