// Package sqlite keeps events in a file, with nothing else to install.
//
// # URL
//
// "sqlite:" is the file events.db in the data folder, "sqlite:PATH" another one; there are no parameters. The folder is
// made if it is missing, and belongs to one process at a time. Beside the file there are PATH-wal and PATH-shm, which are
// part of it: copy the file with "sqlite3 PATH '.backup COPY'", or all of them while the service is stopped.
//
// # Ordering
//
// Events are numbered in the order in which [Store.Record] took them, which inside one partition is that of the offsets.
// Every query goes by that number, and a cursor holds the last one read, so that it stays valid as long as the file. A
// record that returned is on the disk (synchronous=FULL).
//
// # Limits
//
//   - One writer: batches are recorded one after another, and the more events a batch has, the more go through. Readers never
//     wait for it, nor it for them.
//   - A page costs what it returns, not what is stored. A time range is looked up in the order of storing (see
//     store.ZoneTree): what it costs is how many blocks of 32 events hold an event of that time or of times close around
//     it, which is little while events come roughly in the order of time and much when they do not. A user with up to some
//     thousand events is read through for one of his types; those with more have an index of their own for it.
//   - A query is of one moment. One whose reader takes longer than a second gives its place in the file free, so that the
//     write-ahead log need not grow, and goes on from the same moment; only events that [Store.Expire] has removed meanwhile
//     are then missing.
//   - An event takes its JSON and about 150 bytes more. [Store.Expire] frees room for new events; the file does not shrink.
//   - When the disk is full, or fails, Record says [github.com/netstreamflow/netstreamflow/domain.ErrUnavailable] and
//     nothing of the batch is there; it goes on once there is room.
package sqlite
