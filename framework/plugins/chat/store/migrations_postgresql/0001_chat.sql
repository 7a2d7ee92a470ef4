CREATE TABLE chat_users (
    "user" TEXT COLLATE "C" PRIMARY KEY,
    name   TEXT NOT NULL
);

CREATE TABLE chat_rooms (
    id         BIGSERIAL PRIMARY KEY,
    room       TEXT COLLATE "C" NOT NULL UNIQUE,
    kind       TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    topic      TEXT   NOT NULL,
    epoch      TEXT   NOT NULL,
    first      BIGINT NOT NULL DEFAULT 1,
    last       BIGINT NOT NULL DEFAULT 0,
    changed_at BIGINT NOT NULL,
    pair       TEXT   UNIQUE
);

CREATE TABLE chat_members (
    room        BIGINT NOT NULL REFERENCES chat_rooms ON DELETE CASCADE,
    "user"      TEXT COLLATE "C" NOT NULL,
    role        TEXT   NOT NULL,
    read        BIGINT NOT NULL DEFAULT 0,
    muted_until BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (room, "user")
);
CREATE INDEX chat_members_user ON chat_members ("user");

CREATE TABLE chat_bans (
    room   BIGINT NOT NULL REFERENCES chat_rooms ON DELETE CASCADE,
    "user" TEXT COLLATE "C" NOT NULL,
    until  BIGINT NOT NULL,
    PRIMARY KEY (room, "user")
);

CREATE TABLE chat_entries (
    room     BIGINT NOT NULL REFERENCES chat_rooms ON DELETE CASCADE,
    "offset" BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    "user"   TEXT COLLATE "C" NOT NULL,
    mid      TEXT COLLATE "C" NOT NULL,
    target   BIGINT,
    body     TEXT   NOT NULL,
    PRIMARY KEY (room, "offset"),
    UNIQUE (room, "user", mid)
);
CREATE INDEX chat_entries_target ON chat_entries (room, target) WHERE target IS NOT NULL;

CREATE TABLE chat_messages (
    room      BIGINT NOT NULL REFERENCES chat_rooms ON DELETE CASCADE,
    "offset"  BIGINT NOT NULL,
    changed   BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    "user"    TEXT COLLATE "C" NOT NULL,
    mid       TEXT   NOT NULL,
    text      TEXT   NOT NULL,
    words     TSVECTOR NOT NULL,
    reply_to  BIGINT,
    edited    BIGINT NOT NULL DEFAULT 0,
    deleted   BOOLEAN NOT NULL DEFAULT FALSE,
    reactions TEXT   NOT NULL DEFAULT '{}',
    PRIMARY KEY (room, "offset")
);
CREATE INDEX chat_messages_words ON chat_messages USING GIN (words);
