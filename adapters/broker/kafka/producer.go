package kafka

import (
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wmkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
)

// producer produces to one topic.
type producer struct {
	sarama.SyncProducer

	publisher *wmkafka.Publisher
	link      *link
	// limit is how many bytes a batch may have.
	limit int
	// users and retired belong to producers.
	users   int
	retired bool
}

// kind tells apart the producers of one topic. One that gathers waits a moment for more records, as Sarama would send the first
// record of a publication at once, and all others after its ack; a record that is published alone must not wait.
type kind struct {
	topic   string
	gathers bool
}

// newProducer makes a producer, for which it needs a server. watermill-kafka's publisher would send one message after
// another and know nothing of their fates, so that its Sarama producer is used, which the hook for tracers shows.
func newProducer(s settings, limit int, gathers bool) (*producer, error) {
	config := s.producer(limit)
	if gathers {
		config.Producer.Flush.Frequency = gatherTime
	}
	p := &producer{limit: limit, link: newLink(config)}
	config.Producer.Retry.BackoffFunc = func(retries, _ int) time.Duration {
		if retries == 0 || p.link.isCut() {
			return 0 // a record that was not sent fails at once, and is sent again with its whole publication
		}
		s.options.NoteRetry()
		return pause(retries)
	}
	publisher, err := wmkafka.NewPublisher(wmkafka.PublisherConfig{
		Brokers: s.Brokers, Marshaler: marshaler{}, OverwriteSaramaConfig: config, Tracer: hook{p: p},
	}, watermill.NopLogger{})
	if err != nil {
		p.link.cut()
		return nil, err
	}
	p.publisher = publisher
	return p, nil
}

// hook implements watermill-kafka's SaramaTracer.
type hook struct {
	wmkafka.SaramaTracer

	p *producer
}

// WrapSyncProducer implements watermill-kafka's SaramaTracer.
func (h hook) WrapSyncProducer(_ *sarama.Config, p sarama.SyncProducer) sarama.SyncProducer {
	h.p.SyncProducer = p
	return p
}

// producers keeps producers for each topic, as each topic has a limit of its own, and replaces those that are of no more
// use.
type producers struct {
	settings settings
	topics   *topics
	client   sarama.Client
	closing  sync.WaitGroup

	mu     sync.Mutex
	byKind map[kind]*making
	all    map[*producer]struct{}
}

// making is a producer that is there or is being made; several callers wait for one attempt.
type making struct {
	done     chan struct{}
	producer *producer
	err      error
}

func newProducers(s settings, t *topics, client sarama.Client) *producers {
	return &producers{settings: s, topics: t, client: client, byKind: map[kind]*making{}, all: map[*producer]struct{}{}}
}

// acquire returns the producer of the kind; it must be released.
func (ps *producers) acquire(k kind) (*producer, error) {
	for {
		ps.mu.Lock()
		m := ps.byKind[k]
		if m == nil {
			m = &making{done: make(chan struct{})}
			ps.byKind[k] = m
			ps.mu.Unlock()
			ps.make(k, m)
		} else {
			ps.mu.Unlock()
		}
		<-m.done
		if m.err != nil {
			return nil, m.err
		}
		if ps.enter(m.producer) {
			return m.producer, nil
		}
	}
}

// make makes the topic, where it is missing, and its producer.
func (ps *producers) make(k kind, m *making) {
	limit, err := ps.topics.ensure(ps.client, k.topic)
	if err == nil {
		err = probe(ps.client, k.topic)
	}
	if err == nil {
		m.producer, err = newProducer(ps.settings, limit, k.gathers)
	}
	m.err = err
	ps.mu.Lock()
	if err != nil {
		delete(ps.byKind, k)
	} else {
		ps.all[m.producer] = struct{}{}
	}
	ps.mu.Unlock()
	close(m.done)
}

// probe tells whether a producer can be made: where the server gives it no id, Sarama leaves the client behind that it made
// for it.
func probe(client sarama.Client, topic string) error {
	if err := client.RefreshMetadata(topic); err != nil {
		return err
	}
	id, err := client.InitProducerID()
	if err == nil && id.Err != sarama.ErrNoError {
		err = id.Err
	}
	return err
}

// enter counts a user, unless the producer was retired meanwhile.
func (ps *producers) enter(p *producer) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if !p.retired {
		p.users++
	}
	return !p.retired
}

func (ps *producers) release(p *producer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.users--
	ps.closeUnused(p)
}

// retire has the next user get another producer. Those that still wait for this one are cut off after a while.
func (ps *producers) retire(k kind, p *producer) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.retired {
		return
	}
	p.retired = true
	if m := ps.byKind[k]; m != nil && m.producer == p {
		delete(ps.byKind, k)
	}
	if !ps.closeUnused(p) {
		time.AfterFunc(ps.settings.options.PublishTimeout, p.link.cut)
	}
}

// closeUnused closes a retired producer that nobody uses: a record would be sent to a closed channel.
func (ps *producers) closeUnused(p *producer) bool {
	if !p.retired || p.users > 0 {
		return false
	}
	delete(ps.all, p)
	ps.closing.Go(func() {
		_ = p.publisher.Close() // nothing is under way
		p.link.cut()
	})
	return true
}

// close retires all producers and waits for them. No call may be under way or follow.
func (ps *producers) close() {
	ps.mu.Lock()
	for p := range ps.all {
		p.retired = true
		ps.closeUnused(p)
	}
	clear(ps.byKind)
	ps.mu.Unlock()
	ps.closing.Wait()
}

// cut ends all calls under way.
func (ps *producers) cut() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for p := range ps.all {
		p.link.cut()
	}
}
