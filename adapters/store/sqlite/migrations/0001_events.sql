-- +goose Up

-- "nsf1": tells a store of this program from other databases.
PRAGMA application_id = 1853056561;

-- Columns that are looked at without the JSON stand before it. seq is given by the writer, in the order of recording.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,
    sec      INTEGER NOT NULL, -- timestamp: seconds since 1970
    nano     INTEGER NOT NULL, -- timestamp: nanoseconds of the second
    accepted INTEGER NOT NULL, -- microseconds since 1970
    user_id  TEXT    NOT NULL,
    type     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    json     BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX events_id ON events (id);

-- Both hold what a query filters by, so that only events that are wanted are read from the table.
CREATE INDEX events_user ON events (user_id, seq, type, sec);
CREATE INDEX events_type ON events (type, seq, sec);

-- The users, of those with many events, that pairs has all events of, and how often others were met in samples.
CREATE TABLE users (
    user_id TEXT    PRIMARY KEY,
    samples INTEGER NOT NULL,
    paired  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX users_paired ON users (user_id) WHERE paired;

CREATE TABLE pairs (
    user_id TEXT    NOT NULL,
    type    TEXT    NOT NULL,
    seq     INTEGER NOT NULL,
    sec     INTEGER NOT NULL,
    PRIMARY KEY (user_id, type, seq)
) STRICT, WITHOUT ROWID;

-- The nodes of the tree of zones, see store.ZoneTree.
CREATE TABLE zones (
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    zones  BLOB    NOT NULL,
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE positions (
    topic     TEXT    NOT NULL,
    partition INTEGER NOT NULL,
    next      INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) STRICT, WITHOUT ROWID;

-- One row: the number below which every event has been removed.
CREATE TABLE kept (first INTEGER NOT NULL) STRICT;
INSERT INTO kept VALUES (1);
