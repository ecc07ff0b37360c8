package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	fewEvents = 10_000
	pageSize  = 100
	// pageTries is how many pages of each kind are read.
	pageTries = 300
	logTopic  = "scale"
)

// measureStores compares stores of many events with stores of few.
func measureStores(ctx context.Context, o options) error {
	logs := map[int]string{fewEvents: filepath.Join(o.folder, "few"), o.events: filepath.Join(o.folder, "many")}
	for n, folder := range logs {
		begun := time.Now()
		if _, err := publish(ctx, "sqlite-log:", folder, logTopic, n); err != nil {
			return fmt.Errorf("fill the log: %w", err)
		}
		took := time.Since(begun)
		fmt.Printf("log of %d events: %.0f/s\n", n, rate(n, took))
	}
	for _, storeURL := range o.stores {
		if err := o.measureStore(ctx, storeURL, logs); err != nil {
			return fmt.Errorf("%s: %w", kind(storeURL), err)
		}
	}
	return nil
}

func (o options) measureStore(ctx context.Context, storeURL string, logs map[int]string) error {
	few, err := o.filled(ctx, storeURL, logs[fewEvents], fewEvents)
	if err != nil {
		return err
	}
	defer few.drop(context.WithoutCancel(ctx)) //nolint:errcheck // the next run drops it
	many, err := o.filled(ctx, storeURL, logs[o.events], o.events)
	if err != nil {
		return err
	}
	defer many.drop(context.WithoutCancel(ctx)) //nolint:errcheck // the next run drops it
	raw, err := o.rawInsert(ctx, storeURL)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s: rebuild of %d %.0f events/s, raw insert of %d %.0f events/s, ratio %.2f\n\n", many.kind, o.events, rate(o.events, many.took),
		o.rawEvents, raw, rate(o.events, many.took)/raw)
	return o.compare(ctx, few, many, logs)
}

// store is a filled place.
type store struct {
	place

	took time.Duration
}

// filled fills an empty store by the program's rebuild.
func (o options) filled(ctx context.Context, storeURL, log string, n int) (store, error) {
	p, err := o.newPlace(ctx, storeURL, fmt.Sprintf("of-%d", n))
	if err != nil {
		return store{}, err
	}
	rebuild := exec.CommandContext(ctx, o.program, "rebuild", "--data-dir", log, "--topic", logTopic, "--store", p.url)
	rebuild.Stderr = os.Stderr
	begun := time.Now()
	out, err := rebuild.Output()
	took := time.Since(begun)
	if err != nil {
		return store{}, fmt.Errorf("rebuild: %w: %s", err, out)
	}
	fmt.Printf("%s of %d events, in %s with the checksum: %s\n", p.kind, n, took.Round(time.Millisecond),
		strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), "; "))
	var records int
	var reading string
	if _, err := fmt.Sscanf(string(out), "read %d records in %s", &records, &reading); err != nil || records != n {
		return store{}, fmt.Errorf("rebuild read %d records of %d: %w", records, n, err)
	}
	took, err = time.ParseDuration(reading)
	return store{place: p, took: took}, err
}

// compare starts a service on each store, and then reads pages of both, in turns, and streams the larger one. For that the
// services have an empty log: on the full one they would be reading it, as their group is new.
func (o options) compare(ctx context.Context, few, many store, logs map[int]string) error {
	var services [2]*service
	for i, n := range []int{fewEvents, o.events} {
		filled := []store{few, many}[i]
		first, err := o.start(ctx, "--data-dir", logs[n], "--topic", logTopic, "--store", filled.url)
		if err != nil {
			return err
		}
		fmt.Printf("ready after %s with %d events\n", first.ready.Round(time.Millisecond), n)
		if err := first.stop(); err != nil {
			return err
		}
		empty := filepath.Join(o.folder, fmt.Sprintf("empty-%d", n))
		if services[i], err = o.start(ctx, "--data-dir", empty, "--topic", logTopic, "--group", "pages", "--store", filled.url); err != nil {
			return err
		}
		defer services[i].stop() //nolint:errcheck // it has served
	}
	small, large := services[0], services[1]
	fmt.Printf("\n| page of %d | %d events, p50 | %d events, p50 | ratio | first read, p50 | p99 |\n|---|--:|--:|--:|--:|--:|\n", pageSize, fewEvents, o.events)
	for _, q := range queries {
		_, a, err := q.measure(ctx, small, fewEvents)
		if err != nil {
			return err
		}
		first, b, err := q.measure(ctx, large, o.events)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s | %.2f | %s | %s |\n", q.name, quantile(a, 0.5), quantile(b, 0.5),
			float64(quantile(b, 0.5))/float64(quantile(a, 0.5)), quantile(first, 0.5), quantile(first, 0.99))
	}
	return o.streamAll(ctx, large)
}

func (o options) streamAll(ctx context.Context, s *service) error {
	before, _, err := s.memory()
	if err != nil {
		return err
	}
	lines, took, err := s.stream(ctx)
	if err != nil {
		return err
	}
	if lines != o.events {
		return fmt.Errorf("the stream has %d events, not %d", lines, o.events)
	}
	_, peak, err := s.memory()
	fmt.Printf("\nstream of all %d events: %.0f events/s; resident memory %d MiB before, %d MiB at the most\n", lines, rate(lines, took), before, peak)
	return err
}

// query is a kind of page; parameters picks one at random.
type query struct {
	name       string
	parameters func(n int) url.Values
}

var queries = []query{
	{"first of all", func(int) url.Values { return url.Values{} }},
	{"last of all", func(int) url.Values { return url.Values{"order": {"desc"}} }},
	{"of a user", func(n int) url.Values { return url.Values{"userId": {userOf(rand.IntN(n), n)}} }},
	{"of a user, newest first", func(n int) url.Values {
		return url.Values{"userId": {userOf(rand.IntN(n), n)}, "order": {"desc"}}
	}},
	{"of a type", func(n int) url.Values { return url.Values{"eventType": {typeOf(rand.IntN(n))}} }},
	{"of a user and a time", func(n int) url.Values {
		return url.Values{"userId": {userOf(rand.IntN(n), n)}, "from": {at(n / 2)}}
	}},
	{"of a type and a time", func(n int) url.Values {
		return url.Values{"eventType": {typeOf(rand.IntN(n))}, "from": {at(rand.IntN(n * 3 / 4))}}
	}},
	{"from a time on", func(n int) url.Values { return url.Values{"from": {at(rand.IntN(n - pageSize))}} }},
	{"up to a time, newest first", func(n int) url.Values {
		return url.Values{"to": {at(pageSize + rand.IntN(n-pageSize))}, "order": {"desc"}}
	}},
	{"of two seconds", func(n int) url.Values {
		i := rand.IntN(n - 2*pageSize)
		return url.Values{"from": {at(i)}, "to": {at(i + 2*pageSize)}}
	}},
}

func at(i int) string { return begin.Add(time.Duration(i) * eventStep).Format(time.RFC3339Nano) }

// measure reads pages, and of each the one that follows, if any. first are the times of their first reading, most of which
// must get the events from the disk, again those of a second one right after it.
func (q query) measure(ctx context.Context, s *service, n int) (first, again []time.Duration, err error) {
	for range pageTries {
		parameters := q.parameters(n)
		parameters.Set("limit", fmt.Sprint(pageSize))
		for page := range 2 {
			count, next, times, err := q.read(ctx, s, parameters)
			if err != nil {
				return nil, nil, err
			}
			if page == 0 && count != pageSize {
				return nil, nil, fmt.Errorf("page %s, %s: %d events", q.name, parameters.Encode(), count)
			}
			first, again = append(first, times[0]), append(again, times[1])
			if next == "" {
				break
			}
			parameters.Set("cursor", next)
		}
	}
	slices.Sort(first)
	slices.Sort(again)
	return first, again, nil
}

// read reads a page twice.
func (q query) read(ctx context.Context, s *service, parameters url.Values) (count int, next string, times [2]time.Duration, err error) {
	for i := range times {
		if count, next, times[i], err = s.page(ctx, parameters.Encode()); err != nil {
			return 0, "", times, err
		}
	}
	return count, next, times, nil
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))].Round(time.Microsecond)
}
