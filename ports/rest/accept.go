package rest

import (
	"strconv"
	"strings"
)

// acceptable chooses between JSON and NDJSON by the Accept headers (RFC 9110 §12.5.1). Of two with the same weight the one that is
// named wins, and otherwise JSON.
func acceptable(headers []string) (string, error) {
	if len(headers) == 0 || len(headers) == 1 && (headers[0] == "" || headers[0] == "*/*" || headers[0] == mediaJSON) {
		return mediaJSON, nil
	}
	accept := strings.Join(headers, ",")
	asJSON, byJSON := quality(accept, mediaJSON)
	asLines, byLines := quality(accept, mediaNDJSON)
	switch {
	case asJSON == 0 && asLines == 0:
		return "", headerProblem(notAccept, "Accept", "must allow "+mediaJSON+" or "+mediaNDJSON)
	case asLines > asJSON || asLines == asJSON && byLines > byJSON:
		return mediaNDJSON, nil
	}
	return mediaJSON, nil
}

// quality is the weight that accept gives to the media type: that of the most specific range that holds it, 0 for none. It tells
// how specific that is, too.
func quality(accept, media string) (weight float64, best int) {
	best = -1
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
	return weight, best
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
