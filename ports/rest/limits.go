package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/netstreamflow/netstreamflow/application"
)

// Limits hold each caller to quotas: who has been authenticated by the principal's ID, anybody else by the address.
type Limits struct {
	// Publish counts events, Query counts requests; nil is without limit.
	Publish, Query application.Limiter
	// FailClosed refuses requests while a limiter cannot tell, which are let through otherwise.
	FailClosed bool
}

// policy is a limiter as the header fields of draft-ietf-httpapi-ratelimit-headers show it.
type policy struct {
	application.Limiter

	// units says what is counted.
	name, units string
	field       []string
}

func newPolicy(name, units string, l application.Limiter) *policy {
	if l == nil {
		return nil
	}
	q := l.Quota()
	field := fmt.Sprintf(`"%s";q=%d;w=%d`, name, q.Units, seconds(q.Window))
	return &policy{Limiter: l, name: name, units: units, field: []string{field}}
}

// policyOf returns the policy that holds for the method, nil for none.
func (a *api) policyOf(method string) *policy {
	if method == http.MethodPost {
		return a.publishPolicy
	}
	return a.queryPolicy
}

// charge takes n units of what the caller has, of which held have been taken already, and sets the header fields.
func (a *api) charge(w *answer, r *http.Request, p *policy, n, held int) error {
	if p == nil || n <= held {
		return nil
	}
	g, err := p.Take(r.Context(), a.caller(w, r), n, held)
	if err != nil {
		a.Load.uncounted.Add(1)
		if a.Limits.FailClosed {
			return newProblem(uncounted, "")
		}
		return nil
	}
	h := w.Header()
	h["Ratelimit-Policy"] = p.field
	h["Ratelimit"] = []string{p.limit(g)}
	if g.Allowed {
		return nil
	}
	a.Load.limited.Add(1)
	wait := seconds(g.Wait)
	h["Retry-After"] = []string{strconv.Itoa(wait)}
	q := p.Quota()
	return newProblem(limited, fmt.Sprintf("a caller may have %d %s in %d s: %d asked for, %d left; try again in %d s",
		q.Units, p.units, seconds(q.Window), n, g.Remaining+held, wait))
}

// limit is the RateLimit field: what is left, and when the next unit comes back.
func (p *policy) limit(g application.Grant) string {
	b := make([]byte, 0, 48)
	b = append(append(append(b, '"'), p.name...), `";r=`...)
	b = strconv.AppendInt(b, int64(g.Remaining), 10)
	if g.Next > 0 {
		b = strconv.AppendInt(append(b, ";t="...), int64(seconds(g.Next)), 10)
	}
	return string(b)
}

// seconds rounds up to whole ones.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
