package domain

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestInvalidErrorIsInvalid(t *testing.T) {
	err := fmt.Errorf("while testing: %w", Invalid("/a", "is bad"))
	if !errors.Is(err, ErrInvalid) {
		t.Error("it is not ErrInvalid")
	}
	for _, other := range []error{ErrTooLarge, ErrNotFound, ErrUnavailable, ErrOverloaded, errors.ErrUnsupported} {
		if errors.Is(err, other) {
			t.Errorf("it is %v", other)
		}
	}
}

func TestInvalidErrorText(t *testing.T) {
	tests := map[string]*InvalidError{
		"invalid":                                 {},
		"invalid: is bad":                         Invalid("", "is bad"),
		"invalid: /a is bad; /b is worse":         {Violations: []Violation{{"/a", "is bad"}, {"/b", "is worse"}}},
		"malformed: /a~1b/0 is nested too deeply": unstrict("is nested too deeply").within("0").within("a/b"),
	}
	for want, err := range tests {
		if got := err.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPointersCutLongNames(t *testing.T) {
	tests := map[string]string{
		"":                                "/",
		"~/":                              "/~0~1",
		strings.Repeat("a", 64):           "/" + strings.Repeat("a", 64),
		strings.Repeat("a", 65):           "/" + strings.Repeat("a", 64) + "…",
		strings.Repeat("a", 63) + "é":     "/" + strings.Repeat("a", 63) + "…",
		strings.Repeat("a", 60) + "😀 😀":   "/" + strings.Repeat("a", 60) + "😀…",
		strings.Repeat("/", 100):          "/" + strings.Repeat("~1", 64) + "…",
		strings.Repeat("\x80", 65) + "bc": "/…",
	}
	for name, want := range tests {
		if got := pointerTo(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
