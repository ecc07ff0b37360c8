package main

import (
	"net/http"
	"testing"
)

func TestAnswersThatMayBe(t *testing.T) {
	one := parcel{form: single, pieces: []piece{{event: &event{id: "a"}}}}
	two := parcel{form: array, pieces: []piece{{event: &event{id: "a"}}, {event: &event{id: "b"}}}}
	const away = `{"error":{"status":503}}`
	tests := []struct {
		name     string
		parcel   parcel
		status   int
		body     string
		accepted int
	}{
		{"one accepted", one, 202, `{"eventId":"a"}`, 1},
		{"one not acknowledged", one, 503, `{}`, 0},
		{"all accepted", two, 202, `{"accepted":2,"rejected":0,"results":[{"eventId":"a"},{"eventId":"b"}]}`, 2},
		{"some accepted", two, 207, `{"accepted":1,"rejected":1,"results":[{"eventId":"a"},` + away + `]}`, 1},
		{"none accepted", two, 503, `{"accepted":0,"rejected":2,"results":[` + away + `,` + away + `]}`, 0},
	}
	for _, tt := range tests {
		outcomes, err := tt.parcel.outcomes(answerOf(tt.status), []byte(tt.body)) //nolint:bodyclose // there is none
		accepted := 0
		for _, o := range outcomes {
			if o.accepted {
				accepted++
			}
		}
		if err != nil || accepted != tt.accepted {
			t.Errorf("%s: got %d accepted, %v", tt.name, accepted, err)
		}
	}
}

func TestAnswersThatMustNotBe(t *testing.T) {
	one := parcel{form: single, pieces: []piece{{event: &event{id: "a"}}}}
	two := parcel{form: lines, pieces: []piece{{event: &event{id: "a"}}, {event: &event{id: "b"}}}}
	tests := []struct {
		name   string
		parcel parcel
		status int
		body   string
	}{
		{"500", one, 500, `{}`},
		{"400", one, 400, `{}`},
		{"200", one, 200, `{"eventId":"a"}`},
		{"another id", one, 202, `{"eventId":"b"}`},
		{"no id", one, 202, `{}`},
		{"no JSON", one, 202, ``},
		{"500 for a batch", two, 500, `{}`},
		{"a result too few", two, 202, `{"accepted":1,"rejected":0,"results":[{"eventId":"a"}]}`},
		{"results swapped", two, 202, `{"accepted":2,"rejected":0,"results":[{"eventId":"b"},{"eventId":"a"}]}`},
		{"500 in a batch", two, 207, `{"accepted":1,"rejected":1,"results":[{"eventId":"a"},{"error":{"status":500}}]}`},
		{"202 when some failed", two, 202, `{"accepted":1,"rejected":1,"results":[{"eventId":"a"},{"error":{"status":503}}]}`},
		{"a wrong count", two, 202, `{"accepted":1,"rejected":0,"results":[{"eventId":"a"},{"eventId":"b"}]}`},
	}
	for _, tt := range tests {
		if outcomes, err := tt.parcel.outcomes(answerOf(tt.status), []byte(tt.body)); err == nil { //nolint:bodyclose // there is none
			t.Errorf("%s passes: %v", tt.name, outcomes)
		}
	}
	if _, err := one.outcomes(&http.Response{StatusCode: http.StatusServiceUnavailable}, nil); err == nil {
		t.Error("503 without Retry-After passes")
	}
}

func answerOf(status int) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {"1"}}}
}
