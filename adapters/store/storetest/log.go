package storetest

import (
	"fmt"
	"hash/crc32"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// log makes entries as a log has them: a user's events are in one partition, offsets start anywhere and have gaps.
type log struct {
	next []int64
	made int
	// even says that offsets have no gaps.
	even bool
}

// epoch is the time of the first event of a log.
var epoch = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func newLog(partitions int) *log {
	l := &log{next: make([]int64, partitions)}
	for p := range l.next {
		// Zero, the Unix time in microseconds, more than 32 bits apart.
		l.next[p] = int64(p) * epoch.UnixMicro()
	}
	return l
}

// position returns the place of the next record with that key.
func (l *log) position(key string) application.Position {
	p := int(crc32.ChecksumIEEE([]byte(key))) % len(l.next)
	at := l.next[p]
	l.next[p]++
	if at%5 == 0 && !l.even {
		l.next[p] += 3 // markers of transactions, duplicates
	}
	if at%97 == 0 && !l.even {
		l.next[p] += 1 << 33
	}
	return application.Position{Partition: int32(p), Offset: at}
}

// entry returns the entry of the next record, whose timestamp is one second after the one before unless d has one.
func (l *log) entry(d domain.Draft) application.Entry {
	e, err := d.Event(epoch.Add(time.Duration(l.made) * time.Second))
	if err != nil {
		panic(fmt.Sprintf("storetest: bad event: %v", err))
	}
	l.made++
	return application.Entry{Event: e, Position: l.position(e.UserID()), Accepted: e.Timestamp()}
}

// decoded returns the entry of the next record, with the given text.
func (l *log) decoded(text string) application.Entry {
	e, err := application.Decode([]byte(text), application.Origin{Position: l.position(text), Time: epoch}, nil)
	if err != nil {
		panic(fmt.Sprintf("storetest: bad event %s: %v", text, err))
	}
	return e
}

// entries returns the entries of n records, whose users and types are some more frequent than others.
func (l *log) entries(n int) []application.Entry {
	out := make([]application.Entry, n)
	for i := range out {
		m := l.made
		out[i] = l.entry(domain.Draft{
			UserID:    userOf(m * m % 11),
			EventType: typeOf(m * m % 7 % 3),
			Metadata:  fmt.Appendf(nil, `{"n":%d,"page":"/products/%d","referrer":"/"}`, m, m%13),
		})
	}
	return out
}

func userOf(n int) string { return fmt.Sprintf("user-%d", n) }
func typeOf(n int) string { return fmt.Sprintf("type-%d", n) }
