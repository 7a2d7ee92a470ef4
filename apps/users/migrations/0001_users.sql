-- The users. Times are UTC in milliseconds since 1970-01-01.
--
-- AUTOINCREMENT: the id of a deleted user is never given to another. A client that still holds the old id or its
-- ETag would otherwise read and change a stranger, and a page cursor at a deleted last row would skip the newcomer.
--
-- NOCASE: two addresses that differ only in the case of ASCII letters are one address, and this index is what
-- decides that; addresses are ASCII (see models.py), so nothing outside NOCASE's reach remains.
CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT    NOT NULL COLLATE NOCASE UNIQUE CHECK (length(email) BETWEEN 6 AND 254),
    name          TEXT    NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    password_hash TEXT    NOT NULL CHECK (password_hash LIKE '$argon2id$%'),
    version       INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1),
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL CHECK (updated_at >= created_at)
) STRICT;
