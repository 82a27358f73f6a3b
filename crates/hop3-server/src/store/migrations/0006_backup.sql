-- One row: whom backups run as, a uid that no app gets, and the recovery key, sealed.
CREATE TABLE backup_engine (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    uid INTEGER NOT NULL,
    key BLOB NOT NULL
) STRICT;

CREATE TABLE backup_target (
    name TEXT PRIMARY KEY,
    -- Location and variables, sealed JSON.
    body BLOB NOT NULL,
    upload_kib INTEGER,
    created_ms INTEGER NOT NULL
) STRICT;

-- What is known of the backups of all targets. The truth is there; this is for lists, and for what was proven.
CREATE TABLE backup (
    target TEXT NOT NULL REFERENCES backup_target(name) ON DELETE CASCADE,
    id TEXT NOT NULL,
    -- The name of the app, which may be gone; NULL for the whole server.
    app TEXT,
    made_ms INTEGER NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    added_bytes INTEGER NOT NULL,
    scheduled INTEGER NOT NULL,
    -- Snapshots: of the manifest, and of the files, which the next backup compares with.
    manifest TEXT NOT NULL,
    files_snapshot TEXT NOT NULL,
    proven_ms INTEGER,
    digest TEXT,
    -- What was found when it was last to be proven, JSON.
    problem TEXT,
    PRIMARY KEY (target, id)
) STRICT;

CREATE TABLE backup_schedule (
    -- The name of an app, or * for the whole server.
    what TEXT PRIMARY KEY,
    -- JSON.
    body TEXT NOT NULL
) STRICT;
