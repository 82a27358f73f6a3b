#!/usr/bin/env python3
"""A key-value server: one JSON object a line, over TCP. What is answered is on disk.

keep_server.py serve       listens on KEEP_PORT; KEEP_PASSWORD is its administrator's
keep_server.py dump STORE  prints all of a store, as of one moment
keep_server.py load STORE  replaces all of a store by what comes on standard input, or nothing
"""
import hashlib, hmac, json, os, socketserver, sqlite3, sys, threading

TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS user (store TEXT, name TEXT PRIMARY KEY, digest TEXT);
CREATE TABLE IF NOT EXISTS entry (store TEXT, key TEXT, value TEXT, PRIMARY KEY (store, key));
"""


def database():
    opened = sqlite3.connect("keep.db", timeout=30, check_same_thread=False)
    opened.executescript(TABLES)
    opened.execute("PRAGMA synchronous = FULL")
    return opened


def digest(password):
    # Passwords are long and random: nothing is won by a slow digest.
    return hashlib.sha256(password.encode()).hexdigest()


class Refused(Exception):
    pass


class Talk(socketserver.StreamRequestHandler):
    store, is_admin = None, False

    def handle(self):
        for line in self.rfile:
            try:
                (word, argument), = json.loads(line).items()
                with self.server.lock, self.server.database:
                    answer = {"ok": getattr(self, "do_" + word)(self.server.database, argument)}
            except Exception as error:
                answer = {"error": str(error)}
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def do_login(self, db, argument):
        row = db.execute("SELECT store, digest FROM user WHERE name = ?", [argument["user"]]).fetchone()
        if not row or not hmac.compare_digest(row[1], digest(argument["password"])):
            raise Refused("unknown user or password")
        if row[0] != argument["store"]:
            raise Refused("the store is another user's")
        self.store = row[0]

    def do_get(self, db, key):
        row = db.execute("SELECT value FROM entry WHERE store = ? AND key = ?", [self.own(), key]).fetchone()
        return row and row[0]

    def do_set(self, db, pairs):
        rows = [(self.own(), key, value) for key, value in pairs.items()]
        db.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", rows)

    def own(self):
        if self.store is None:
            raise Refused("log in first")
        return self.store

    def do_admin(self, db, password):
        self.is_admin = hmac.compare_digest(password, os.environ["KEEP_PASSWORD"])
        self.administer()

    def administer(self):
        if not self.is_admin:
            raise Refused("for the administrator")

    def do_users(self, db, argument):
        """Exactly these may come in."""
        self.administer()
        db.execute("DELETE FROM user WHERE store = ?", [argument["store"]])
        rows = [(argument["store"], user, digest(password)) for user, password in argument["users"].items()]
        db.executemany("INSERT INTO user VALUES (?, ?, ?)", rows)

    def do_size(self, db, store):
        """Nothing when there is no such store."""
        self.administer()
        if not db.execute("SELECT 1 FROM user WHERE store = ?", [store]).fetchone():
            return None
        sql = "SELECT COALESCE(SUM(LENGTH(key) + LENGTH(value)), 0) FROM entry WHERE store = ?"
        return db.execute(sql, [store]).fetchone()[0]

    def do_drop(self, db, store):
        self.administer()
        db.execute("DELETE FROM user WHERE store = ?", [store])
        db.execute("DELETE FROM entry WHERE store = ?", [store])


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
    database, lock = None, threading.Lock()


def serve():
    Server.database = database()
    with Server(("127.0.0.1", int(os.environ["KEEP_PORT"])), Talk) as server:
        server.serve_forever()


def dump(store):
    rows = database().execute("SELECT key, value FROM entry WHERE store = ? ORDER BY key", [store]).fetchall()
    for row in rows:
        print(json.dumps(row))
    # Without its last line it is not whole.
    print(json.dumps({"end": len(rows)}))


def load(store):
    *rows, end = [json.loads(line) for line in sys.stdin] or [None]
    if end != {"end": len(rows)}:
        sys.exit("this is no dump of a store, or not all of one")
    with database() as db:
        db.execute("DELETE FROM entry WHERE store = ?", [store])
        db.executemany("INSERT INTO entry VALUES (?, ?, ?)", [(store, key, value) for key, value in rows])


{"serve": serve, "dump": dump, "load": load}[sys.argv[1]](*sys.argv[2:])
