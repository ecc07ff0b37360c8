package domain

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var noon = time.Date(2026, time.January, 31, 12, 0, 0, 0, time.UTC)

const someID = "0190a0a0-0000-7000-8000-000000000001"

// nested returns levels of arrays inside each other.
func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func withMetadata(metadata string) string {
	return `{"userId":"u","eventType":"t","metadata":` + metadata + `}`
}

func TestDecodeDraft(t *testing.T) {
	const id, at = `"eventId":"` + someID + `"`, `"timestamp":"2026-01-31T12:00:00Z"`
	tests := map[string]struct{ text, want string }{
		"all members": {
			`{` + id + `,"userId":"u","eventType":"t",` + at + `,"metadata":{"a":1}}`,
			`{` + id + `,"userId":"u","eventType":"t",` + at + `,"metadata":{"a":1}}`,
		},
		"no metadata": {`{` + id + `,"userId":"u","eventType":"t",` + at + `}`, ``},
		"any order and space": {
			"\r\n\t {" + at + " , \"eventType\" :\n\"t\" ,\"metadata\": { } ,\"userId\":\"u\"," + id + "} \n", ``,
		},
		"escaped names":   {`{` + id + `,"user\u0049d":"u","\u0065ventType":"t",` + at + `}`, ``},
		"escaped values":  {`{` + id + `,"userId":"\u0075","eventType":"\u0074",` + at + `}`, ``},
		"upper-case uuid": {`{"eventId":"` + strings.ToUpper(someID) + `","userId":"u","eventType":"t",` + at + `}`, ``},
		"offset":          {`{` + id + `,"userId":"u","eventType":"t","timestamp":"2026-01-31t13:30:00.000+01:30"}`, ``},
		"every escape": {
			`{` + id + `,"userId":"\" \\ \/ \u00e9 \uD83D\uDE00","eventType":"t",` + at + `}`,
			`{` + id + `,"userId":"\" \\ / é 😀","eventType":"t",` + at + `,"metadata":{}}`,
		},
		"zero time": {
			`{` + id + `,"userId":"u","eventType":"t","timestamp":"0001-01-01T00:00:00Z"}`,
			`{` + id + `,"userId":"u","eventType":"t","timestamp":"0001-01-01T00:00:00Z","metadata":{}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = `{` + id + `,"userId":"u","eventType":"t",` + at + `,"metadata":{}}`
			}
			d, err := DecodeDraft([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			e, err := d.Event(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if got := string(e.JSON()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDecodeDraftKeepsMetadata(t *testing.T) {
	for _, metadata := range []string{
		`{}`,
		`{"n":[0,-0,1.50,1e400,-1E-7,1E+2,123456789012345678901234567890]}`,
		`{"z":1,"a":2,"":3}`,
		`{"s":"\u0000\u0022\/\b\f\n\r\t\uD83D\uDE00 é \u2028 ` + "\u2028\u007f\"}",
		`{"l":[true,false,null,{},[],""]}`,
		`{"same":{"same":[{"same":1},{"same":1}]},"Same":1}`,
		`{"d":` + nested(MaxDepth-2) + `}`,
		`{"long":"` + strings.Repeat("é\\n\\\\ abcdefgh", 1000) + `"}`,
	} {
		d, err := DecodeDraft([]byte(withMetadata(metadata)))
		if err != nil {
			t.Errorf("%s: %v", metadata, err)
		} else if string(d.Metadata) != metadata {
			t.Errorf("%s has become %s", metadata, d.Metadata)
		}
	}
}

func TestDecodeDraftDropsSpaceOnly(t *testing.T) {
	d, err := DecodeDraft([]byte(withMetadata("{ \"a b\" : [ 1 ,\t\"\\\" , \" , \"\\\\\" ] ,\r\n\"c\":{ } }")))
	if want := `{"a b":[1,"\" , ","\\"],"c":{}}`; err != nil || string(d.Metadata) != want {
		t.Errorf("%s, %v; want %s", d.Metadata, err, want)
	}
}

// many returns an object of n members.
func many(n int, name func(i int) string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `%q:%d`, name(i), i)
	}
	return b.String() + "}"
}

func TestDecodeDraftMalformed(t *testing.T) {
	tests := map[string]struct {
		text    string
		pointer string
		syntax  bool
	}{
		"empty":                    {"", "", true},
		"space":                    {" \n", "", true},
		"NUL":                      {"\x00", "", true},
		"byte order mark":          {"\ufeff" + withMetadata(`{}`), "", true},
		"UTF-16":                   {"{\x00\"\x00", "", true},
		"bad UTF-8 outside":        {"\xff", "", true},
		"other space":              {"\v{}", "", true},
		"open":                     {`{`, "", true},
		"open name":                {`{"userId`, "", true},
		"no colon":                 {`{"userId"}`, "", true},
		"no value":                 {`{"userId":`, "/userId", true},
		"no comma":                 {`{"userId":"u" "eventType":"t"}`, "", true},
		"comma at the end":         {`{"userId":"u",}`, "", true},
		"comma at the start":       {`{,"userId":"u"}`, "", true},
		"comma in array":           {withMetadata(`{"a":[1,]}`), "/metadata/a/1", true},
		"wrong bracket":            {withMetadata(`{"a":[1}}`), "/metadata/a", true},
		"name without quotes":      {`{userId:"u"}`, "", true},
		"single quotes":            {`{'userId':"u"}`, "", true},
		"number as name":           {`{1:2}`, "", true},
		"trailing text":            {withMetadata(`{}`) + "x", "", true},
		"second value":             {withMetadata(`{}`) + withMetadata(`{}`), "", true},
		"trailing NUL":             {withMetadata(`{}`) + "\x00", "", true},
		"text after another value": {`1 2`, "", true},
		"comment":                  {withMetadata(`{/**/}`), "/metadata", true},
		"leading zero":             {withMetadata(`{"a":01}`), "/metadata", true},
		"minus zero one":           {withMetadata(`{"a":-01}`), "/metadata", true},
		"plus":                     {withMetadata(`{"a":+1}`), "/metadata/a", true},
		"minus alone":              {withMetadata(`{"a":-}`), "/metadata/a", true},
		"point at the end":         {withMetadata(`{"a":1.}`), "/metadata/a", true},
		"point at the start":       {withMetadata(`{"a":.5}`), "/metadata/a", true},
		"exponent without digits":  {withMetadata(`{"a":1e+}`), "/metadata/a", true},
		"hexadecimal":              {withMetadata(`{"a":0x1}`), "/metadata", true},
		"NaN":                      {withMetadata(`{"a":NaN}`), "/metadata/a", true},
		"Infinity":                 {withMetadata(`{"a":-Infinity}`), "/metadata/a", true},
		"upper-case literal":       {withMetadata(`{"a":True}`), "/metadata/a", true},
		"long literal":             {withMetadata(`{"a":truex}`), "/metadata", true},
		"short literal":            {withMetadata(`{"a":nul}`), "/metadata/a", true},
		"cut literal":              {`{"a":fals`, "/a", true},
		"control character":        {"{\"userId\":\"a\nb\"}", "/userId", true},
		"NUL in string":            {"{\"userId\":\"a\x00b\"}", "/userId", true},
		"unknown escape":           {`{"userId":"\x41"}`, "/userId", true},
		"cut escape":               {`{"userId":"\`, "/userId", true},
		"cut unicode escape":       {`{"userId":"\u00`, "/userId", true},
		"bad unicode escape":       {`{"userId":"\u00g0"}`, "/userId", true},
		"cut surrogate pair":       {`{"userId":"\uD800\u`, "/userId", true},
		"high surrogate":           {`{"userId":"\uD800"}`, "/userId", false},
		"high surrogate, escape":   {`{"userId":"\uD800\n"}`, "/userId", false},
		"two high surrogates":      {`{"userId":"\uD800\uD800"}`, "/userId", false},
		"low surrogate":            {`{"userId":"\uDC00"}`, "/userId", false},
		"surrogate in a name":      {`{"\uDEAD":1}`, "", false},
		"bad UTF-8":                {"{\"userId\":\"\xff\"}", "/userId", false},
		"cut UTF-8":                {"{\"userId\":\"\xe2\x82\"}", "/userId", false},
		"overlong UTF-8":           {"{\"userId\":\"\xc0\x80\"}", "/userId", false},
		"encoded surrogate":        {"{\"userId\":\"\xed\xa0\x80\"}", "/userId", false},
		"beyond Unicode":           {"{\"userId\":\"\xf4\x90\x80\x80\"}", "/userId", false},
		"bad UTF-8 in a name":      {"{\"\xff\":1}", "", false},
		"twice":                    {`{"userId":"u","userId":"u"}`, "/userId", false},
		"twice, escaped":           {`{"userId":"u","\u0075serId":"v"}`, "/userId", false},
		"twice, unknown":           {`{"x":1,"x":1}`, "/x", false},
		"twice, escaped otherwise": {withMetadata(`{"/~":1,"\/\u007e":1}`), "/metadata/~1~0", false},
		"twice, every escape": {
			withMetadata(`{"\b\f\n\r\t\"\\":1,"\u0008\u000C\u000a\u000d\u0009\u0022\u005c":1}`), "/metadata/\b\f\n\r\t\"\\", false,
		},
		"twice, surrogate pair":    {withMetadata(`{"\uD83D\uDE00":1,"😀":1}`), "/metadata/😀", false},
		"twice, empty":             {withMetadata(`{"":1,"":1}`), "/metadata/", false},
		"twice, in an array":       {withMetadata(`{"a":[0,{"b":{},"b":{}}]}`), "/metadata/a/1/b", false},
		"twice of many":            {withMetadata(many(100, func(i int) string { return strconv.Itoa(i % 99) })), "/metadata/0", false},
		"twice right after a few":  {withMetadata(many(17, func(i int) string { return strconv.Itoa(i % 16) })), "/metadata/0", false},
		"twice at the last of few": {withMetadata(many(16, func(i int) string { return strconv.Itoa(i % 15) })), "/metadata/0", false},
		"too deep":                 {withMetadata(`{"d":` + nested(MaxDepth-1) + `}`), "/metadata/d" + strings.Repeat("/0", MaxDepth-2), false},
		"too deep elsewhere":       {`{"x":` + nested(100_000) + `}`, "/x" + strings.Repeat("/0", MaxDepth-1), false},
		"too deep outside":         {nested(MaxDepth + 1), strings.Repeat("/0", MaxDepth), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeDraft([]byte(tt.text))
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("the error is %v", err)
			}
			if !invalid.Malformed || invalid.Syntax != tt.syntax || len(invalid.Violations) != 1 {
				t.Errorf("got %+v, want syntax %t", invalid, tt.syntax)
			}
			if got := invalid.Violations[0].Pointer; got != tt.pointer {
				t.Errorf("the pointer is %q, want %q: %v", got, tt.pointer, err)
			}
		})
	}
}

func TestDecodeDraftWrong(t *testing.T) {
	tests := map[string]struct {
		text     string
		pointers []string
	}{
		"array":                  {`[]`, []string{""}},
		"string":                 {`"{}"`, []string{""}},
		"null":                   {` null `, []string{""}},
		"number":                 {`1`, []string{""}},
		"all of another kind":    {`{"eventId":1,"userId":[],"eventType":{},"timestamp":null,"metadata":"{}"}`, []string{"/eventId", "/userId", "/eventType", "/timestamp", "/metadata"}},
		"metadata null":          {withMetadata(`null`), []string{"/metadata"}},
		"metadata array":         {withMetadata(`[]`), []string{"/metadata"}},
		"nil UUID":               {`{"eventId":"00000000-0000-0000-0000-000000000000","userId":"u","eventType":"t"}`, []string{"/eventId"}},
		"UUID without dashes":    {`{"eventId":"0190a0a0000070008000000000000001","userId":"u","eventType":"t"}`, []string{"/eventId"}},
		"day that is not":        {`{"timestamp":"2026-02-29T00:00:00Z","userId":"u","eventType":"t"}`, []string{"/timestamp"}},
		"unknown":                {`{"userID":1,"userId":"u","eventType":"t"}`, []string{"/userID"}},
		"unknown, to be escaped": {`{"a/b~\u0000":{},"userId":"u","eventType":"t"}`, []string{"/a~1b~0\x00"}},
		"wrong and missing":      {`{"eventId":"","x":1,"userId":7}`, []string{"/eventId", "/x", "/userId", "/eventType"}},
		"wrong and against rule": {`{"eventId":"","userId":"","eventType":"t"}`, []string{"/eventId", "/userId"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeDraft([]byte(tt.text))
			var invalid *InvalidError
			if !errors.As(err, &invalid) || invalid.Malformed || invalid.Syntax {
				t.Fatalf("the error is %+v", err)
			}
			if got := pointers(invalid); !slices.Equal(got, tt.pointers) {
				t.Errorf("got %q, want %q", got, tt.pointers)
			}
		})
	}
}

func pointers(err *InvalidError) []string {
	var all []string
	for _, v := range err.Violations {
		all = append(all, v.Pointer)
	}
	return all
}

func TestDecodeDraftMissingIsLeftToTheRules(t *testing.T) {
	d, err := DecodeDraft([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Event(noon)
	var invalid *InvalidError
	if !errors.As(err, &invalid) || !slices.Equal(pointers(invalid), []string{"/userId", "/eventType"}) {
		t.Errorf("the error is %v", err)
	}
}

func TestViolationsAreBounded(t *testing.T) {
	long := strings.Repeat("é~/", 100_000)
	tests := map[string]string{
		"many unknown":    `{"userId":1,` + many(50_000, strconv.Itoa)[1:],
		"long unknown":    `{"` + long + `":1}`,
		"long twice":      `{"` + long + `":1,"` + long + `":1}`,
		"long and deep":   strings.Repeat(`{"`+long[:10_000]+`":`, MaxDepth+1),
		"long event id":   `{"eventId":"` + long + `"}`,
		"long user":       `{"userId":"` + long + `"}`,
		"long escape":     `{"` + strings.Repeat(`\u00e9`, 50_000) + `":1}`,
		"long timestamp":  `{"timestamp":"2026-01-31T12:00:00.` + strings.Repeat("1", 1_000_000) + `"}`,
		"long, malformed": `{"userId":"` + long,
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := DecodeDraft([]byte(text))
			if err == nil {
				_, err = d.Event(noon)
			}
			var invalid *InvalidError
			if !errors.As(err, &invalid) {
				t.Fatalf("the error is %v", err)
			}
			if n, limit := len(invalid.Violations), maxUnknown+6; n > limit {
				t.Errorf("%d violations, want %d at most", n, limit)
			}
			if n, limit := len(err.Error()), 16<<10; n > limit {
				t.Errorf("%d bytes, want %d at most", n, limit)
			}
			if !utf8.ValidString(err.Error()) {
				t.Error("not valid UTF-8")
			}
		})
	}
}

func TestUnknownMembersAreCounted(t *testing.T) {
	_, err := DecodeDraft([]byte(many(maxUnknown+3, strconv.Itoa)))
	var invalid *InvalidError
	if !errors.As(err, &invalid) {
		t.Fatal(err)
	}
	last := invalid.Violations[len(invalid.Violations)-1]
	if want := (Violation{"", "has 3 more unknown members"}); last != want {
		t.Errorf("the last one is %q, want %q", last, want)
	}
	if got := pointers(invalid)[maxUnknown:]; !slices.Equal(got, []string{"/userId", "/eventType", ""}) {
		t.Errorf("after the unknown ones come %q", got)
	}
}

func TestDecodeDraftSharesOnlyMetadata(t *testing.T) {
	text := []byte(`{"eventId":"` + someID + `","userId":"user","eventType":"type","metadata":{"a":1}}`)
	d, err := DecodeDraft(text)
	if err != nil {
		t.Fatal(err)
	}
	e, err := d.Event(noon)
	if err != nil {
		t.Fatal(err)
	}
	before := string(e.JSON())
	clear(text)
	if string(e.JSON()) != before || e.UserID() != "user" || e.EventType() != "type" {
		t.Errorf("the event has changed with the input: %s", e.JSON())
	}
	if grown := append(d.Metadata, 'x'); &grown[0] == &d.Metadata[0] {
		t.Error("appending to the metadata writes into the input")
	}
}
