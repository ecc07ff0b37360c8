package netstreamflow

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/netstreamflow/netstreamflow/adapters/limit"
	"github.com/netstreamflow/netstreamflow/application"
	"github.com/netstreamflow/netstreamflow/domain"
)

// quota is a rate such as 100/s, 500/5s or 600/m; 0 is none.
func quota(p *application.Quota) value {
	return value{kind: "rate", get: func() string { return formatQuota(*p) }, set: func(s string) error {
		q, ok := parseQuota(s)
		if !ok {
			return domain.Invalid("", fmt.Sprintf("must be 0, or a number of 1 to %d, a slash and whole seconds up to %s, such as 100/s, 500/5s or 600/m",
				maxUnits, maxWindow))
		}
		*p = q
		return nil
	}}
}

func parseQuota(s string) (application.Quota, bool) {
	if s == "0" {
		return application.Quota{}, true
	}
	units, window, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(units)
	if err != nil || n < 1 || n > maxUnits {
		return application.Quota{}, false
	}
	if window == "s" || window == "m" || window == "h" {
		window = "1" + window
	}
	d, err := time.ParseDuration(window)
	return application.Quota{Units: n, Window: d}, err == nil && d >= time.Second && d <= maxWindow && d%time.Second == 0
}

func formatQuota(q application.Quota) string {
	if q.Units == 0 {
		return "0"
	}
	window := q.Window.String()
	if one, ok := map[time.Duration]string{time.Second: "s", time.Minute: "m", time.Hour: "h"}[q.Window]; ok {
		window = one
	}
	return strconv.Itoa(q.Units) + "/" + window
}

// networks is a list of addresses and networks.
func networks(p *[]netip.Prefix) value {
	return value{kind: "networks", get: func() string { return formatNetworks(*p) }, set: func(s string) error {
		var all []netip.Prefix
		for text := range strings.SplitSeq(s, ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			network, err := parseNetwork(text)
			if err != nil {
				return domain.Invalid("", "must be addresses or networks with commas between them, such as 10.0.0.0/8,2001:db8::1")
			}
			all = append(all, network)
		}
		*p = all
		return nil
	}}
}

func parseNetwork(text string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network.Masked(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	address = address.Unmap()
	return address.Prefix(address.BitLen())
}

func formatNetworks(all []netip.Prefix) string {
	texts := make([]string, len(all))
	for i, network := range all {
		texts[i] = network.String()
	}
	return strings.Join(texts, ",")
}

// checkLimitStore checks the address of a store of rate limits, "" for none.
func checkLimitStore(s string) error {
	if s == "" {
		return nil
	}
	return limit.CheckURL(s)
}
