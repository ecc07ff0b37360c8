package rest

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/netstreamflow/netstreamflow/application"
)

// securityMark is what openapi.yaml says of what a request must bring: nothing.
const securityMark = "\nsecurity: []\n"

// schemes are the security schemes of openapi.yaml.
var schemes = []struct{ means, name string }{{application.ByToken, "token"}, {application.ByKey, "apiKey"}}

// withSchemes leaves those schemes in the document that are taken, and has requests bring one of them.
func withSchemes(document []byte, means []string) []byte {
	var security strings.Builder
	security.WriteString("\nsecurity:\n")
	for _, s := range schemes {
		if slices.Contains(means, s.means) {
			security.WriteString("  - " + s.name + ": []\n")
			continue
		}
		block := regexp.MustCompile(`(?m)^    ` + s.name + `:\n(?:      .*\n)+`)
		document = block.ReplaceAll(document, nil)
	}
	if len(means) == 0 {
		return bytes.Replace(document, []byte("\n  securitySchemes:\n"), []byte("\n"), 1)
	}
	return bytes.Replace(document, []byte(securityMark), []byte(security.String()), 1)
}

// means are the ways in which callers may show who they are, none where they need not.
func (a *api) means() []string {
	switch {
	case a.Authenticate == nil:
		return nil
	case len(a.Means) == 0:
		return []string{application.ByToken, application.ByKey}
	}
	return a.Means
}
