//go:build unix

package secret

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
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
