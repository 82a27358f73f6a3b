-- A process of a product, for one addon or for many.
CREATE TABLE addon_server (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Its kind and its id: postgres-3.
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Many addons may live on it.
    shared INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    port INTEGER NOT NULL,
    -- Of its administrator, sealed.
    password BLOB NOT NULL,
    -- JSON.
    settings TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE addon (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    server INTEGER NOT NULL REFERENCES addon_server(id),
    -- What it is called on its server; stays when it is renamed.
    database TEXT NOT NULL,
    -- JSON.
    settings TEXT NOT NULL DEFAULT '{}',
    -- What apps are told, sealed JSON; NULL until it was provisioned.
    binding BLOB,
    -- It cannot be destroyed.
    protected INTEGER NOT NULL DEFAULT 0,
    -- A port of the machine that leads to its server.
    exposed_port INTEGER UNIQUE,
    -- It was destroyed then, and is kept for a while.
    destroyed_ms INTEGER,
    created_ms INTEGER NOT NULL
) STRICT;

-- Who may come in. The newest is told to apps; older ones are valid until no instance uses them.
CREATE TABLE addon_credential (
    addon INTEGER NOT NULL REFERENCES addon(id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    user TEXT NOT NULL,
    -- Sealed.
    password BLOB NOT NULL,
    PRIMARY KEY (addon, number)
) STRICT;

CREATE TABLE binding (
    app INTEGER NOT NULL REFERENCES app(id) ON DELETE CASCADE,
    addon INTEGER NOT NULL REFERENCES addon(id),
    -- Its variables stand under names that begin so, too.
    prefix TEXT NOT NULL,
    -- The kind's slot, in which one addon of an app has the plain names.
    slot TEXT NOT NULL,
    is_primary INTEGER NOT NULL,
    PRIMARY KEY (app, addon),
    UNIQUE (app, prefix)
) STRICT;
CREATE UNIQUE INDEX binding_primary ON binding (app, slot) WHERE is_primary;
CREATE INDEX binding_by_addon ON binding (addon);
