-- What was set of [proxy] by hand: it wins over the file of the release, and outlives releases.
CREATE TABLE proxy_setting (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    -- As it was typed: dots between tables.
    key TEXT NOT NULL,
    -- JSON.
    value TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT;

-- Paths of domains that go to an app, whoever has the domain.
CREATE TABLE mount (
    domain TEXT NOT NULL,
    -- Begins with a slash, does not end with one.
    path TEXT NOT NULL,
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    PRIMARY KEY (domain, path)
) STRICT;
CREATE INDEX mount_by_app ON mount (app);
