package postgres

import (
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	secrets "github.com/netstreamflow/netstreamflow/adapters/secret"
	"github.com/netstreamflow/netstreamflow/adapters/store"
	"github.com/netstreamflow/netstreamflow/domain"
)

// TestPasswordChanges has the server take another password, and then the file that it is in change: connections are made with
// the new one, and no restart is needed.
func TestPasswordChanges(t *testing.T) {
	address := newSchema(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path")
	user := "user_of_" + schema
	administer(t, address, "CREATE ROLE "+user+" LOGIN PASSWORD 'old-secret'; GRANT ALL ON SCHEMA "+schema+" TO "+user)
	t.Cleanup(func() { administer(t, address, "DROP OWNED BY "+user+" CASCADE; DROP ROLE "+user) })
	path := filepath.Join(t.TempDir(), "password")
	put := func(password string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("old-secret")
	source, err := secrets.OpenFile("file:" + path)
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := secrets.Keep(t.Context(), []secrets.Named{{Setting: "store-password", Scheme: "file", Source: source}}, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer keeper.Close()
	u.User = url.User(user)
	_, rest, _ := strings.Cut(u.String(), ":")
	s, err := open(t.Context(), rest, store.Options{Password: keeper.Current("store-password")})
	if err != nil {
		t.Fatal(err)
	}
	defer closeIt(t, s)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	administer(t, address, "ALTER ROLE "+user+" PASSWORD 'new-secret'")
	s.readers.Reset()
	err = s.Ping(t.Context())
	if !errors.Is(err, domain.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("the server wants the new password: %v", err)
	}
	put("new-secret")
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if err = s.Ping(t.Context()); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	record(t, s)
}
