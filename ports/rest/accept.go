package rest

import (
	"strconv"
	"strings"
)

// acceptable chooses between JSON and NDJSON by the Accept headers (RFC 9110 §12.5.1). JSON wins a tie.
func acceptable(headers []string) (string, error) {
	if len(headers) == 0 || len(headers) == 1 && (headers[0] == "" || headers[0] == "*/*" || headers[0] == mediaJSON) {
		return mediaJSON, nil
	}
	accept := strings.Join(headers, ",")
	asJSON, asLines := quality(accept, mediaJSON), quality(accept, mediaNDJSON)
	switch {
	case asJSON == 0 && asLines == 0:
		return "", headerProblem(notAccept, "Accept", "must allow "+mediaJSON+" or "+mediaNDJSON)
	case asLines > asJSON:
		return mediaNDJSON, nil
	}
	return mediaJSON, nil
}

// quality is the weight that accept gives to the media type: that of the most specific range that holds it, 0 for none.
func quality(accept, media string) float64 {
	weight, best := 0.0, -1
	main, _, _ := strings.Cut(media, "/")
	for element := range strings.SplitSeq(accept, ",") {
		mediaRange, params, _ := strings.Cut(element, ";")
		specific := -1
		switch strings.ToLower(strings.TrimSpace(mediaRange)) {
		case "*/*":
			specific = 0
		case main + "/*":
			specific = 1
		case media:
			specific = 2
		}
		if specific > best {
			weight, best = weightOf(params), specific
		}
	}
	return weight
}

// weightOf reads the q of a media range's parameters; without one, or with a bad one, it is 1.
func weightOf(params string) float64 {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && q >= 0 && q <= 1 {
			return q
		}
	}
	return 1
}
