package rest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// TestCaller tells who is held to the limits.
func TestCaller(t *testing.T) {
	proxies := prefixes("10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.7/32")
	type fields map[string][]string
	tests := map[string]struct {
		peer   string
		fields fields
		want   string
	}{
		"no proxy":                       {"203.0.113.9:4711", nil, "203.0.113.9"},
		"IPv4 in IPv6":                   {"[::ffff:203.0.113.9]:4711", nil, "203.0.113.9"},
		"IPv6 by network":                {"[2001:db8:1:2:3:4:5:6]:4711", nil, "2001:db8:1:2::"},
		"IPv6 with a zone":               {"[fe80::1%eth0]:4711", nil, "fe80::"},
		"no address":                     {"@", nil, "unknown"},
		"a list from anybody":            {"203.0.113.9:4711", fields{"X-Forwarded-For": {"198.51.100.1"}}, "203.0.113.9"},
		"Forwarded from anybody":         {"203.0.113.9:4711", fields{"Forwarded": {"for=198.51.100.1"}}, "203.0.113.9"},
		"a proxy alone":                  {"10.0.0.1:4711", nil, "10.0.0.1"},
		"one hop":                        {"10.0.0.1:4711", fields{"X-Forwarded-For": {"198.51.100.1"}}, "198.51.100.1"},
		"two trusted hops":               {"10.0.0.1:4711", fields{"X-Forwarded-For": {"198.51.100.1, 10.9.9.9"}}, "198.51.100.1"},
		"in two fields":                  {"10.0.0.1:4711", fields{"X-Forwarded-For": {"198.51.100.1", "192.0.2.7"}}, "198.51.100.1"},
		"what the client sent":           {"10.0.0.1:4711", fields{"X-Forwarded-For": {"1.1.1.1, 10.1.1.1, 198.51.100.1"}}, "198.51.100.1"},
		"the client sent a proxy":        {"10.0.0.1:4711", fields{"X-Forwarded-For": {"10.1.1.1, 203.0.113.5"}}, "203.0.113.5"},
		"all trusted":                    {"10.0.0.1:4711", fields{"X-Forwarded-For": {"10.1.1.1, 10.2.2.2"}}, "10.1.1.1"},
		"nonsense from the client":       {"10.0.0.1:4711", fields{"X-Forwarded-For": {"nonsense, 198.51.100.1"}}, "198.51.100.1"},
		"nonsense from the proxy":        {"10.0.0.1:4711", fields{"X-Forwarded-For": {"1.1.1.1, nonsense"}}, "10.0.0.1"},
		"empty elements":                 {"10.0.0.1:4711", fields{"X-Forwarded-For": {"1.1.1.1,, "}}, "10.0.0.1"},
		"with a port":                    {"10.0.0.1:4711", fields{"X-Forwarded-For": {"198.51.100.1:1234"}}, "198.51.100.1"},
		"IPv6 hop":                       {"[2001:db8:ffff::1]:4711", fields{"X-Forwarded-For": {"2001:db8:1:2:3::4"}}, "2001:db8:1:2::"},
		"IPv6 hop with a port":           {"10.0.0.1:4711", fields{"X-Forwarded-For": {"[2001:db8:1:2:3::4]:99"}}, "2001:db8:1:2::"},
		"Forwarded":                      {"10.0.0.1:4711", fields{"Forwarded": {"for=198.51.100.1"}}, "198.51.100.1"},
		"Forwarded with all":             {"10.0.0.1:4711", fields{"Forwarded": {`by=10.0.0.1;For="[2001:db8:1:2:3::4]:4711" ; proto=https;host="a,b;for=1.1.1.1"`}}, "2001:db8:1:2::"},
		"Forwarded, two hops":            {"10.0.0.1:4711", fields{"Forwarded": {"for=1.1.1.1, for=198.51.100.1;proto=http", `for="10.3.3.3:80"`}}, "198.51.100.1"},
		"Forwarded, hidden":              {"10.0.0.1:4711", fields{"Forwarded": {"for=1.1.1.1, for=_hidden"}}, "10.0.0.1"},
		"Forwarded, unknown":             {"10.0.0.1:4711", fields{"Forwarded": {"for=1.1.1.1, for=unknown, for=10.3.3.3"}}, "10.3.3.3"},
		"Forwarded without for":          {"10.0.0.1:4711", fields{"Forwarded": {"for=1.1.1.1, proto=http"}}, "10.0.0.1"},
		"Forwarded, quote not closed":    {"10.0.0.1:4711", fields{"Forwarded": {`for=198.51.100.1, for="1.1.1.1`}}, "1.1.1.1"},
		"Forwarded, escape at the end":   {"10.0.0.1:4711", fields{"Forwarded": {`for="\`}}, "10.0.0.1"},
		"both, the same":                 {"10.0.0.1:4711", fields{"Forwarded": {"for=198.51.100.1"}, "X-Forwarded-For": {"198.51.100.1"}}, "198.51.100.1"},
		"both, Forwarded from outside":   {"10.0.0.1:4711", fields{"Forwarded": {"for=1.1.1.1"}, "X-Forwarded-For": {"198.51.100.1"}}, "10.0.0.1"},
		"both, the list from outside":    {"10.0.0.1:4711", fields{"Forwarded": {"for=198.51.100.1"}, "X-Forwarded-For": {"1.1.1.1"}}, "10.0.0.1"},
		"trusted as IPv4 in IPv6":        {"[::ffff:10.0.0.1]:4711", fields{"X-Forwarded-For": {"198.51.100.1"}}, "198.51.100.1"},
		"a hop that is IPv4 in IPv6":     {"10.0.0.1:4711", fields{"X-Forwarded-For": {"198.51.100.1, ::ffff:10.2.2.2"}}, "198.51.100.1"},
		"a list in a huge header":        {"10.0.0.1:4711", fields{"X-Forwarded-For": {strings.Repeat("1.1.1.1,", 8000) + "198.51.100.1"}}, "198.51.100.1"},
		"separators and nothing else":    {"10.0.0.1:4711", fields{"Forwarded": {",;,=;,"}}, "10.0.0.1"},
		"another field that proxies set": {"10.0.0.1:4711", fields{"X-Real-Ip": {"1.1.1.1"}}, "10.0.0.1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newService(t, func(o *Options) { o.TrustedProxies = proxies })
			r := httptest.NewRequest(http.MethodGet, "/api/events", http.NoBody)
			r.RemoteAddr = test.peer
			maps.Copy(r.Header, test.fields)
			assert.Equal(t, "ip:"+test.want, s.api.caller(&answer{}, r))
			for _, means := range []string{"jwt", "key"} {
				assert.Equal(t, means+":somebody", s.api.caller(&answer{principal: Principal{Means: means, ID: "somebody"}}, r))
			}
		})
	}
}

// FuzzClient has no field stand for more than a proxy's word: without trust it is the peer, whatever is sent.
func FuzzClient(f *testing.F) {
	f.Add(`for="[2001:db8::1]:4711";proto=http, for=1.1.1.1`, "1.1.1.1, 2001:db8::1")
	f.Add(`for="\"`, ",,")
	f.Fuzz(func(t *testing.T, forwarded, list string) {
		s := newService(t, func(o *Options) { o.TrustedProxies = prefixes("10.0.0.0/8") })
		r := httptest.NewRequest(http.MethodGet, "/api/events", http.NoBody)
		r.Header["Forwarded"], r.Header["X-Forwarded-For"] = []string{forwarded}, []string{list}
		r.RemoteAddr = "203.0.113.9:1"
		if got, ok := s.api.client(r); got != netip.MustParseAddr("203.0.113.9") || !ok {
			t.Error(got)
		}
		r.RemoteAddr = "10.0.0.1:1"
		if got, ok := s.api.client(r); !got.IsValid() || !ok {
			t.Error(got)
		}
		// What a trusted proxy adds behind it is what counts.
		r.Header = http.Header{"X-Forwarded-For": {list, "198.51.100.1"}}
		if got, _ := s.api.client(r); got != netip.MustParseAddr("198.51.100.1") {
			t.Error(got)
		}
		r.Header = http.Header{"Forwarded": {forwarded, "for=198.51.100.1"}}
		if got, _ := s.api.client(r); got != netip.MustParseAddr("198.51.100.1") {
			t.Error(got)
		}
	})
}
