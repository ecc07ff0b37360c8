package rest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// busy is a service whose log, and whose store, take what comes and keep it until the gate opens.
type busy struct {
	*service

	gate              chan struct{}
	publishing, reads atomic.Int64
}

func newBusy(t *testing.T, bounds Bounds) *busy {
	b := &busy{gate: make(chan struct{})}
	b.service = newService(t, func(o *Options) { o.Load = NewLoad(bounds) })
	b.log.publish = func(context.Context, []domain.Event) error {
		b.publishing.Add(1)
		defer b.publishing.Add(-1)
		<-b.gate
		return domain.ErrTooLarge // keeps the fake store small
	}
	b.store.stream = func(context.Context, application.Query, func([]byte) error) (string, error) {
		b.reads.Add(1)
		defer b.reads.Add(-1)
		<-b.gate
		return "", nil
	}
	return b
}

// eventually waits until the condition holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 20*time.Second, time.Millisecond)
}

// TestRequestsInFlight fills the bounds: what comes on top is refused at once, publishing and reading do not get in each
// other's way, and health is always told.
func TestRequestsInFlight(t *testing.T) {
	b := newBusy(t, Bounds{Requests: 3})
	var running sync.WaitGroup
	var accepted atomic.Int64
	for range 3 {
		running.Go(func() {
			if b.post("/api/events", smallEvent).StatusCode == http.StatusRequestEntityTooLarge {
				accepted.Add(1)
			}
		})
	}
	eventually(t, func() bool { return b.publishing.Load() == 3 })
	for range 3 {
		for path, body := range map[string]string{"/api/events": smallEvent, batchPath: "[" + smallEvent + "]"} {
			w := b.post(path, body)
			assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
			p := decode[problemBody](t, w)
			assert.Equal(t, typePrefix+"overloaded", p.Type)
			assert.Contains(t, p.Detail, "nothing of this request was done")
			assert.Equal(t, "1", w.Header.Get("Retry-After"))
		}
	}
	assert.Equal(t, http.StatusNotFound, b.get("/api/events/"+someID).StatusCode, "reading goes on")
	for range 3 {
		running.Go(func() { b.get("/api/events") })
	}
	eventually(t, func() bool { return b.reads.Load() == 3 })
	assert.Equal(t, http.StatusServiceUnavailable, b.get("/api/events/"+someID).StatusCode)
	assert.Equal(t, http.StatusServiceUnavailable, b.send(http.MethodHead, "/api/events", "").StatusCode)
	assert.Equal(t, http.StatusOK, b.get("/health/live").StatusCode)
	assert.Equal(t, http.StatusOK, b.get("/openapi.json").StatusCode)
	s := b.api.Load.State()
	assert.Equal(t, []int{3, 3}, []int{s.Publishing, s.Querying})
	assert.Equal(t, []int64{6, 2}, []int64{s.RefusedPublishing, s.RefusedQuerying})
	close(b.gate)
	running.Wait()
	assert.Equal(t, int64(3), accepted.Load())
	s = b.api.Load.State()
	assert.Equal(t, []int{0, 0}, []int{s.Publishing, s.Querying})
	assert.Equal(t, http.StatusOK, b.get("/api/events").StatusCode)
	assert.Contains(t, b.logs.String(), "there is too much to do")
}

// TestDocumentsAreBounded has clients that do not read what is for everybody.
func TestDocumentsAreBounded(t *testing.T) {
	s := newService(t, func(o *Options) { o.Load = NewLoad(Bounds{Requests: 2}) })
	gate := make(chan struct{})
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() {
			s.api.ServeHTTP(unread{http.Header{}, gate}, httptest.NewRequest(http.MethodGet, "/swagger/swagger-ui-bundle.js", http.NoBody))
		})
	}
	eventually(t, func() bool { return s.api.Load.State().Documents == 2 })
	for _, path := range []string{"/swagger", "/swagger/start.js", "/openapi.json", "/openapi.yaml"} {
		w := s.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode, path)
		assert.Equal(t, typePrefix+"overloaded", decode[problemBody](t, w).Type)
	}
	assert.Equal(t, http.StatusOK, s.get("/health/live").StatusCode)
	assert.Equal(t, http.StatusOK, s.get("/api/events").StatusCode)
	assert.Equal(t, int64(4), s.api.Load.State().RefusedDocuments)
	close(gate)
	running.Wait()
	assert.Zero(t, s.api.Load.State().Documents)
	assert.Equal(t, http.StatusOK, s.get("/swagger").StatusCode)
}

// stuckLog is a broker that tells nothing before the gate opens.
type stuckLog struct {
	application.LogInspector

	gate  chan struct{}
	asked atomic.Int64
}

func (l *stuckLog) Topic(context.Context, string) (application.TopicInfo, error) {
	l.asked.Add(1)
	<-l.gate
	return application.TopicInfo{}, domain.ErrUnavailable
}

// TestAdministrationIsBounded has a broker that does not answer: what asks it gets in nobody's way.
func TestAdministrationIsBounded(t *testing.T) {
	stuck := &stuckLog{gate: make(chan struct{})}
	s := newService(t, func(o *Options) {
		o.Load, o.Inspect = NewLoad(Bounds{Requests: 1}), application.NewInspect(stuck, nil, application.Inspected{})
	})
	var running sync.WaitGroup
	for range maxAdministering {
		running.Go(func() { s.get("/api/admin/broker") })
	}
	eventually(t, func() bool { return stuck.asked.Load() == maxAdministering })
	w := s.get("/api/admin/broker")
	assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
	assert.Equal(t, typePrefix+"overloaded", decode[problemBody](t, w).Type)
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent).StatusCode)
	assert.Equal(t, http.StatusOK, s.get("/api/events").StatusCode)
	state := s.api.Load.State()
	assert.Equal(t, maxAdministering, state.Administering)
	assert.Equal(t, int64(1), state.RefusedAdministering)
	close(stuck.gate)
	running.Wait()
	assert.Zero(t, s.api.Load.State().Administering)
}

// TestSlowBodiesKeepNobodyOut has more senders that take their time than requests may be in flight.
func TestSlowBodiesKeepNobodyOut(t *testing.T) {
	s := newService(t, func(o *Options) { o.Load = NewLoad(Bounds{Requests: 2}) })
	address := s.serve()
	var slow []*wire
	for range 10 {
		c := dial(t, s, address)
		c.write(postHead + "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n")
		line, err := c.reader.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, line, "100 Continue") // it is waited for
		slow = append(slow, c)
	}
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", smallEvent).StatusCode)
	for _, c := range slow {
		c.Close()
	}
}

// TestPanicLeavesNothingInFlight counts on.
func TestPanicLeavesNothingInFlight(t *testing.T) {
	s := newService(t)
	s.log.publish = func(context.Context, []domain.Event) error { panic("x") }
	s.post(batchPath, "["+strings.Repeat(" ", 1<<20)+smallEvent+"]")
	assert.Equal(t, LoadState{Bounds: s.api.Load.bounds, MaxAdministering: maxAdministering}, s.api.Load.State())
}

// TestBodiesInMemory fills the memory for bodies with batches: the next large one is refused, small ones are not.
func TestBodiesInMemory(t *testing.T) {
	b := newBusy(t, Bounds{Bodies: 7 << 20})
	large := "[" + smallEvent + strings.Repeat(" ", 1<<20) + "]"
	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { b.post(batchPath, large) })
	}
	eventually(t, func() bool { return b.publishing.Load() == 2 })
	for _, expect := range []string{"", "Expect: 100-continue\r\n"} {
		c := dial(t, b.service, b.serve())
		c.write(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n", batchPath, expect, len(large)))
		if expect != "" {
			for range 2 {
				_, err := c.reader.ReadString('\n')
				require.NoError(t, err)
			}
		}
		c.write(large)
		assert.Equal(t, http.StatusServiceUnavailable, c.read(http.MethodPost, batchPath).StatusCode)
	}
	w := b.post(batchPath, large)
	assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
	assert.Equal(t, typePrefix+"overloaded", decode[problemBody](t, w).Type)
	assert.Equal(t, int64(3), b.api.Load.State().RefusedBodies)
	running.Go(func() { b.post(batchPath, "["+smallEvent+"]") })
	eventually(t, func() bool { return b.publishing.Load() == 3 })
	held := b.api.Load.State().Bodies
	assert.Greater(t, held, int64(2<<20))
	assert.LessOrEqual(t, held, int64(7<<20))
	close(b.gate)
	running.Wait()
	assert.Zero(t, b.api.Load.State().Bodies)
}

// TestBatchesCountTheirEvents: many short events take far more than their text, and a text is there twice.
func TestBatchesCountTheirEvents(t *testing.T) {
	b := newBusy(t, Bounds{})
	array := "[" + strings.Repeat(smallEvent+",", 999) + smallEvent + "]"
	lines := strings.Repeat(smallEvent+"\n", 1000)
	long := "[" + smallEvent + strings.Repeat(" ", 1<<20) + "]"
	var running sync.WaitGroup
	var most int64
	for i, body := range []string{array, lines, long} {
		media := mediaJSON
		if body == lines {
			media = mediaNDJSON
		}
		running.Go(func() { b.send(http.MethodPost, batchPath, body, "Content-Type: "+media) })
		eventually(t, func() bool { return b.publishing.Load() == int64(i+1) })
		more := b.api.Load.State().Bodies - most
		most += more
		assert.Greater(t, more, []int64{1000 * eventMemory, 1000 * eventMemory, 2 << 20}[i])
		assert.Less(t, more, int64(4<<20))
	}
	close(b.gate)
	running.Wait()
	assert.Zero(t, b.api.Load.State().Bodies)
}

// TestStreamsShareMemory: a connection of HTTP/2 has many bodies, and no bound of connections holds them.
func TestStreamsShareMemory(t *testing.T) {
	s := newService(t, func(o *Options) { o.Load = NewLoad(Bounds{Bodies: bufferSize - 1}) })
	for major, want := range map[int]int{1: http.StatusAccepted, 2: http.StatusServiceUnavailable} {
		r := httptest.NewRequest(http.MethodPost, "/api/events", strings.NewReader(smallEvent))
		r.Header.Set("Content-Type", "application/json")
		r.ProtoMajor = major
		assert.Equal(t, want, s.sendRequest(s, r).StatusCode, major)
	}
	assert.Zero(t, s.api.Load.State().Bodies)
}

// TestBodyMemoryIsWhatItNeeds has the memory that a body takes stay near its size.
func TestBodyMemoryIsWhatItNeeds(t *testing.T) {
	for _, size := range []int{1, bufferSize - 1, bufferSize, bufferSize + 1, 1 << 20, 16<<20 - 1, 16 << 20} {
		load := NewLoad(Bounds{})
		b := &buffer{load: load}
		require.NoError(t, b.readAll(bytes.NewReader(make([]byte, size)), 16<<20))
		assert.Len(t, b.b, size)
		assert.LessOrEqual(t, cap(b.b), max(bufferSize, min(2*size+bufferSize, 16<<20+bufferSize)))
		assert.Equal(t, int64(max(0, cap(b.b)-bufferSize)), load.State().Bodies)
		b.free()
		assert.Zero(t, load.State().Bodies)
	}
}

// TestBodyThatComesHasItsMemory: what is announced costs nothing, and all of it once an eighth has come, so that bodies which come
// at the same time do not keep each other from being whole.
func TestBodyThatComesHasItsMemory(t *testing.T) {
	const announced = 8 << 20
	for come, want := range map[int]int64{64 << 10: 128<<10 - bufferSize, 2 << 20: announced + 1 - bufferSize} {
		load := NewLoad(Bounds{})
		b := &buffer{b: make([]byte, 0, bufferSize), load: load, announced: announced, copies: batchCopies}
		require.NoError(t, b.readAll(bytes.NewReader(make([]byte, come)), 16<<20))
		assert.Equal(t, want*batchCopies, load.State().Bodies, come)
		b.free()
		assert.Zero(t, load.State().Bodies)
	}
}

// TestRefusedAtOnce has clients whose bodies are still to come, or never will: a refusal does not wait for them.
func TestRefusedAtOnce(t *testing.T) {
	b := newBusy(t, Bounds{Requests: 1})
	address := b.serve()
	var running sync.WaitGroup
	defer running.Wait()
	defer close(b.gate)
	running.Go(func() { b.post("/api/events", smallEvent) })
	eventually(t, func() bool { return b.publishing.Load() == 1 })
	for name, test := range map[string]struct {
		framing string
		within  time.Duration
		kept    bool
	}{
		"the whole body":       {fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(smallEvent), smallEvent), scrapTimeout, true},
		"some of a short body": {"Content-Length: 100\r\n\r\n{", 2 * scrapTimeout, false},
		"some of a long body":  {"Content-Length: 1000000\r\n\r\n{", scrapTimeout, false},
		"chunks without end":   {"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", scrapTimeout, false},
		"100-continue":         {"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n", scrapTimeout, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, b.in(t), address)
			start := time.Now()
			c.write("POST /api/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + test.framing)
			w := c.read(http.MethodPost, "/api/events")
			assert.Equal(t, http.StatusServiceUnavailable, w.StatusCode)
			assert.Less(t, time.Since(start), test.within)
			assert.Equal(t, test.kept, !w.Close)
			if test.kept {
				c.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
				assert.Equal(t, http.StatusOK, c.read(http.MethodGet, "/health/live").StatusCode)
			}
		})
	}
}

// TestOverload drives far more than the bounds, with small events and with large batches, while the log takes its time: every
// answer is 202 or 503 and comes in time, and the memory does not grow.
func TestOverload(t *testing.T) {
	const (
		requests = 16
		clients  = 8 * requests
		bodies   = 8 << 20
		rounds   = 3
	)
	s := newService(t, func(o *Options) { o.Load = NewLoad(Bounds{Requests: requests, Bodies: bodies}) })
	var under atomic.Int64
	var mu sync.Mutex
	var most int64
	s.log.publish = func(context.Context, []domain.Event) error {
		n := under.Add(1)
		defer under.Add(-1)
		mu.Lock()
		most = max(most, n)
		mu.Unlock()
		<-time.After(20 * time.Millisecond) // a log under load
		return nil
	}
	s.log.store = &fakeStore{}
	address := s.serve()
	transport := &http.Transport{MaxConnsPerHost: 0, MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	event := fmt.Sprintf(`{"eventId":"%s","userId":"u","eventType":"t"}`, someID)
	large := []byte("[" + event + strings.Repeat(" ", 2<<20) + "]")

	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var statuses [600]atomic.Int64
	var highest atomic.Uint64
	measured := make(chan struct{})
	var measuring sync.WaitGroup
	measuring.Go(func() {
		for {
			select {
			case <-measured:
				return
			case <-time.After(5 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				highest.Store(max(highest.Load(), m.HeapInuse))
			}
		}
	})
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			for range rounds {
				path, body := "/api/events", io.Reader(strings.NewReader(event))
				if i%4 == 0 {
					path, body = batchPath, bytes.NewReader(large)
				}
				start := time.Now()
				w, err := client.Post("http://"+address+path, "application/json", body)
				if err != nil {
					t.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, w.Body)
				w.Body.Close()
				statuses[w.StatusCode].Add(1)
				if took := time.Since(start); took > 30*time.Second {
					t.Errorf("%d after %v", w.StatusCode, took)
				}
			}
		})
	}
	running.Wait()
	close(measured)
	measuring.Wait()
	for status := range statuses {
		if n := statuses[status].Load(); n > 0 {
			t.Logf("%d: %d", status, n)
			assert.Contains(t, []int{http.StatusAccepted, http.StatusServiceUnavailable}, status)
		}
	}
	assert.Positive(t, statuses[202].Load())
	assert.Positive(t, statuses[503].Load())
	assert.LessOrEqual(t, most, int64(requests))
	t.Logf("at most %d MiB more of heap, for bodies of %d MiB at a time; %d publications at a time",
		(highest.Load()-min(before.HeapInuse, highest.Load()))>>20, clients/4*2, most)
	assert.Less(t, highest.Load(), before.HeapInuse+8*bodies)
	eventually(t, func() bool {
		s := s.api.Load.State()
		return s.Publishing == 0 && s.Bodies == 0
	})
	assert.Equal(t, http.StatusAccepted, s.post("/api/events", event).StatusCode)
}

// TestConnectionsAreBounded has all connections at work: others are closed, and there is room again when one waits.
func TestConnectionsAreBounded(t *testing.T) {
	b := newBusy(t, Bounds{Connections: 4})
	address := b.serve()
	for range 4 {
		c := dial(t, b.service, address)
		c.write(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", postHead, len(smallEvent), smallEvent))
		defer c.read(http.MethodPost, "/api/events")
	}
	eventually(t, func() bool { return b.publishing.Load() == 4 })
	for range 10 {
		wantClosed(t, address)
	}
	state := b.api.Load.State()
	assert.Equal(t, 4, state.Connections)
	assert.Equal(t, int64(10), state.RefusedConnections)
	close(b.gate)
	eventually(t, func() bool { return b.publishing.Load() == 0 })
	eventually(t, func() bool { return health(t, b.service, address) == nil })
}

// wantClosed opens a connection and finds it closed.
func wantClosed(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is left to wait")
}

// health asks on a connection of its own.
func health(t *testing.T, s *service, address string) error {
	t.Helper()
	c := dial(t, s, address)
	defer c.Close()
	if _, err := io.WriteString(c, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		return err
	}
	w, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return err
	}
	assert.Equal(t, http.StatusOK, w.StatusCode)
	return w.Body.Close()
}

// TestIdleConnectionsMakeRoom has somebody open far more connections than there may be, and send nothing, or half a header, or
// one request: others are served all the same.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	s := newService(t, func(o *Options) { o.Load = NewLoad(Bounds{Connections: 8}) })
	address := s.serve()
	for i := range 100 {
		c := dial(t, s, address)
		switch i % 3 {
		case 0:
			c.write("GET /health/live HTTP/1.1\r\nHo")
		case 1:
			c.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
			assert.Equal(t, http.StatusOK, c.read(http.MethodGet, "/health/live").StatusCode)
		}
		require.NoError(t, health(t, s, address))
		assert.LessOrEqual(t, s.api.Load.State().Connections, 8)
	}
	assert.Positive(t, s.api.Load.State().RefusedConnections)
}
