CREATE TABLE app (
    -- Never given again: directories of an app are named by it, and it is the uid of its processes.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    -- The branch whose pushes deploy.
    branch TEXT NOT NULL DEFAULT 'main',
    stopped INTEGER NOT NULL DEFAULT 0,
    -- The release that serves; NULL before the first.
    current INTEGER,
    -- Wanted instances per process, JSON.
    scale TEXT NOT NULL DEFAULT '{}',
    created_ms INTEGER NOT NULL
) STRICT;

-- Each installation begins somewhere else, so that two on one machine do not share users: the first would be allowed to
-- end the processes of the second. Above people's uids, below 2097152, which the headers of ustar archives end at.
INSERT INTO sqlite_sequence (name, seq) VALUES ('app', 200000 + abs(random() % 1800000));

CREATE TABLE domain (
    name TEXT PRIMARY KEY,
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE
) STRICT;

-- Values are sealed (see seal.rs).
CREATE TABLE config (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (app, key)
) STRICT;

CREATE TABLE release (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    -- Names of its processes, a JSON list: what a list of apps needs of the artifact.
    processes TEXT NOT NULL,
    artifact TEXT NOT NULL,
    -- The whole config of the release, sealed JSON.
    config BLOB NOT NULL,
    reason TEXT NOT NULL,
    -- pending, active (served or serves), failed.
    state TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (app, number)
) STRICT;
-- What a start looks for must not cost it a walk through everything.
CREATE INDEX release_pending ON release (app) WHERE state = 'pending';

CREATE TABLE deployment (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    -- queued, running, succeeded, failed, interrupted.
    state TEXT NOT NULL,
    source TEXT NOT NULL,
    release INTEGER,
    started_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;
CREATE INDEX deployment_unfinished ON deployment (app) WHERE state IN ('queued', 'running');

CREATE TABLE event (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    app INTEGER REFERENCES app(id) ON DELETE CASCADE,
    deployment INTEGER,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_app ON event (app, id);
CREATE INDEX event_by_deployment ON event (deployment, id);

CREATE TABLE token (
    name TEXT PRIMARY KEY,
    -- SHA-256 of the token; the token itself is shown once and kept nowhere.
    digest BLOB NOT NULL UNIQUE,
    app INTEGER REFERENCES app(id) ON DELETE CASCADE,
    created_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE ssh_key (
    name TEXT PRIMARY KEY,
    public_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL UNIQUE,
    created_ms INTEGER NOT NULL
) STRICT;
