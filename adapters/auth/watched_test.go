package auth

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func watchText(t *testing.T, log *logs, files ...string) *watched[string] {
	t.Helper()
	w, err := watch("the texts", files, log.logger(), func(contents [][]byte) (string, error) {
		all := make([]string, len(contents))
		for i, c := range contents {
			all[i] = string(c)
		}
		return strings.Join(all, "+"), nil
	})
	require.NoError(t, err)
	w.every = 0
	return w
}

// TestLinkThatMoves is how Kubernetes renews a mounted secret: the name stays, the folder behind it is another.
func TestLinkThatMoves(t *testing.T) {
	folder := t.TempDir()
	at := time.Now().Add(-time.Hour)
	for _, name := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o700))
		file := filepath.Join(folder, name, "f")
		require.NoError(t, os.WriteFile(file, []byte(name), 0o600))
		require.NoError(t, os.Chtimes(file, at, at), "same time, same size")
	}
	link := filepath.Join(folder, "data")
	require.NoError(t, os.Symlink("one", link))
	w := watchText(t, new(logs), filepath.Join(link, "f"))
	assert.Equal(t, "one", w.get())
	require.NoError(t, os.Symlink("two", link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	assert.Equal(t, "two", w.get())
}

// TestFileThatIsGoneIsLoggedOnce looks at it again and again until it is back.
func TestFileThatIsGoneIsLoggedOnce(t *testing.T) {
	log := new(logs)
	file := write(t, "f", []byte("a"))
	w := watchText(t, log, file)
	require.NoError(t, os.Remove(file))
	for range 10 {
		assert.Equal(t, "a", w.get())
	}
	assert.Equal(t, 1, strings.Count(log.String(), "cannot be read again"))
	require.NoError(t, os.WriteFile(file, []byte("b"), 0o600))
	assert.Equal(t, "b", w.get())
	require.NoError(t, os.Remove(file))
	assert.Equal(t, "b", w.get())
	assert.Equal(t, 2, strings.Count(log.String(), "cannot be read again"))
}

// TestFileThatComesBackAsItWas is no fault any more, although nothing about it has changed.
func TestFileThatComesBackAsItWas(t *testing.T) {
	file := write(t, "f", []byte("a"))
	w := watchText(t, new(logs), file)
	require.NoError(t, os.Rename(file, file+".away"))
	assert.Equal(t, "a", w.get())
	require.ErrorIs(t, w.err(), os.ErrNotExist)
	require.NoError(t, os.Rename(file+".away", file))
	assert.Equal(t, "a", w.get())
	require.NoError(t, w.err())
}

// TestFilesAreLookedAtOnceInAWhile: a change shows only when it is time.
func TestFilesAreLookedAtOnceInAWhile(t *testing.T) {
	file := write(t, "f", []byte("a"))
	w := watchText(t, new(logs), file)
	w.every = time.Hour
	require.NoError(t, os.WriteFile(file, []byte("bb"), 0o600))
	assert.Equal(t, "a", w.get())
	w.looked.Store(-int64(time.Hour))
	assert.Equal(t, "bb", w.get())
}

func TestFileThatIsTooLong(t *testing.T) {
	log := new(logs)
	file := write(t, "f", []byte("a"))
	w := watchText(t, log, file)
	require.NoError(t, os.Truncate(file, maxFileBytes+1))
	assert.Equal(t, "a", w.get())
	assert.Contains(t, log.String(), "is over")
}

func TestManyReadersOfAFile(t *testing.T) {
	file := write(t, "f", []byte("a"))
	w := watchText(t, new(logs), file)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			for range 200 {
				assert.Contains(t, []string{"a", "bb"}, w.get())
			}
		})
	}
	require.NoError(t, os.WriteFile(file+".new", []byte("bb"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	readers.Wait()
	assert.Equal(t, "bb", w.get())
}
