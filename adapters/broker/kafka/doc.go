// Package kafka is the broker driver on Sarama, Kafka's client in pure Go: watermill-kafka's publisher, and a subscriber of
// its own that delivers ahead of acks.
//
// # URL
//
// kafka://host:port,host:port with the parameters of [broker.KafkaURL]:
//
//	client-id=NAME             the client's name in the servers' logs and quotas
//	in-flight=N                messages of a partition delivered ahead of their acks
//	subscriber=NAME            ahead, the driver's own and the default, or watermill, watermill-kafka's; see Limits
//	tls=true                   encrypt connections; ca-file, cert-file and key-file name PEM files, tls-server-name the name
//	                           in the servers' certificates
//	sasl=MECHANISM             PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, with username=NAME and the options' password
//
// # Delivery
//
// Publish returns after acks=all from an idempotent producer, or after the publish time-out. What it has given up may still
// be sent, so that a message which failed as unavailable may be in the log all the same, and may be there twice when it is
// published again.
//
// A member of a group begins with the group's place, or with the log's first record, and commits the offset behind the
// records acked without a gap: once a second, when partitions move to another member, and at the end. At a rebalance it
// delivers nothing more and gives the receiver five seconds to ack what it has; then the contexts of the messages that are
// not acked end, before another member gets them. Delivery is at least once. With group "" each subscription reads all
// partitions from their first record, finds added ones, and commits nothing. What is still in the channel when a
// subscription ends is dropped from it: it is not acked.
//
// A receiver that keeps places of its own is asked for them, together with the group's, in each generation before its first
// record; while it does not answer, the member stays outside of the group. A place that is not in the log, as after retention
// or with a topic that was made anew, is replaced by the first record, with a warning. A topic made anew that already reaches
// beyond the place cannot be told from the old one.
//
// Topics are made when they are first used. An event's record has its user as key; a record without key has a null key, a
// message without payload a null value, and both come back as empty. Aborted transactions of other producers are not
// delivered. Subscriptions outlive the loss of all servers.
//
// # Ordering
//
// Records with the same key are in one partition, which Java's default, murmur2, chooses; records without key are spread
// at random. One partition's records come in order. Publications that run at the same time have no order among them.
//
// # Limits
//
// With subscriber=watermill, one message of a partition at a time is with the receiver: a store that takes batches is then
// slow, by a factor of ten and more. Subscribe needs the server. A receiver that does not ack, or nacks again and again, holds
// up a rebalance until the group expels the member, and the context of its message goes on. A subscription without a
// group does not find added partitions, and begins again when it is interrupted. in-flight says nothing there.
//
// Members of one group may use this driver and confluent:// side by side: both know the assignment strategy range.
//
// A record may be as large as the topic's max.message.bytes says, which is read when the topic is first used. Where it may
// not be read, Kafka's default of 1 MiB is assumed.
//
// While the receiver takes nothing, a partition holds what was fetched in advance: about a megabyte, or its largest record.
package kafka
