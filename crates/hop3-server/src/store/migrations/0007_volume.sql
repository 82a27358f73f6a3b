-- A directory that outlives releases and apps.
CREATE TABLE volume (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- Whose its files are: the app that owned it last, or a user of nobody else.
    uid INTEGER NOT NULL,
    -- How much it should hold at most.
    size_bytes INTEGER,
    -- It was told that it is nearly full.
    warned INTEGER NOT NULL DEFAULT 0,
    -- It was destroyed then, and is kept for a while.
    destroyed_ms INTEGER,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE volume_mount (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    volume INTEGER NOT NULL REFERENCES volume(id),
    path TEXT NOT NULL,
    -- It writes; the others read.
    is_owner INTEGER NOT NULL,
    PRIMARY KEY (app, volume),
    UNIQUE (app, path)
) STRICT;
CREATE UNIQUE INDEX volume_mount_owner ON volume_mount (volume) WHERE is_owner;
CREATE INDEX volume_mount_by_volume ON volume_mount (volume);
