package sqlitelog

import (
	"net/url"
	"path/filepath"
	"strings"

	"github.com/netstreamflow/netstreamflow/domain"
)

// fileName is that of the log where the URL names none.
const fileName = "log.db"

// fileOf returns the path of the file that the URL names.
func fileOf(u *url.URL, dataDir string) (string, error) {
	path := u.Path
	if u.Opaque != "" {
		unescaped, err := url.PathUnescape(u.Opaque)
		if err != nil {
			return "", malformed(u)
		}
		path = unescaped
	}
	switch {
	case u.Host != "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "",
		strings.HasSuffix(path, "/"), strings.ContainsRune(path, 0):
		return "", malformed(u)
	case path == "":
		return filepath.Join(dataDir, fileName), nil
	}
	return filepath.FromSlash(path), nil
}

func malformed(u *url.URL) error {
	return domain.Invalid("", "must be "+u.Scheme+": for the file "+fileName+" in the data folder, or "+u.Scheme+
		":PATH for another file, without host and parameters (a %, ? or # in PATH is written %25, %3F or %23)")
}
