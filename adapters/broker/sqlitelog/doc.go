// Package sqlitelog is the broker driver on SQLite: a durable log in a file, used as one that is only appended to, in pure Go
// and without a server.
//
// # URL
//
// sqlite-log: is the file log.db in the data folder, sqlite-log:PATH another file. A %, ? or # in PATH is written %25, %3F or
// %23. There are no parameters. Beside the file are, while it is open, PATH-wal and PATH-shm; all are for their owner alone.
//
// # Delivery
//
// Publish returns when all messages of the call are on disk, in one transaction, or none is: SQLite's write-ahead log is synced
// before the acknowledgement. While that is under way the messages of other calls gather, and go to disk together. A call that
// has given up, after the publish time-out, may be in the log all the same. When the disk is full, or fails, publications fail as
// unavailable, and succeed again by themselves when there is room.
//
// With LazySync the write-ahead log is synced once a second: when the machine fails, not the process alone, the last second of
// what was acknowledged may be lost.
//
// A member of a group begins with the group's place, or with the log's first record, and keeps the offset behind the records
// acked without a gap: with what is published next, after a second, and at the end of its subscription. It waits for no acks
// then: what was not acked comes again. Delivery is at least once. With group "" each subscription reads from the first record,
// and keeps nothing.
//
// After a crash all that was acknowledged is there. The opening says what has been recovered, and how many bytes of a
// transaction that was never finished were cut off. A file that is damaged is an error.
//
// # Ordering
//
// A topic has one partition, number 0, and one order. Offsets begin at 0 and have no gaps. A record's time is that of its
// transaction, in milliseconds; when the clock is set back, later records have earlier times, and finding one by its time stays
// exact.
//
// # Limits
//
// The number of partitions that the options ask for is ignored. So of the members of a group one has all records of a topic;
// others stand by, and the one that has waited longest takes over when it ends. One process at a time may have the file open, and
// once: the options' Claim sees to that.
//
// A record may be a MiB larger than the largest value that must fit, with its key and headers. A value is empty, never null.
//
// The file PATH-wal has 16 MiB from the opening on, where the disk has room for it, as commits that overwrite are faster than
// ones that append. It is gone after a close.
//
// Removed records leave room in the file that new ones use; the file does not get smaller. A transaction that was begun is not
// interrupted: a disk that hangs holds up Close.
package sqlitelog
