//go:build unix

package secret

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netstreamflow/netstreamflow/domain"
)

// TestPipe reads what can be read only once, as a shell's <(command).
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	go func() {
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			_, _ = f.WriteString("piped\n")
			_ = f.Close()
		}
	}()
	s := open(t, "file:"+path)
	wantSecret(t, s, "piped")
	wantSecret(t, s, "piped")
}

// TestPipeOfNobody is not waited for for ever.
func TestPipeOfNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := open(t, "file:"+path).Fetch(ctx); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "nobody writes") {
		t.Errorf("error %v", err)
	}
}
