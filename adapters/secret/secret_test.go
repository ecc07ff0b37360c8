package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netstreamflow/netstreamflow/domain"
)

// TestFind tells references from secrets.
func TestFind(t *testing.T) {
	for value, scheme := range map[string]string{
		"s3cret": "", "": "", ":": "", "s3:cret": "", "files:x": "", "file": "", "envy:x": "", "https://x": "",
		"file:/x": "file", "FILE:/x": "file", "file:///x": "file", "file:x y%zz": "file", "env:NAME": "env", "literal:file:/x": "literal",
		"awssm://a/b+c?key=k&region=eu-west-1&version=AWSPREVIOUS":                       "awssm",
		"awssm://arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/kafka-AbCdEf": "awssm",
		"azkv://my-vault/kafka": "azkv", "azkv://my-vault.vault.azure.cn/kafka?version=0123456789abcdef": "azkv",
		"vault://secret/prod/kafka#password": "vault", "vault://secret/kafka#a%20b": "vault",
	} {
		got, s, err := Find(sources(), value)
		if err != nil || got != scheme || s == nil {
			t.Errorf("%q: got %q, %v, %v; want %q", value, got, s, err, scheme)
		}
		if scheme == "" {
			wantSecret(t, s, value)
		}
	}
}

// TestFindRefuses has references that cannot be meant, and none of their text in the error: each may be a password.
func TestFindRefuses(t *testing.T) {
	for _, value := range []string{
		"literal:", "file:", "file://host/x", "file://", "env:", "env:A-B", "env:1A", "env:A=s3cret",
		"awssm:", "awssm:s3cret", "awssm://", "awssm://?key=s3cret", "awssm://a?s3cret=1", "awssm://a?key=b&key=c", "awssm://a?key=", "awssm://a?key=%zz",
		"azkv:s3cret", "azkv://vault", "azkv://vault/", "azkv:///name", "azkv://vault/name/s3cret", "azkv://vault:1/name", "azkv://user@vault/name", "azkv://vault/name?x=1",
		"vault:s3cret", "vault://", "vault://mount", "vault://mount/#f", "vault://mount/path", "vault://mount/path#", "vault://u:s3cret@mount/path#f", "vault://mount/path?x=1#f", "vault://mount/%zz#f",
	} {
		scheme, _, _ := strings.Cut(value, ":")
		_, _, err := Find(sources(), value)
		if !errors.Is(err, domain.ErrInvalid) || !strings.Contains(err.Error(), scheme+": reference") || !strings.Contains(err.Error(), "literal:") {
			t.Errorf("%q: %v", value, err)
		}
		if err != nil && (strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestLiteral(t *testing.T) {
	wantSecret(t, open(t, "literal:env:HOME"), "env:HOME")
	wantSecret(t, open(t, "literal:literal:x"), "literal:x")
}

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET_TEST", "from the environment")
	wantSecret(t, open(t, "env:SECRET_TEST"), "from the environment")
	wantError(t, open(t, "env:SECRET_TEST_UNSET"), domain.ErrNotFound, []string{"not set"})
	t.Setenv("SECRET_TEST", "")
	wantError(t, open(t, "env:SECRET_TEST"), domain.ErrNotFound, []string{"empty"})
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a secret?#%zz")
	for _, reference := range []string{"file:" + path, "file://" + path} {
		write(t, path, " s3cret \r\n\n")
		s := open(t, reference)
		wantSecret(t, s, " s3cret ")
		write(t, path, "two\nlines\n")
		wantSecret(t, s, "two\nlines")
	}
	s := open(t, "file:"+path)
	write(t, path, strings.Repeat("s", maxFileBytes+1))
	wantError(t, s, domain.ErrTooLarge, nil, path, "sss")
	write(t, path, "\n")
	wantError(t, s, domain.ErrNotFound, []string{"empty"}, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	wantError(t, s, domain.ErrNotFound, []string{"no such file"}, path)
	wantError(t, open(t, "file:"+t.TempDir()), domain.ErrUnavailable, []string{"directory"})
}
