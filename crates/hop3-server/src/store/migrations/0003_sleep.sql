-- What people asked for: ranges of instances per process and times, JSON.
ALTER TABLE app ADD COLUMN sleep TEXT NOT NULL DEFAULT '{}';
-- How the web process of the current release sleeps: 'frozen', 'stopped', or NULL when it does not.
ALTER TABLE app ADD COLUMN asleep TEXT;
