// Package memory keeps events in the memory of the process.
//
// # URL
//
// "memory:", and nothing behind it. The store is volatile: every start fills it anew from the log.
//
// # Ordering
//
// Events come in the order in which [Store.Record] took them, which inside one partition is that of the offsets. How
// partitions interleave may differ from one filling to the next, and between instances. A cursor therefore holds, for each
// partition, how far it was read, and stays exact on every instance: nothing is skipped or repeated. The one thing that a
// descending cursor cannot do is to go on in a view that has not yet reached the place where it began: that is a
// [github.com/netstreamflow/netstreamflow/domain.ErrUnavailable] until the view has caught up.
//
// # Limits
//
//   - 2^30 events, 2^16 partitions and 1 TiB of addresses; beyond, Record says
//     [github.com/netstreamflow/netstreamflow/domain.ErrUnavailable]. An event takes its JSON and about 50 bytes more, and
//     nothing is ever removed.
//   - An offset that is not above the partition's last one (a topic was deleted and made anew under a running service) is
//     taken as the one after it: the event is kept, and cursors are exact until the process ends.
//   - The same event id in two partitions is stored once, but it depends on the interleaving from which of them.
package memory
