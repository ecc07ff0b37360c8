-- +goose Up
-- 'nsfl': this database is a log of netstreamflow.
PRAGMA application_id = 1853056620;

-- Each topic has its records in a table of its own, records_ID: see createRecords.
CREATE TABLE topics (
    id    INTEGER PRIMARY KEY,
    name  TEXT    NOT NULL UNIQUE,
    -- The offset of the first record that has not been removed, and the bytes of all records before it.
    first INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE groups (
    topic INTEGER NOT NULL REFERENCES topics (id),
    name  TEXT    NOT NULL,
    -- The offset behind the last record that the group has acked without a gap.
    next  INTEGER NOT NULL,
    PRIMARY KEY (topic, name)
) STRICT, WITHOUT ROWID;
