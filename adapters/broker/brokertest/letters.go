package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/broker"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// letters tests that dead letters can be listed, requeued and dropped on a broker that is [broker.Replayable].
var letters = map[string]func(*suite){
	"DeadLetterIsRequeuedOnce":    deadLetterIsRequeuedOnce,
	"DeadLetterIsDroppedOnce":     deadLetterIsDroppedOnce,
	"DeadLettersKeepTheirOrder":   deadLettersKeepTheirOrder,
	"DeadLettersAreSelected":      deadLettersAreSelected,
	"DeadLettersAgreeEverywhere":  deadLettersAgreeEverywhere,
	"DeadLetterWithoutKey":        deadLetterWithoutKey,
	"SomebodyElsesDeadLetter":     somebodyElsesDeadLetter,
	"UnknownDeadLetterIsNotFound": unknownDeadLetterIsNotFound,
}

// post is the dead letters of a broker, followed in the background.
type post struct {
	*suite
	*application.Letters

	box   *broker.Letters
	keep  *broker.DeadLetters
	end   func()
	count int64
}

func (s *suite) post(b broker.Broker) *post {
	s.Helper()
	log, records := s.replayable(b), s.reader(b)
	box := broker.NewLetters(log, records, s.options)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { box.Run(ctx) })
	end := sync.OnceFunc(func() {
		cancel()
		s.within("end of reading dead letters", running.Wait)
	})
	s.Cleanup(end)
	return &post{
		suite: s, Letters: application.NewLetters(box), box: box, end: end,
		keep: broker.NewDeadLetters(b.Publisher(), s.options.DeadLetterTopic, s.options.Logger),
	}
}

// give keeps a dead letter of the value, as the consumer does, and returns when it is listed.
func (p *post) give(key []byte, value, reason string) {
	p.Helper()
	p.count++
	letter := application.DeadLetter{
		Origin: application.Origin{
			Position: application.Position{Partition: 2, Offset: 100 + p.count}, Topic: p.options.Topic, Key: key, Time: time.Unix(1700000000, 0),
		},
		MessageID: fmt.Sprint("id of ", value), Value: []byte(value), Headers: map[string]string{"h": value},
		Reason: errors.New(reason), Attempts: 2, Consumer: "group",
	}
	before := p.open()
	p.must("keep a dead letter", func() error { return p.keep.Keep(p.Context(), letter) })
	p.awaitOpen(before + 1)
}

// open is how many open letters there are.
func (p *post) open() int64 {
	p.Helper()
	return p.list(application.LetterQuery{}).Open
}

// awaitOpen waits until there are n open letters.
func (p *post) awaitOpen(n int64) {
	p.Helper()
	p.within(fmt.Sprintf("%d open dead letters", n), func() {
		for p.box.Status().Open != n {
			time.Sleep(2 * time.Millisecond)
		}
	})
}

func (p *post) list(q application.LetterQuery) (page application.LetterPage) {
	p.Helper()
	p.must("list", func() (err error) {
		page, err = p.List(p.Context(), q)
		return err
	})
	return page
}

// only returns the one open letter.
func (p *post) only() application.Letter {
	p.Helper()
	page := p.list(application.LetterQuery{})
	if len(page.Letters) != 1 {
		p.Fatalf("there are %d dead letters: %+v", len(page.Letters), page.Letters)
	}
	return page.Letters[0]
}

func (p *post) show(id string) (w application.WholeLetter) {
	p.Helper()
	p.must("show", func() (err error) {
		w, err = p.Show(p.Context(), id)
		return err
	})
	return w
}

func deadLetterIsRequeuedOnce(s *suite) {
	b := s.open()
	p := s.post(b)
	sub := s.subscribe(b, s.group())
	p.give([]byte("user"), "poison", "it is poison")
	l := p.only()
	if l.Reason != "it is poison" || string(l.Key) != "user" || l.Attempts != 2 || l.Requeues != 0 || l.Size != 6 || l.Consumer != "group" ||
		l.From != (application.Place{Topic: s.options.Topic, Position: application.Position{Partition: 2, Offset: 101}}) || l.First != l.From {
		s.Errorf("got the letter %+v", l)
	}
	w := p.show(l.ID())
	if w.Settled || string(w.Record.Value) != "poison" || w.Record.Headers["h"] != "poison" || w.Record.MessageID != "id of poison" {
		s.Errorf("got the letter %+v", w)
	}
	for n := range 3 {
		var done bool
		requeue := make(chan error, 1)
		go func() {
			var err error
			done, err = p.Requeue(s.Context(), l.ID(), "me")
			requeue <- err
		}()
		if n == 0 {
			got := sub.next()
			o := s.origin(got)
			if string(got.Payload) != "poison" || string(o.Key) != "user" || got.UUID != "id of poison" || got.Metadata["h"] != "poison" ||
				got.Metadata[application.HeaderOrigin] != l.From.String() || got.Metadata[application.HeaderRequeues] != "1" ||
				got.Metadata[application.HeaderAttempts] != "2" || got.Metadata[broker.DeadLetterReason] != "" || len(got.Metadata) != 5 {
				s.Errorf("requeued is %q %q with key %q", got.Payload, got.Metadata, o.Key)
			}
			got.Ack()
		}
		s.must("requeue", func() error { return <-requeue })
		if done != (n == 0) {
			s.Errorf("requeue %d is said to be done: %t", n, done)
		}
	}
	if p.open() != 0 || !p.show(l.ID()).Settled || p.box.Status().Requeued != 1 {
		s.Error("the letter is still open")
	}
	s.publishing(b, "last")
	if got := sub.ack(1)[0]; string(got.Payload) != "last" {
		s.Errorf("it was requeued twice: %q", got.Payload)
	}
}

// publishing publishes without waiting, as a volatile broker waits for acks.
func (s *suite) publishing(b broker.Broker, payload string) {
	done := make(chan error, 1)
	msg := s.message("user", payload)
	go func() { done <- b.Publisher().Publish(s.options.Topic, msg) }()
	s.Cleanup(func() { s.must("publish", func() error { return <-done }) })
}

func deadLetterIsDroppedOnce(s *suite) {
	b := s.open()
	p := s.post(b)
	p.give([]byte("user"), "poison", "it is poison")
	l := p.only()
	for n := range 3 {
		s.must("drop", func() error {
			done, err := p.Drop(s.Context(), l.ID(), "me")
			if done != (n == 0) {
				s.Errorf("drop %d is said to be done: %t", n, done)
			}
			return err
		})
	}
	if done, err := p.Requeue(s.Context(), l.ID(), "me"); done || err != nil {
		s.Errorf("a dropped letter is requeued: %t, %v", done, err)
	}
	if p.open() != 0 || !p.show(l.ID()).Settled || p.box.Status().Dropped != 1 {
		s.Error("the letter is still open")
	}
}

// deadLettersKeepTheirOrder requeues letters of several keys, and letters of one key come in their order.
func deadLettersKeepTheirOrder(s *suite) {
	b := s.open()
	p := s.post(b)
	sub := s.subscribe(b, s.group())
	const keys, each = 3, 4
	for n := range each {
		for k := range keys {
			p.give(fmt.Append(nil, "key ", k), fmt.Sprint("value ", n), "bad")
		}
	}
	requeue := make(chan error, 1)
	var reports []application.RequeueReport
	go func() {
		q := application.LetterQuery{Limit: 5}
		for {
			r, err := p.RequeueMany(s.Context(), q, "me")
			reports = append(reports, r)
			if q.Cursor, q.To = r.Next, r.To; err != nil || r.Next == "" {
				requeue <- err
				return
			}
		}
	}()
	got := map[string][]string{}
	for range keys * each {
		msg := sub.next()
		key := string(s.origin(msg).Key)
		got[key] = append(got[key], string(msg.Payload))
		msg.Ack()
	}
	s.must("requeue", func() error { return <-requeue })
	for key, values := range got {
		if !slices.IsSorted(values) || len(values) != each {
			s.Errorf("%s: got %q", key, values)
		}
	}
	total := 0
	for i, r := range reports {
		total += r.Requeued
		if left := keys*each - total; r.Failed != 0 || r.Left != left || (r.Next == "") != (left == 0) {
			s.Errorf("report %d is %+v", i, r)
		}
	}
	if p.open() != 0 || total != keys*each {
		s.Errorf("%d were requeued, %d are left", total, p.open())
	}
}

func deadLettersAreSelected(s *suite) {
	p := s.post(s.open())
	for n := range 6 {
		p.give(fmt.Append(nil, "key ", n), "x", []string{"a bad number", "a bad name"}[n%2])
	}
	if page := p.list(application.LetterQuery{Reason: "name"}); len(page.Letters) != 3 || page.Next != "" || page.Open != 6 {
		s.Errorf("by reason: got %+v", page)
	}
	var ids []string
	q := application.LetterQuery{Limit: 4}
	for {
		page := p.list(q)
		for _, l := range page.Letters {
			ids = append(ids, l.ID())
		}
		if q.Cursor = page.Next; page.Next == "" {
			break
		}
	}
	if slices.Sort(ids); len(ids) != 6 || len(slices.Compact(ids)) != 6 {
		s.Errorf("page by page: got %q", ids)
	}
	now := time.Now()
	for _, test := range []struct {
		from, to time.Time
		want     int
	}{{now.Add(-time.Hour), now.Add(time.Hour), 6}, {now.Add(time.Hour), time.Time{}, 0}, {time.Time{}, now.Add(-time.Hour), 0}} {
		if page := p.list(application.LetterQuery{From: test.from, To: test.to}); len(page.Letters) != test.want {
			s.Errorf("from %v to %v: got %d letters", test.from, test.to, len(page.Letters))
		}
	}
}

// deadLettersAgreeEverywhere has one instance settle letters, and another one, and a later one, see it.
func deadLettersAgreeEverywhere(s *suite) {
	b := s.open()
	p, other := s.post(b), s.post(b)
	for n := range 5 {
		p.give(fmt.Append(nil, "key ", n%2), fmt.Sprint("value ", n), "bad")
	}
	other.awaitOpen(5)
	all := p.list(application.LetterQuery{}).Letters
	for _, l := range all[:3] {
		s.must("drop", func() error {
			_, err := p.Drop(s.Context(), l.ID(), "me")
			return err
		})
	}
	other.awaitOpen(2)
	for _, l := range all[:3] {
		if done, err := other.Drop(s.Context(), l.ID(), "you"); done || err != nil {
			s.Errorf("it is dropped once more: %t, %v", done, err)
		}
	}
	p.end()
	other.end()
	later := s.post(b)
	page := later.list(application.LetterQuery{})
	if !slices.EqualFunc(page.Letters, all[3:], func(a, b application.Letter) bool { return a.ID() == b.ID() }) {
		s.Errorf("later there are %+v", page.Letters)
	}
}

// deadLetterWithoutKey has no order, and its mark may be in any partition.
func deadLetterWithoutKey(s *suite) {
	b := s.open()
	p := s.post(b)
	const n = 8
	for range n {
		p.give(nil, "poison", "bad")
	}
	for _, l := range p.list(application.LetterQuery{}).Letters {
		if l.Key != nil {
			s.Errorf("a letter without key has the key %q", l.Key)
		}
		s.must("drop", func() error {
			_, err := p.Drop(s.Context(), l.ID(), "")
			return err
		})
	}
	p.end()
	if later := s.post(b); later.open() != 0 {
		s.Errorf("later %d of %d are open", later.open(), n)
	}
}

// somebodyElsesDeadLetter has a record without any of the headers.
func somebodyElsesDeadLetter(s *suite) {
	if s.Produce == nil {
		s.Skip("the driver's test cannot write foreign records")
	}
	b := s.open()
	p := s.post(b)
	if p.open() != 0 {
		s.Error("a new topic has dead letters")
	}
	s.Produce(s.T, s.options.DeadLetterTopic, []byte("k"), []byte("theirs"), map[string]string{"h": "v"})
	p.awaitOpen(1)
	l := p.only()
	if l.Reason != "" || l.From != (application.Place{}) || l.Size != 6 {
		s.Errorf("got the letter %+v", l)
	}
	s.must("requeue", func() error {
		_, err := p.Requeue(s.Context(), l.ID(), "")
		return err
	})
	sub := s.subscribe(b, s.group())
	got := sub.ack(1)[0]
	if string(got.Payload) != "theirs" || got.Metadata["h"] != "v" ||
		got.Metadata[application.HeaderOrigin] != (application.Place{Topic: s.options.DeadLetterTopic, Position: l.Position}).String() {
		s.Errorf("got %q %q", got.Payload, got.Metadata)
	}
}

func unknownDeadLetterIsNotFound(s *suite) {
	p := s.post(s.open())
	p.give([]byte("user"), "poison", "bad")
	l := p.only()
	s.must("drop", func() error {
		_, err := p.Drop(s.Context(), l.ID(), "")
		return err
	})
	mark := application.LetterID(application.Position{Partition: l.Partition, Offset: l.Offset + 1})
	for _, id := range []string{"", "x", "0", "0-", "-1-0", "0-01", "+0-0", "0-99999999999", "77-0", mark} {
		for what, do := range map[string]func() error{
			"show":    func() error { _, err := p.Show(s.Context(), id); return err },
			"requeue": func() error { _, err := p.Requeue(s.Context(), id, ""); return err },
			"drop":    func() error { _, err := p.Drop(s.Context(), id, ""); return err },
		} {
			if err := do(); !errors.Is(err, domain.ErrNotFound) {
				s.Errorf("%s %q: got the error %v, want not found", what, id, err)
			}
		}
	}
}
