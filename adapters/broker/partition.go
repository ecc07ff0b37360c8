package broker

import "encoding/binary"

// Partition returns the partition of n that Kafka's default partitioner gives a key: the positive murmur2 of its bytes
// (org.apache.kafka.common.utils.Utils.murmur2, as librdkafka's murmur2_random and Sarama's murmur2 partitioner).
func Partition(key []byte, n int) int {
	return int(murmur2(key)&0x7fffffff) % n
}

func murmur2(data []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
		r    = 24
	)
	h := seed ^ uint32(len(data)) //nolint:gosec // the hash takes the length modulo 2^32
	for ; len(data) >= 4; data = data[4:] {
		k := binary.LittleEndian.Uint32(data) * m
		h = h*m ^ (k^k>>r)*m
	}
	switch len(data) {
	case 3:
		h ^= uint32(data[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(data[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(data[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
