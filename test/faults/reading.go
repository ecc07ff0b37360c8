package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// get asks the service.
func get(ctx context.Context, addr, path string) (status int, body []byte, err error) {
	res, err := ask(ctx, addr, path, "application/json")
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read only
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

func ask(ctx context.Context, addr, path, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	return http.DefaultClient.Do(req)
}

// shown is an event as the service writes it.
type shown struct {
	EventID, UserID string
	Timestamp       time.Time
	Metadata        struct{ N int }
}

func (s shown) stored() stored {
	return stored{id: s.EventID, user: s.UserID, n: s.Metadata.N, timestamp: s.Timestamp}
}

// readAll reads all events as NDJSON.
func readAll(ctx context.Context, addr string) ([]stored, error) {
	res, err := ask(ctx, addr, "/api/events", "application/x-ndjson")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // it is read only
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET /api/events is answered with %d", res.StatusCode)
	}
	var all []stored
	text := bufio.NewScanner(res.Body)
	text.Buffer(nil, 1<<20)
	for text.Scan() {
		var s shown
		if err := json.Unmarshal(text.Bytes(), &s); err != nil {
			return nil, fmt.Errorf("GET /api/events: %w in %s", err, text.Text())
		}
		all = append(all, s.stored())
	}
	return all, text.Err()
}

// readUsers reads each user's events, one after the other.
func readUsers(ctx context.Context, addr string, users history) ([]stored, error) {
	var all []stored
	for user := range users {
		path := "/api/events/user/" + url.PathEscape(user)
		status, body, err := get(ctx, addr, path)
		if err != nil {
			return nil, err
		}
		var list struct {
			Count  int
			Events []shown
		}
		if err := json.Unmarshal(body, &list); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("GET %s is answered with %d: %w", path, status, err)
		}
		if list.Count != len(list.Events) {
			return nil, fmt.Errorf("GET %s: count is %d for %d events", path, list.Count, len(list.Events))
		}
		for _, s := range list.Events {
			all = append(all, s.stored())
		}
	}
	return all, nil
}

// verify reads what the service has, both ways, until nothing is missing, or until nothing more of what is missing has come
// for the time.
func verify(ctx context.Context, addr string, sent history, patience time.Duration) (last findings, err error) {
	progress := time.Now()
	missing := -1
	for {
		var f findings
		if f, err = verifyOnce(ctx, addr, sent); err == nil {
			if last = f; len(f.lost) == 0 {
				return f, nil
			}
			if missing < 0 || len(f.lost) < missing {
				missing, progress = len(f.lost), time.Now()
			}
		}
		if time.Since(progress) > patience || ctx.Err() != nil {
			return last, err
		}
		wait(ctx, 300*time.Millisecond)
	}
}

func verifyOnce(ctx context.Context, addr string, sent history) (findings, error) {
	kept, err := readAll(ctx, addr)
	if err != nil {
		return findings{}, err
	}
	if f := check(sent, kept); f.broken() > 0 {
		return f, nil
	}
	if kept, err = readUsers(ctx, addr, sent); err != nil {
		return findings{}, err
	}
	return check(sent, kept), nil
}
