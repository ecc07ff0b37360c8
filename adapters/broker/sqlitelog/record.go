package sqlitelog

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
)

// record is a message as it is in a table. A nil key, id or headers are a NULL there; the value is never nil.
type record struct {
	key, id, headers, value []byte
}

// encode makes the record of a message. It shares the payload with it, and nothing else.
func encode(msg *message.Message) record {
	r := record{id: packID(msg.UUID), value: msg.Payload}
	if r.value == nil {
		r.value = []byte{}
	}
	if key, ok := msg.Metadata[broker.KeyMetadata]; ok {
		r.key = []byte(key)
	}
	r.headers = packHeaders(msg.Metadata)
	return r
}

// size is what counts as the record's bytes in the log.
func (r record) size() int { return len(r.key) + len(r.value) }

// whole is all that the record brings.
func (r record) whole() int { return len(r.key) + len(r.id) + len(r.headers) + len(r.value) }

const (
	packedID = 16
	// plainID stands before an id that would else be taken for a packed one.
	plainID = 0
)

// packID makes 16 bytes of an id that is a UUID in its usual form, and keeps any other as it is.
func packID(id string) []byte {
	if id == "" {
		return nil
	}
	if packed, ok := packUUID(id); ok {
		return packed
	}
	if len(id) == packedID || id[0] == plainID {
		return append([]byte{plainID}, id...)
	}
	return []byte(id)
}

// packUUID packs xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, in small letters.
func packUUID(id string) ([]byte, bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return nil, false
	}
	digits := make([]byte, 0, 2*packedID)
	for i := range len(id) {
		switch c := id[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f':
			digits = append(digits, c)
		case c != '-':
			return nil, false
		}
	}
	packed := make([]byte, packedID)
	if len(digits) != 2*packedID {
		return nil, false
	}
	_, err := hex.Decode(packed, digits)
	return packed, err == nil
}

func unpackID(id []byte) string {
	switch {
	case len(id) == packedID:
		h := hex.AppendEncode(nil, id)
		return string(slices.Concat(h[:8], []byte("-"), h[8:12], []byte("-"), h[12:16], []byte("-"), h[16:20], []byte("-"), h[20:]))
	case len(id) > 0 && id[0] == plainID:
		return string(id[1:])
	}
	return string(id)
}

// packHeaders makes one value of the headers: for each, in the order of their names, its name and its value, with the length
// before each of them.
func packHeaders(metadata message.Metadata) []byte {
	names := make([]string, 0, 8)
	size := 0
	for name, value := range metadata {
		if name != broker.KeyMetadata {
			names = append(names, name)
			size += len(name) + len(value) + 2*binary.MaxVarintLen32
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	packed := make([]byte, 0, size)
	for _, name := range names {
		value := metadata[name]
		packed = append(binary.AppendUvarint(packed, uint64(len(name))), name...)
		packed = append(binary.AppendUvarint(packed, uint64(len(value))), value...)
	}
	return packed
}

var errHeaders = errors.New("the headers are damaged")

// unpackHeaders returns what it can of damaged headers.
func unpackHeaders(packed []byte) (message.Metadata, error) {
	metadata := message.Metadata{}
	for len(packed) > 0 {
		name, rest, err := cut(packed)
		if err != nil {
			return metadata, err
		}
		value, rest, err := cut(rest)
		if err != nil {
			return metadata, err
		}
		metadata[string(name)] = string(value)
		packed = rest
	}
	return metadata, nil
}

func cut(packed []byte) (text, rest []byte, err error) {
	n, read := binary.Uvarint(packed)
	if read <= 0 || n > uint64(len(packed)-read) { //nolint:gosec // it is not negative
		return nil, nil, errHeaders
	}
	end := read + int(n) //nolint:gosec // it is at most the length
	return packed[read:end], packed[end:], nil
}

// decode makes the message of a record; its context is ctx with the origin. The error says that some headers are lost.
func decode(ctx context.Context, r record, o application.Origin) (*message.Message, error) {
	msg := message.NewMessage(unpackID(r.id), r.value)
	var err error
	msg.Metadata, err = unpackHeaders(r.headers)
	msg.SetContext(application.WithOrigin(ctx, o))
	return msg, err
}

// originOf tells what is known of a record.
func originOf(topic string, offset, milliseconds int64, key []byte) application.Origin {
	return application.Origin{
		Position: application.Position{Offset: offset}, Topic: topic, Key: key, Time: time.UnixMilli(milliseconds),
	}
}
