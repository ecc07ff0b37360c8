package rest

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// subnet6 is how many bits of an IPv6 address tell callers apart: a site has all the addresses of such a network.
const subnet6 = 64

// caller names who makes the request, for what is counted by caller.
func (a *api) caller(w *answer, r *http.Request) string {
	if w.principal.ID != "" {
		return w.principal.Means + ":" + w.principal.ID
	}
	return "ip:" + a.address(r)
}

// address is where the request comes from; of IPv6 the network, whose addresses are all one customer's.
func (a *api) address(r *http.Request) string {
	client, ok := a.client(r)
	if !ok {
		return "unknown"
	}
	if network, err := client.Prefix(subnet6); err == nil && client.Is6() {
		client = network.Addr()
	}
	return client.String()
}

// client returns the address that the request comes from: the other end of the connection, or, where that is a proxy to be
// trusted, the nearest end that is none, as the proxies tell. A client can send the fields that proxies set, too, but only what
// stands to the left of what a trusted proxy has added.
func (a *api) client(r *http.Request) (netip.Addr, bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}, false
	}
	end := plain(peer.Addr())
	if !a.trusted(end) {
		return end, true
	}
	forwarded, listed := r.Header["Forwarded"], r.Header["X-Forwarded-For"]
	if len(forwarded) == 0 || len(listed) == 0 {
		return a.nearest(end, append(forwardedFor(forwarded), addressList(listed)...)), true
	}
	// Most proxies set one of the fields and leave the other as it came, so that a client can send what it likes in it.
	one, other := a.nearest(end, forwardedFor(forwarded)), a.nearest(end, addressList(listed))
	if one != other {
		return end, true
	}
	return one, true
}

// nearest walks from the connection's end outwards until an address that is not a trusted proxy's, or nothing that is an
// address.
func (a *api) nearest(end netip.Addr, hops []string) netip.Addr {
	for _, hop := range slices.Backward(hops) {
		next, ok := address(hop)
		if !ok {
			return end
		}
		end = next
		if !a.trusted(end) {
			return end
		}
	}
	return end
}

func (a *api) trusted(address netip.Addr) bool {
	return slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(address) })
}

// plain returns the address without what does not tell callers apart.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

// address reads an address that may have a port.
func address(text string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plain(withPort.Addr()), true
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	alone, err := netip.ParseAddr(text)
	return plain(alone), err == nil
}

// addressList reads the X-Forwarded-For fields.
func addressList(fields []string) []string {
	var hops []string
	for _, field := range fields {
		for hop := range strings.SplitSeq(field, ",") {
			hops = append(hops, strings.Trim(hop, " \t"))
		}
	}
	return hops
}

// forwardedFor returns the "for" of each element of the Forwarded fields (RFC 7239), "" where there is none.
func forwardedFor(fields []string) []string {
	var hops []string
	for _, field := range fields {
		for element := range splitQuoted(field, ',') {
			hops = append(hops, parameterFor(element))
		}
	}
	return hops
}

func parameterFor(element string) string {
	for pair := range splitQuoted(element, ';') {
		name, value, _ := strings.Cut(pair, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "for") {
			return strings.Trim(value, " \t\"") // no address needs a backslash
		}
	}
	return ""
}

// splitQuoted splits at the separators that are not in a quoted string.
func splitQuoted(text string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(text); i++ {
			switch {
			case quoted && text[i] == '\\':
				i++
			case text[i] == '"':
				quoted = !quoted
			case text[i] == separator && !quoted:
				if !yield(text[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(text[min(start, len(text)):])
	}
}
