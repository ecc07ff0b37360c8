package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// answers counts what the service answered to all connections. It is safe for concurrent use.
type answers struct {
	mu       sync.Mutex
	statuses map[string]int
	// wrong are answers that must never be; wrongs counts those that are not kept, too.
	wrong  []string
	wrongs int
	// loaded says that load is on; last is when the last event was accepted, or the load began; gap is the longest time between.
	loaded bool
	last   time.Time
	gap    time.Duration
}

func newAnswers() *answers { return &answers{statuses: make(map[string]int)} }

// begin starts the measurement of gaps.
func (a *answers) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded, a.last = true, time.Now()
}

// end is the end of the load.
func (a *answers) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.close(time.Now())
	a.loaded = false
}

func (a *answers) close(now time.Time) {
	if a.loaded {
		a.gap = max(a.gap, now.Sub(a.last))
		a.last = now
	}
}

// count counts an answer.
func (a *answers) count(status string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses[status]++
}

// of returns how often there was an answer.
func (a *answers) of(status string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.statuses[status]
}

// What is counted beside the statuses of requests.
const (
	acceptedEvents  = "events accepted"
	spooledRequests = "spooled"
)

// accept notes that an event was accepted.
func (a *answers) accept() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.statuses[acceptedEvents]++
	a.close(time.Now())
}

// refuse notes an answer that must never be.
func (a *answers) refuse(format string, args ...any) {
	const most = 20
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrongs++; len(a.wrong) < most {
		a.wrong = append(a.wrong, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// lastAccepted is when an event was last accepted.
func (a *answers) lastAccepted() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

func (a *answers) histogram() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, status := range slices.Sorted(maps.Keys(a.statuses)) {
		all = append(all, fmt.Sprintf("%s: %d", status, a.statuses[status]))
	}
	return strings.Join(all, ", ")
}
