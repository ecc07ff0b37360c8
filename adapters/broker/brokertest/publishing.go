package brokertest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/domain"
)

var publishing = map[string]func(*suite){
	"OrderOfEachUser":     orderOfEachUser,
	"Origins":             origins,
	"HeadersAndKey":       headersAndKey,
	"PoisonIsDelivered":   poisonIsDelivered,
	"LargestValue":        largestValue,
	"TooLargeAmongOthers": tooLargeAmongOthers,
	"NothingToPublish":    nothingToPublish,
	"ForeignRecords":      foreignRecords,
	"DeadLetters":         deadLetters,
}

// orderOfEachUser has many callers publish through the real log while a member of a group receives.
func orderOfEachUser(s *suite) {
	const callers, users, rounds, batch = 8, 5, 12, 3
	b := s.open()
	log := broker.NewLog(b, s.options)
	s.Cleanup(func() { s.within("close the log", log.Close) })
	sub := s.subscribe(b, s.group())
	var running sync.WaitGroup
	accepted := make([]map[string][]string, callers)
	for c := range callers {
		accepted[c] = map[string][]string{}
		running.Go(func() {
			for r := range rounds {
				events := s.events(fmt.Sprintf("caller %d user %d", c, r%users), batch)
				if _, err := log.Publish(s.Context(), events); err != nil {
					s.Errorf("publish: %v", err)
				}
				for _, e := range events {
					accepted[c][e.UserID()] = append(accepted[c][e.UserID()], e.ID().String())
				}
			}
		})
	}
	got := map[string][]string{}
	for _, msg := range sub.ack(callers * rounds * batch) {
		user := string(s.origin(msg).Key)
		got[user] = append(got[user], msg.UUID)
	}
	s.within("end of the publications", running.Wait)
	for _, users := range accepted {
		for user, ids := range users {
			if !slices.Equal(got[user], ids) {
				s.Errorf("the events of %s came as %v, were accepted as %v", user, got[user], ids)
			}
		}
	}
	if n := log.Published(); n != callers*rounds*batch {
		s.Errorf("%d published, want %d", n, callers*rounds*batch)
	}
}

func (s *suite) events(user string, n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		draft := domain.Draft{UserID: user, EventType: "test", Metadata: fmt.Appendf(nil, `{"n":%d}`, i)}
		e, err := draft.Event(time.Now())
		if err != nil {
			s.Error(err)
		}
		events[i] = e
	}
	return events
}
