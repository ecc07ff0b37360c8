package netstreamflow

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newFolders(t *testing.T) *folders {
	t.Helper()
	f, release := provideFolders(valid{DefaultConfig()}, provideLogger(DefaultConfig()))
	t.Cleanup(release)
	return f
}

func TestFolders(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b")
	first, second := newFolders(t), newFolders(t)
	for _, same := range []string{folder, filepath.Join(folder, "..", "b")} {
		if err := first.claim(same); err != nil {
			t.Fatalf("claim %s: %v", same, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(folder, link); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{folder, link} {
		if err := second.claim(same); err == nil || !strings.Contains(err.Error(), same) {
			t.Errorf("claim %s of another's: %v", same, err)
		}
	}
	if err := second.claim(filepath.Dir(folder)); err != nil {
		t.Errorf("claim the folder above: %v", err)
	}
	if err := first.release(); err != nil {
		t.Fatal(err)
	}
	if err := second.claim(folder); err != nil {
		t.Errorf("claim a folder that was released: %v", err)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newFolders(t).claim(filepath.Join(file, "folder")); err == nil {
		t.Error("a folder in a file is claimed")
	}
}
