package domain

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestSplitArray(t *testing.T) {
	deep := nested(100_000)
	tests := map[string][]string{
		`[]`:                         nil,
		" [\t\r\n] ":                 nil,
		`[1]`:                        {`1`},
		" [ 1 , {} ,\n[ ]\t] ":       {`1`, `{}`, `[ ]`},
		`[[1,2],[[],[3]],{"a":[4]}]`: {`[1,2]`, `[[],[3]]`, `{"a":[4]}`},
		`["a,b]","[{\"}",{"]":"}\\"},"\\","\\\\\"]"]`: {`"a,b]"`, `"[{\"}"`, `{"]":"}\\"}`, `"\\"`, `"\\\\\"]"`},
		`[,]`:                         {``, ``},
		`[1,]`:                        {`1`, ``},
		`[1 2,x]`:                     {`1 2`, `x`},
		"[\"\x00\xff\n\", \"\"]":      {"\"\x00\xff\n\"", `""`},
		`[` + deep + `,` + deep + `]`: {deep, deep},
	}
	for text, want := range tests {
		elements, err := SplitArray([]byte(text))
		var got []string
		for _, e := range elements {
			got = append(got, string(e))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%.99s: got %.99q, %v; want %.99q", text, got, err, want)
		}
	}
}

func TestSplitArrayMalformed(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{}`, `1`, `null`, "\ufeff[]", `[`, `[ `, `[1`, `[1,`, `[[1]`, `["`, `["]`, `["\`, `["\"]`, `[{"a":[}`, `[1}`,
		`[1]]`, `[1] 2`, `[],`, `[]x`, strings.Repeat("[", 100_000), "[" + strings.Repeat(`{"a":`, 100_000),
	} {
		if got, err := SplitArray([]byte(text)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%.99s: got %.99q, %v", text, got, err)
		}
	}
}

func TestSplitArrayLimit(t *testing.T) {
	full := "[" + strings.Repeat("1,", MaxElements-1) + "1"
	if elements, err := SplitArray([]byte(full + "]")); err != nil || len(elements) != MaxElements {
		t.Errorf("%d elements, %v", len(elements), err)
	}
	if _, err := SplitArray([]byte(full + ",1]")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("the error is %v", err)
	}
}

func TestSplitArrayCopiesNothing(t *testing.T) {
	text := []byte(`[ "a" ]`)
	elements, err := SplitArray(text)
	if err != nil || len(elements) != 1 || &elements[0][0] != &text[2] {
		t.Errorf("%q, %v: the element does not share the input's memory", elements, err)
	}
}
