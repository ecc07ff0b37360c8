-- +goose Up

-- seq is given by the writer, in the order of recording.
CREATE TABLE events (
    seq      bigint  NOT NULL,
    sec      bigint  NOT NULL, -- timestamp: seconds since 1970
    accepted bigint  NOT NULL, -- microseconds since 1970
    nano     integer NOT NULL, -- timestamp: nanoseconds of the second
    id       uuid    NOT NULL,
    user_id  text    COLLATE "C" NOT NULL,
    type     text    COLLATE "C" NOT NULL,
    json     bytea   NOT NULL,
    CONSTRAINT events_seq PRIMARY KEY (seq),
    CONSTRAINT events_id UNIQUE (id)
);

-- Both hold what a query filters by, so that only events that are wanted are read from the table.
CREATE INDEX events_user ON events (user_id, seq, type, sec);
CREATE INDEX events_type ON events (type, seq, sec);

-- The users, of those with many events, that pairs has all events of, and how often others were met in samples.
CREATE TABLE users (
    user_id text    COLLATE "C" PRIMARY KEY,
    samples bigint  NOT NULL,
    paired  boolean NOT NULL
);

CREATE TABLE pairs (
    user_id text   COLLATE "C" NOT NULL,
    type    text   COLLATE "C" NOT NULL,
    seq     bigint NOT NULL,
    sec     bigint NOT NULL,
    CONSTRAINT pairs_key PRIMARY KEY (user_id, type, seq, sec)
);

-- The nodes of the tree of zones, see store.ZoneTree. A few rows are changed all the time: a page has room for that.
CREATE TABLE zones (
    level  integer NOT NULL,
    number bigint  NOT NULL,
    zones  bytea   NOT NULL,
    PRIMARY KEY (level, number)
) WITH (fillfactor = 40);

CREATE TABLE positions (
    topic     text    COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    next      bigint  NOT NULL,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 40);

-- One row: the number that the next event gets. Its lock is the writer's turn.
CREATE TABLE head (next bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO head VALUES (1);

-- One row: the number below which every event has been removed. Its lock is the turn of the one who removes.
CREATE TABLE kept (first bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO kept VALUES (1);
