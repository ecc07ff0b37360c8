// Package postgres keeps events in a PostgreSQL database, which any number of instances may share.
//
// # URL
//
// "postgres://USER@HOST:PORT/DATABASE" or "postgresql://…", with the parameters that PostgreSQL's own clients take, such as
// sslmode, sslrootcert, connect_timeout, several hosts and target_session_attrs. The password comes from the settings, or else
// from the URL. "search_path=SCHEMA" names the schema that holds the tables, which must be there and hold nothing of another
// program; "pool_max_conns=N" is how many connections read, 8 by default, beside which two write. Of the server's own settings
// application_name, client_encoding, datestyle and timezone may be parameters, too; the others go into one,
// "options=-c%20work_mem%3D8MB". What is none of these is refused. What is missing is taken from the variables of PostgreSQL's
// clients (PGHOST and so on).
//
// The database must be one of UTF-8, on PostgreSQL 13 or newer. The tables are made, and brought to this build's schema,
// before the first use; instances that start at once take turns. A pooler in between must keep a session for a client: one
// that gives out transactions does not do.
//
// # Ordering
//
// Events are numbered in the order in which [Store.Record] took them, which inside one partition is that of the offsets. The
// lock of one row makes all instances take turns from the number to the commit, so that what has a lower number is never
// seen later. Every query goes by that number, and a cursor holds the last one read, so that it stays valid as long as the
// table. A record that returned is on the server's disk, even where the server's default for synchronous_commit is off.
//
// # Limits
//
//   - One writer at a time among all instances: the more events a batch has, the more go through. Readers never wait for it,
//     nor it for them. An instance that stands still in the middle of a transaction holds the others up until the server
//     ends its session, after 8 seconds.
//   - A page costs what it returns, not what is stored. A time range is looked up in the order of storing (see
//     store.ZoneTree): what it costs is how many blocks of 32 events hold an event of that time or of times close around
//     it, which is little while events come roughly in the order of time and much when they do not. A user with up to some
//     thousand events is read through for a time or for one of his types; those with more have a table of their own for
//     that.
//   - A query is of one moment. One whose reader takes longer than a second gives its transaction up, so that the server can
//     reclaim what was changed since, and goes on from the same moment; only events that [Store.Expire] has removed meanwhile
//     are then missing.
//   - No exchange with the server takes longer than 15 seconds: then, as whenever the server is away, starts, or has no room,
//     calls say [github.com/netstreamflow/netstreamflow/domain.ErrUnavailable]. It is not known then whether a batch was
//     recorded, and it may be recorded again. [Store.Close] may wait as long for a server that stands still.
//   - [Store.Expire] makes room for new events once the server has vacuumed; the tables do not shrink.
package postgres
