CREATE TABLE users (
    user TEXT PRIMARY KEY,
    name TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rooms (
    id         INTEGER PRIMARY KEY,
    room       TEXT    NOT NULL UNIQUE,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    epoch      TEXT    NOT NULL,
    first      INTEGER NOT NULL DEFAULT 1,
    last       INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL,
    pair       TEXT    UNIQUE
) STRICT;

CREATE TABLE members (
    room        INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    user        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    read        INTEGER NOT NULL DEFAULT 0,
    muted_until INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_user ON members (user);

CREATE TABLE bans (
    room  INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    user  TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (room, user)
) STRICT, WITHOUT ROWID;

-- "target" is the message that the entry is about.
CREATE TABLE entries (
    room     INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    "offset" INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    user     TEXT    NOT NULL,
    mid      TEXT    NOT NULL,
    target   INTEGER,
    body     BLOB    NOT NULL,
    PRIMARY KEY (room, "offset")
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX entries_mid ON entries (room, user, mid);
CREATE INDEX entries_target ON entries (room, target) WHERE target IS NOT NULL;

-- What the entries come to, kept beside them in the same transactions: pages of history and search read this.
CREATE TABLE messages (
    id        INTEGER PRIMARY KEY,
    room      INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
    "offset"  INTEGER NOT NULL,
    changed   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    user      TEXT    NOT NULL,
    mid       TEXT    NOT NULL,
    text      TEXT    NOT NULL,
    reply_to  INTEGER,
    edited    INTEGER NOT NULL DEFAULT 0,
    deleted   INTEGER NOT NULL DEFAULT 0,
    reactions BLOB    NOT NULL DEFAULT (x'7b7d'),
    UNIQUE (room, "offset")
) STRICT;
CREATE INDEX messages_at ON messages (at);

CREATE VIRTUAL TABLE message_words USING fts5 (
    text,
    content = 'messages',
    content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO message_words (message_words, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO message_words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER messages_gone AFTER DELETE ON messages BEGIN
    INSERT INTO message_words (message_words, rowid, text) VALUES ('delete', old.id, old.text);
END;
