package netstreamflow

import (
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/netstreamflow/netstreamflow/domain"
)

// checkURL checks what any driver wants; the rest is the driver's.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err == nil && u.Scheme != "" {
		return nil
	}
	return domain.Invalid("", "must be a URL"+noURL(s, err))
}

// checkStore lets a path have a %, which is nothing special in it.
func checkStore(s string) error {
	if scheme, _, _ := strings.Cut(s, ":"); strings.EqualFold(scheme, "sqlite") {
		s = strings.ReplaceAll(s, "%", "%25")
	}
	return checkURL(s)
}

// noURL tells which rule of URLs a text breaks. The parser's own words may repeat a password.
func noURL(s string, err error) string {
	parts := asURL.FindStringSubmatch(s)
	var escape url.EscapeError
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return " without line ends and other control characters"
	case parts == nil:
		return ", which begins with a scheme, such as memory: or kafka://"
	case errors.As(err, &escape):
		return ", in which a % itself is written %25, and hosts have none"
	}
	return noHosts(parts[3])
}

// noHosts tells what is wrong with what follows the // of a URL.
func noHosts(rest string) string {
	end := strings.IndexAny(rest+"/", "/?#")
	at := strings.LastIndexByte(rest[:end], '@')
	hosts := strings.Split(rest[at+1:end], ",")
	switch {
	case at < 0 && strings.Contains(rest[end:], "@"):
		return ", in whose user name special characters are percent-encoded; passwords are settings of their own"
	case len(hosts) > 1 && slices.Contains(hosts, ""):
		return " without an empty host: several are written host:port,host:port"
	case slices.ContainsFunc(hosts, func(h string) bool { return strings.ContainsAny(h, "[]") }):
		return ", in which an IPv6 address is the only host and in brackets, such as [::1]:9092"
	case slices.ContainsFunc(hosts, hasBadPort):
		return " whose ports are numbers: hosts are written host:port,host:port"
	}
	return ", whose user name and hosts have no spaces and the like: they are written user@host:port,host:port"
}

func hasBadPort(host string) bool {
	_, port, found := strings.Cut(host, ":")
	return found && strings.Trim(port, "0123456789") != ""
}

// asURL takes apart what may be a URL.
var asURL = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*:)(//)?(.*)$`)

// redactURL cuts off what may hold a secret: the user's part, whatever is in it, and the parameters. Of what is no URL of a host it
// shows nothing that looks like more than a name.
func redactURL(s string) string {
	scheme, slashes, rest := "", "", s
	if parts := asURL.FindStringSubmatch(s); parts != nil {
		scheme, slashes, rest = parts[1], parts[2], parts[3]
	}
	switch {
	case slashes == "" && !strings.HasPrefix(scheme, "sqlite") && strings.ContainsAny(rest, "@:= "):
		return scheme + "…"
	case strings.Contains(rest, "@"):
		rest = "…" + rest[strings.LastIndexByte(rest, '@'):]
	}
	rest, _, cut := strings.Cut(rest, "?")
	if cut {
		rest += "?…"
	}
	return scheme + slashes + rest
}
