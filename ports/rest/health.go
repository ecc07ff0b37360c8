package rest

import (
	"context"
	"net/http"
	"strings"
)

// health answers with the state of the parts.
func (a *api) health(parts func(context.Context) []Part) handler {
	return func(w *answer, r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), a.HealthTimeout)
		defer cancel()
		var all []Part
		if parts != nil {
			all = parts(ctx)
		}
		if p := partsProblem(all); p != nil {
			a.sendProblem(w, p, appendParts(append(appendMembers([]byte{'{'}, p), ','), all))
			return nil
		}
		w.send(http.StatusOK, typeJSON, appendParts([]byte{'{'}, all))
		return nil
	}
}

// partsProblem says which parts are not up, nil when all are.
func partsProblem(parts []Part) *problem {
	var down []string
	for _, p := range parts {
		if !p.Up {
			down = append(down, strings.TrimSuffix(p.Name+": "+p.Detail, ": "))
		}
	}
	if down == nil {
		return nil
	}
	return newProblem(notUp, strings.Join(down, "; "))
}

// appendParts ends an object that b begins.
func appendParts(b []byte, parts []Part) []byte {
	b = append(b, `"parts":{`...)
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, p.Name), `:{"status":"`...)
		if p.Up {
			b = append(b, `up"`...)
		} else {
			b = append(b, `down"`...)
		}
		if p.Detail != "" {
			b = appendText(append(b, `,"detail":`...), p.Detail)
		}
		b = append(b, '}')
	}
	return append(b, "}}"...)
}
