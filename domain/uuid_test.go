package domain

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewUUIDLayout(t *testing.T) {
	at := time.UnixMilli(0x017F22E279B0) // the example of RFC 9562 appendix A.6
	for range 1000 {
		id := NewUUID(at)
		if !strings.HasPrefix(id.String(), "017f22e2-79b0-7") {
			t.Fatalf("%s has not the time and the version", id)
		}
		if id[8]>>6 != 0b10 {
			t.Fatalf("%s has not the variant of RFC 9562", id)
		}
	}
}

func TestNewUUIDOrder(t *testing.T) {
	before := ""
	for i := range 1000 {
		id := NewUUID(noon.Add(time.Duration(i) * time.Millisecond)).String()
		if id <= before {
			t.Fatalf("%s comes after %s", id, before)
		}
		before = id
	}
}

func TestNewUUIDIsNew(t *testing.T) {
	const workers, each = 8, 5000
	ids := make([][]UUID, workers)
	var running sync.WaitGroup
	for i := range ids {
		running.Go(func() {
			for range each {
				ids[i] = append(ids[i], NewUUID(noon))
			}
		})
	}
	running.Wait()
	seen := make(map[UUID]bool, workers*each)
	for _, some := range ids {
		for _, id := range some {
			if seen[id] {
				t.Fatalf("%s is there twice", id)
			}
			seen[id] = true
		}
	}
}

// Every bit beside time, version and variant is random.
func TestNewUUIDRandomBits(t *testing.T) {
	const n = 2000
	var ones [128]int
	for range n {
		id := NewUUID(noon)
		for bit := range ones {
			ones[bit] += int(id[bit/8] >> (7 - bit%8) & 1)
		}
	}
	for bit, count := range ones {
		fixed := bit < 52 || bit == 64 || bit == 65
		if !fixed && (count < n/3 || count > n*2/3) || fixed && count != 0 && count != n {
			t.Errorf("bit %d is set in %d of %d", bit, count, n)
		}
	}
}

func TestNamedUUID(t *testing.T) {
	tests := []struct {
		parts []string
		want  string
	}{ // Computed by other means. These never change: records and idempotency keys get their event ids so.
		{nil, "e3b0c442-98fc-8c14-9afb-f4c8996fb924"},
		{[]string{""}, "af5570f5-a181-8b7a-b78c-af4bc70a660f"},
		{[]string{"ab", "c"}, "601d5476-e2cc-8e2c-87a2-bba7a3226597"},
		{[]string{"a", "bc"}, "3fafa1cf-2f19-87c1-929b-eb20cf0983f7"},
		{[]string{"abc"}, "c3494ca1-a2cf-8eeb-8a11-ded316fb55b8"},
		{[]string{"a", "b", "c"}, "bd735517-dea8-804b-ba91-d58ed956ea9c"},
		{[]string{"abc", ""}, "f5a934b5-ab96-857b-8690-5e4dec48ff81"},
		{[]string{"", "abc"}, "e7fa8174-d147-8e73-9548-36b6f2193353"},
	}
	seen := map[UUID][]string{}
	for _, tt := range tests {
		id := NamedUUID(tt.parts...)
		if tt.want != id.String() {
			t.Errorf("%q: got %s, want %s", tt.parts, id, tt.want)
		}
		if id[6]>>4 != 8 || id[8]>>6 != 0b10 {
			t.Errorf("%q: %s is not a UUIDv8", tt.parts, id)
		}
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q have the same id", tt.parts, other)
		}
		seen[id] = tt.parts
	}
}

func TestParseUUID(t *testing.T) {
	for _, text := range []string{
		someID, strings.ToUpper(someID), "ffffffff-ffff-ffff-ffff-ffffffffffff", "FfFfFfFf-0000-0000-0000-00000000000a",
		"01234567-89ab-cdef-0123-456789abcdef", "00000000-0000-0000-0000-000000000001", "10000000-0000-0000-0000-000000000000",
	} {
		id, err := ParseUUID(text)
		if err != nil || id.String() != strings.ToLower(text) {
			t.Errorf("%s is %s, %v", text, id, err)
		}
	}
	for _, text := range []string{
		"", "0", "00000000-0000-0000-0000-000000000000",
		someID[1:], someID + "0", "{" + someID + "}", "urn:uuid:" + someID, " " + someID[1:], someID[:35] + "\n",
		strings.ReplaceAll(someID, "-", ""), strings.ReplaceAll(someID, "-", "0"), strings.ReplaceAll(someID, "-", "_"),
		"0190a0a00-000-7000-8000-000000000001", "g190a0a0-0000-7000-8000-000000000001", "0190a0a0-0000-7000-8000-00000000000g",
		"0190a0a0-0000-7000-8000-00000000000\x00", "\xff190a0a0-0000-7000-8000-000000000001", "0190a0a0-0000-7000-8000-0000000000é",
	} {
		if id, err := ParseUUID(text); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q is taken for %s", text, id)
		}
	}
}

func TestParseUUIDDigits(t *testing.T) {
	for place := range len(someID) {
		for c := range 256 {
			text := []byte(someID)
			text[place] = byte(c)
			_, err := ParseUUID(string(text))
			ok := strings.ContainsRune("0123456789abcdefABCDEF", rune(c))
			if someID[place] == '-' {
				ok = c == '-'
			}
			if ok != (err == nil) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}
