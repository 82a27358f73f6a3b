-- What was set of [proxy] by hand: it wins over the file of the release, and outlives releases.
CREATE TABLE proxy_setting (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    -- As it was typed: dots between tables.
    key TEXT NOT NULL,
    -- JSON.
    value TEXT NOT NULL,
    PRIMARY KEY (app, key)
) STRICT;
