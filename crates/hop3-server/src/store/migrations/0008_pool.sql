-- Of the process before a server that shares its connections, once an addon on it asked for that.
ALTER TABLE addon_server ADD COLUMN pooler_uid INTEGER;
ALTER TABLE addon_server ADD COLUMN pooler_port INTEGER;

-- Where another copy of the addon lies while it moves: where it goes to, and then where it was.
ALTER TABLE addon ADD COLUMN other_server INTEGER REFERENCES addon_server(id);
