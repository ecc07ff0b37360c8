package broker

import (
	"encoding/json"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/netstreamflow/netstreamflow/application"
)

// IsReserved says whether the name is one of metadata that is never a header of a record. A header that is called so is another
// producer's, and must not be taken for what it is not.
func IsReserved(name string) bool { return name == KeyMetadata || name == RepeatedMetadata }

// AddHeader puts a record's next header into the metadata, which has the last one of each name. It returns repeated with the one
// before it, if there was one: [SetRepeated] wants them when all are added. One whose name is reserved is left out.
func AddHeader(metadata message.Metadata, repeated []application.Header, name, value string) []application.Header {
	if IsReserved(name) {
		return repeated
	}
	if earlier, again := metadata[name]; again {
		repeated = append(repeated, application.Header{Name: name, Value: earlier})
	}
	metadata[name] = value
	return repeated
}

// SetRepeated has the metadata hold the headers that come before the last one of their name, those of one name in their order.
func SetRepeated(metadata message.Metadata, headers []application.Header) {
	if len(headers) == 0 {
		return
	}
	pairs := make([][2][]byte, len(headers)) // bytes are in Base64, so that any survive
	for i, h := range headers {
		pairs[i] = [2][]byte{[]byte(h.Name), []byte(h.Value)}
	}
	text, _ := json.Marshal(pairs) // it has no error
	metadata[RepeatedMetadata] = string(text)
}

// Repeated returns the headers of the metadata that come before the last one of their name.
func Repeated(metadata message.Metadata) []application.Header {
	text, there := metadata[RepeatedMetadata]
	if !there {
		return nil
	}
	var pairs [][2][]byte
	if json.Unmarshal([]byte(text), &pairs) != nil {
		return nil
	}
	headers := make([]application.Header, len(pairs))
	for i, p := range pairs {
		headers[i] = application.Header{Name: string(p[0]), Value: string(p[1])}
	}
	return headers
}
