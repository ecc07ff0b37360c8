// Package confluent is the broker driver on confluent-kafka-go, Confluent's client for Go, which wraps the C library
// librdkafka. It speaks to the same clusters as the driver kafka:// and can take its place at any time: topics, keys,
// headers, partitions and the places of consumer groups are the same. It needs a build with cgo; in one without, [Open]
// says so.
//
// # URL
//
// confluent://host:port,host:port with the parameters of [broker.KafkaURL]:
//
//	client-id=NAME             the client's name in the servers' logs and quotas
//	in-flight=N                messages of a partition delivered ahead of their acks
//	tls=true                   encrypt connections; ca-file, cert-file and key-file name PEM files
//	sasl=MECHANISM             PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with username=NAME and the options' password
//
// tls-server-name is refused: librdkafka compares a server's certificate with its address and with nothing else. So is
// subscriber: there is only one.
//
// # Delivery
//
// Publish returns after acks=all from an idempotent producer, or after the publish time-out. What librdkafka still holds
// by then it may send later, so that a message which failed as unavailable may be in the log all the same. A fatal error
// ends an idempotent producer for good: the driver makes a new one and sends once more what the old one did not
// acknowledge. Both can put a message into the log twice.
//
// A member of a group begins with the group's place, or with the log's first record, and commits the offset behind the
// records acked without a gap: once a second, when partitions move to another member, and at the end. At a rebalance it
// delivers nothing more and gives the receiver five seconds to ack what it has; then the contexts of the messages that are
// not acked end, before another member gets them. Delivery is at least once. With group "" the subscription assigns itself all
// partitions, finds added ones, and commits nothing. What is still in the channel when a subscription ends is dropped
// from it: it is not acked.
//
// Whenever a member gets partitions it looks for the places of the group, and of a receiver that keeps its own, before it
// begins with them. It stays in the group while the receiver does not answer, and reads nothing. A place that is not in the
// log, as after retention or with a topic that was made anew, is replaced by the first record, with a warning.
//
// Topics are made when they are first used, before the first record. A record without key has a null key, a message
// without payload a null value; both come back as empty. Aborted transactions of other producers are not delivered.
//
// # Ordering
//
// Records with the same key are in one partition, which Java's default, murmur2, chooses; records without key are spread
// at random. One partition's records come in order. Publications that run at the same time have no order among them.
//
// One produce request at a time is under way to a server. With more, librdkafka can lose records that it reports as
// delivered: when the first request to a new partition fails and the next one succeeds, it infers that the first one
// has succeeded too. A report without an offset, the mark of such an inference, is never taken for success.
//
// # Limits
//
// Members of one group may use this driver and kafka:// side by side: both know the assignment strategy range.
//
// librdkafka delivers all partitions through one queue, which must be polled whatever the receiver does. The driver
// therefore reads ahead up to 16 MiB and then pauses partitions. A pause throws away what librdkafka had fetched but not
// handed over, which is why it may fetch only little in advance.
//
// A batch that the server refuses as too large is sent again one record at a time, to find those that are: where a topic's
// max.message.bytes is below 1 MiB, publications with many bytes are slow.
//
// librdkafka hands over no headers of a record that has more than 100,000 of them, and ends a header's name at a zero byte.
//
// On musl the build needs the tag musl.
package confluent
