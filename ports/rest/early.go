package rest

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
)

// What the server answers by itself begins like this, with nothing between the two but a status and its text: the answers to
// requests that cannot be read, which no handler sees.
const (
	earlyBegin  = "HTTP/1.1 "
	earlyHeader = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	// earlyExpect begins the one that says something else.
	earlyExpect = "HTTP/1.1 417 "
)

// The kinds of what cannot be read.
var (
	badRequest = &kind{
		status: 400, name: "malformed", title: "The request cannot be read",
		detail: "the request line, its target or a header field breaks the rules of HTTP/1.1",
	}
	expectationFailed = &kind{
		status: 417, name: "expectation-failed", title: "The expectation cannot be met", detail: "Expect must be 100-continue",
	}
	longHeader = &kind{
		status: 431, name: "header-too-large", title: "The header is too large",
		detail: "the request line and the header fields may have " + strconv.Itoa(defaultMaxHeader) + " bytes together",
	}
	unknownCoding = &kind{
		status: 501, name: "unknown-transfer-coding", title: "The transfer coding is not known", detail: "Transfer-Encoding must be chunked",
	}
	otherVersion = &kind{
		status: 505, name: "http-version", title: "The HTTP version is not supported", detail: "HTTP/1.1, and over TLS HTTP/2, are supported",
	}
)

// earlyKinds are by status.
var earlyKinds = map[int]*kind{
	400: badRequest, 417: expectationFailed, 431: longHeader, 501: unknownCoding, 505: otherVersion,
}

// early returns the problem in place of what the server writes, nil where that is none of its own answers. The server writes each
// of those with one call.
func early(written []byte) []byte {
	if !bytes.HasPrefix(written, []byte(earlyBegin)) {
		return nil
	}
	line, rest, _ := bytes.Cut(written, []byte("\r\n"))
	if !bytes.HasPrefix(rest, []byte(earlyHeader)) && !bytes.HasPrefix(line, []byte(earlyExpect)) {
		return nil
	}
	// Some have a reason: 400 Bad Request: malformed Host header
	status, reason, _ := strings.Cut(string(line[len(earlyBegin):]), ": ")
	code, _, _ := strings.Cut(status, " ")
	n, _ := strconv.Atoi(code)
	k := earlyKinds[n]
	if k == nil {
		return nil
	}
	p := newProblem(k, "")
	if k == badRequest && reason != "" {
		p.detail += ": " + reason
	}
	body := append(appendMembers([]byte{'{'}, p), '}')
	text := []byte(earlyBegin + code + " " + http.StatusText(n) + "\r\nCache-Control: no-store\r\nConnection: close\r\nContent-Length: " +
		strconv.Itoa(len(body)) + "\r\nContent-Type: " + typeProblem[0] + "\r\nX-Content-Type-Options: nosniff\r\n\r\n")
	return append(text, body...)
}
