package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// result is what one measurement found.
type result struct {
	took      time.Duration
	latencies []time.Duration // sorted
	failed    int
	// accepted and unknown count the events by user that were answered 202, and those answered otherwise.
	accepted, unknown map[string]int
}

func (r *result) rate() float64 { return float64(len(r.latencies)) / r.took.Seconds() }

func (r *result) quantile(q float64) time.Duration {
	if len(r.latencies) == 0 {
		return 0
	}
	return r.latencies[int(q*float64(len(r.latencies)-1))].Round(time.Microsecond)
}

// load posts over n connections, with the header line, if any, each of which waits for the answer before it sends the next.
func load(ctx context.Context, addr, header string, n int, d time.Duration) (*result, error) {
	ctx, cancel := context.WithTimeout(ctx, d+startTimeout)
	defer cancel()
	r := &result{accepted: make(map[string]int), unknown: make(map[string]int)}
	var mu sync.Mutex
	var running sync.WaitGroup
	var errs []error
	start := time.Now()
	end := start.Add(d)
	for i := range n {
		running.Go(func() {
			user := fmt.Sprintf("bench-%d-%d-%d", start.UnixNano(), n, i)
			latencies, failed, err := post(ctx, addr, header, user, end)
			mu.Lock()
			defer mu.Unlock()
			r.latencies = append(r.latencies, latencies...)
			r.accepted[user] = len(latencies) - failed
			r.unknown[user] = failed
			r.failed += failed
			errs = append(errs, err)
		})
	}
	running.Wait()
	r.took = time.Since(start)
	slices.Sort(r.latencies)
	return r, errors.Join(errs...)
}

func post(ctx context.Context, addr, header, user string, end time.Time) (latencies []time.Duration, failed int, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, 0, err
	}
	defer conn.Close() //nolint:errcheck // every answer has been read
	body := `{"userId":"` + user + `","eventType":"page_view","metadata":{"page":"/home","referrer":"https://example.org/","width":1280,"ratio":1.50}}`
	request := []byte("POST /api/events HTTP/1.1\r\nHost: " + addr + "\r\n" + header + "Content-Type: application/json\r\nContent-Length: " +
		fmt.Sprint(len(body)) + "\r\n\r\n" + body)
	answers := bufio.NewReader(conn)
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		if _, err := conn.Write(request); err != nil {
			return latencies, failed, err
		}
		status, err := readAnswer(answers)
		if err != nil {
			return latencies, failed, err
		}
		done := time.Now()
		latencies = append(latencies, done.Sub(now))
		if now = done; status != http.StatusAccepted {
			failed++
		}
	}
	return latencies, failed, nil
}

func readAnswer(r *bufio.Reader) (status int, err error) {
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read to its end
	_, err = io.Copy(io.Discard, res.Body)
	return res.StatusCode, err
}
