package domain

import "time"

const (
	jsonOverhead = len(`{"eventId":"","userId":"","eventType":"","timestamp":"","metadata":}`) + uuidTextLen + len(time.RFC3339Nano)
	emptyObject  = "{}"
)

func (e Event) encode(metadata []byte) []byte {
	if len(metadata) == 0 {
		metadata = []byte(emptyObject)
	}
	b := make([]byte, 0, jsonOverhead+len(e.userID)+len(e.eventType)+len(metadata))
	b = append(b, `{"eventId":"`...)
	b = e.id.append(b)
	b = append(b, `","userId":`...)
	b = AppendString(b, e.userID)
	b = append(b, `,"eventType":`...)
	b = AppendString(b, e.eventType)
	b = append(b, `,"timestamp":"`...)
	b = e.timestamp.AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","metadata":`...)
	b = append(b, metadata...)
	return append(b, '}')
}

// AppendString appends s, which must be valid UTF-8, as a JSON string that escapes only what RFC 8259 §7 demands.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		if c < ' ' {
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			dst = append(dst, '\\', c)
		}
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}
