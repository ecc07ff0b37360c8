package brokertest

import (
	"context"
	"errors"
	"fmt"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// reading tests that records can be read at any place of a broker that is [broker.Replayable].
var reading = map[string]func(*suite){
	"ReadAtAPlace":         readAtAPlace,
	"ReadWhatIsNotThere":   readWhatIsNotThere,
	"ReadEndsWithContext":  readEndsWithContext,
	"ReadSeveralAtOnce":    readSeveralAtOnce,
	"TopologyIsDescribed":  topologyIsDescribed,
	"GroupsLagIsDescribed": groupsLagIsDescribed,
}

// replayable returns the broker as one that can be read at any place; the test is skipped where it cannot.
func (s *suite) replayable(b broker.Broker) broker.Replayable {
	s.Helper()
	log, ok := b.(broker.Replayable)
	if !ok {
		s.Skip("the broker's log cannot be read at any place")
	}
	return log
}

// reader returns a reader of the broker's log, which is closed when the test ends.
func (s *suite) reader(b broker.Broker) *broker.Records {
	s.Helper()
	records := broker.NewRecords(s.replayable(b))
	s.Cleanup(func() { s.within("close the reader", records.Close) })
	return records
}

// page reads records of the main topic.
func (s *suite) page(records *broker.Records, q application.RecordQuery) application.RecordPage {
	s.Helper()
	var page application.RecordPage
	q.Topic = s.options.Topic
	s.must("read", func() (err error) {
		ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
		defer cancel()
		page, err = records.Page(ctx, q)
		return err
	})
	return page
}

func readAtAPlace(s *suite) {
	b := s.open()
	records := s.reader(b)
	msgs := s.messages(20)
	msgs[7].Metadata.Set("header", "value")
	s.publish(b, msgs...)
	s.publish(b, s.message("another key", "x"), s.message("a third key", "y"))
	at := s.origin(msgs[0])
	for _, test := range []struct {
		what               string
		offset             int64
		limit, first, next int
	}{
		{"from the first", at.Offset, 5, 0, 5},
		{"in the middle", at.Offset + 7, 1, 7, 8},
		{"before the first", 0, 3, 0, 3},
		{"up to the end", at.Offset + 15, 5, 15, 20},
	} {
		page := s.page(records, application.RecordQuery{Partition: at.Partition, Offset: test.offset, Limit: test.limit})
		if len(page.Records) != test.next-test.first || page.Next != at.Offset+int64(test.next) || page.Topic != s.options.Topic {
			s.Fatalf("%s: got %d records and the next offset %d", test.what, len(page.Records), page.Next)
		}
		for i, got := range page.Records {
			want := msgs[test.first+i]
			if got.MessageID != want.UUID || string(got.Value) != string(want.Payload) || string(got.Key) != "one key" ||
				got.Headers["header"] != want.Metadata["header"] || got.Position != s.origin(want).Position {
				s.Errorf("%s: record %d is %+v, want %v", test.what, i, got, want)
			}
		}
	}
	all := s.page(records, application.RecordQuery{Partition: at.Partition, Offset: -1, Limit: 5})
	if len(all.Records) != 1 || all.Records[0].Offset != all.Bounds.Next-1 {
		s.Errorf("the last one: got %+v", all)
	}
}

func readWhatIsNotThere(s *suite) {
	b := s.open()
	records := s.reader(b)
	s.publish(b, s.messages(3)...)
	page := s.page(records, application.RecordQuery{Offset: 1 << 40, Limit: 5})
	if len(page.Records) != 0 {
		s.Errorf("behind the end there are %d records", len(page.Records))
	}
	_, err := records.Page(s.Context(), application.RecordQuery{Topic: s.options.Topic, Partition: 1000, Limit: 1})
	if !errors.Is(err, domain.ErrNotFound) {
		s.Errorf("partition 1000: got the error %v, want not found", err)
	}
}

func readEndsWithContext(s *suite) {
	b := s.open()
	records := s.reader(b)
	s.publish(b, s.messages(3)...)
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	s.within("read", func() {
		_, err := records.Page(ctx, application.RecordQuery{Topic: s.options.Topic, Limit: 1000})
		if err != nil && !errors.Is(err, domain.ErrUnavailable) {
			s.Errorf("got the error %v, want unavailable", err)
		}
	})
}

// readSeveralAtOnce reads more often at once than there are turns.
func readSeveralAtOnce(s *suite) {
	b := s.open()
	records := s.reader(b)
	msgs := s.messages(10)
	s.publish(b, msgs...)
	at := s.origin(msgs[0])
	done := make(chan error)
	for n := range 8 {
		go func() {
			ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
			defer cancel()
			page, err := records.Page(ctx, application.RecordQuery{
				Topic: s.options.Topic, Partition: at.Partition, Offset: at.Offset + int64(n), Limit: 1,
			})
			if err == nil && (len(page.Records) != 1 || page.Records[0].MessageID != msgs[n].UUID) {
				err = fmt.Errorf("reading %d got %+v", n, page.Records)
			}
			done <- err
		}()
	}
	for range 8 {
		s.must("read", func() error { return <-done })
	}
}

// topologyIsDescribed checks that all partitions are shown, each with its ends, and with a leader where there are replicas.
func topologyIsDescribed(s *suite) {
	b := s.open()
	msgs := s.messages(5)
	s.publish(b, msgs...)
	at := s.origin(msgs[0])
	inspector := broker.NewInspector(b, s.reader(b))
	s.must("describe", func() error {
		topic, err := inspector.Topic(s.Context(), s.options.Topic)
		if err != nil {
			return err
		}
		if topic.Name != s.options.Topic || len(topic.Partitions) != max(1, s.Partitions) {
			return fmt.Errorf("got %+v", topic)
		}
		for i, p := range topic.Partitions {
			if int(p.Partition) != i || p.Partition == at.Partition && p.Next-p.First != 5 {
				return fmt.Errorf("partition %d is %+v", i, p)
			}
			if len(p.Replicas) > 0 && (p.Leader < 0 || len(p.InSync) == 0) {
				return fmt.Errorf("partition %d has no leader: %+v", i, p)
			}
		}
		return nil
	})
}

// groupsLagIsDescribed has a member of a group take some of the records.
func groupsLagIsDescribed(s *suite) {
	if !s.Groups {
		s.Skip("the broker has no groups")
	}
	b, group := s.open(), s.group()
	if _, ok := b.(broker.Describer); !ok {
		s.Skip("the broker does not describe groups")
	}
	inspector := broker.NewInspector(b, s.reader(b))
	inspect := application.NewInspect(inspector, noStore{}, application.Inspected{
		Topic: s.options.Topic, DeadLetterTopic: s.options.DeadLetterTopic, Group: group,
	})
	msgs := s.messages(10)
	s.publish(b, msgs...)
	at := s.origin(msgs[0])
	topology := func() (t application.Topology) {
		s.must("topology", func() (err error) {
			t, err = inspect.Topology(s.Context())
			return err
		})
		return t
	}
	if got := topology().Groups[0].Lag; got != 10 {
		s.Errorf("before there is a member the lag is %d", got)
	}
	sub := s.subscribe(b, group)
	sub.ack(6)
	t := topology()
	assigned := 0
	for _, m := range t.Groups[0].Members {
		assigned += len(m.Assigned)
		if m.ID == "" || m.Client == "" || m.Host == "" {
			s.Errorf("got the member %+v", m)
		}
	}
	if t.Groups[0].State != "Stable" || assigned != len(t.Topics[0].Partitions) || len(t.Topics) != 2 {
		s.Errorf("while there is a member: got %+v", t)
	}
	sub.close()
	if g := topology().Groups[0]; len(g.Members) != 0 || g.Lag != 4 || g.Places[at.Partition].Committed != at.Offset+6 {
		s.Errorf("without a member: got %+v", g)
	}
}

// noStore has taken nothing.
type noStore struct{ application.Recorder }

func (noStore) Positions(context.Context, string) (map[int32]int64, error) { return nil, nil }
