package netstreamflow_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module     = "github.com/netstreamflow/netstreamflow"
	watermill  = "github.com/ThreeDotsLabs/watermill"
	anyLibrary = "*"
)

// layer says what the files of a folder may import beside the standard library.
type layer struct {
	// ours are folders of this module.
	ours []string
	// libraries are import paths, each with all below it.
	libraries []string
}

// layers holds every folder with Go files; "." is the root. An adapter's own client or driver stands in its row and in no
// other, which keeps it out of the rest of the program.
var layers = map[string]layer{
	"domain":      {},
	"application": {ours: []string{"domain"}},

	"ports/rest": {
		ours: []string{"domain", "application"},
		libraries: []string{
			"github.com/gorilla/mux", "github.com/swaggest/swgui", "github.com/goccy/go-yaml",
			"github.com/rs/cors", "github.com/hashicorp/golang-lru/v2",
		},
	},
	"ports/admin": {},
	"ports/consumer": {
		ours:      []string{"domain", "application"},
		libraries: []string{watermill + "/message"},
	},

	"adapters/auth": {
		ours: []string{"domain", "application"},
		libraries: []string{
			"github.com/golang-jwt/jwt/v5", "github.com/MicahParks/jwkset", "github.com/hashicorp/golang-lru/v2", "github.com/goccy/go-yaml",
		},
	},

	"adapters/broker": {
		ours:      []string{"domain", "application", "adapters/circuit"},
		libraries: []string{watermill, "github.com/failsafe-go/failsafe-go"},
	},
	"adapters/broker/gochannel":  brokerAdapter(),
	"adapters/broker/kafka":      brokerAdapter("github.com/IBM/sarama", watermill+"-kafka/v3", "github.com/xdg-go/scram", "github.com/eapache/go-resiliency"),
	"adapters/broker/confluent":  brokerAdapter("github.com/confluentinc/confluent-kafka-go/v2"),
	"adapters/broker/sqlitelog":  brokerAdapter("modernc.org/sqlite", "github.com/pressly/goose/v3"),
	"adapters/broker/brokertest": brokerAdapter("go.uber.org/goleak", "github.com/stretchr/testify"),
	"adapters/broker/kafkatest":  brokerAdapter("github.com/twmb/franz-go"),

	"adapters/proxytest": {},

	"adapters/circuit": {libraries: []string{"github.com/failsafe-go/failsafe-go"}},
	"adapters/limit": {
		ours:      []string{"domain", "application", "adapters/circuit"},
		libraries: []string{"github.com/redis/go-redis/v9", "github.com/hashicorp/golang-lru/v2"},
	},

	"adapters/store":           {ours: []string{"domain", "application", "adapters/circuit"}},
	"adapters/store/memory":    storeAdapter(),
	"adapters/store/sqlite":    storeAdapter("modernc.org/sqlite", "github.com/pressly/goose/v3"),
	"adapters/store/postgres":  storeAdapter("github.com/jackc/pgx/v5", "github.com/pressly/goose/v3"),
	"adapters/store/storetest": storeAdapter("go.uber.org/goleak", "github.com/stretchr/testify"),

	"adapters/secret": {
		ours: []string{"domain"},
		libraries: []string{
			"github.com/aws/aws-sdk-go-v2/config", "github.com/aws/aws-sdk-go-v2/service/secretsmanager", "github.com/aws/smithy-go",
			"github.com/Azure/azure-sdk-for-go/sdk", "github.com/hashicorp/vault/api",
		},
	},

	".": {
		ours: []string{
			"domain", "application", "ports/rest", "ports/consumer", "ports/admin", "adapters/auth",
			"adapters/broker", "adapters/broker/gochannel", "adapters/broker/kafka", "adapters/broker/confluent", "adapters/broker/sqlitelog",
			"adapters/circuit", "adapters/limit",
			"adapters/store", "adapters/store/memory", "adapters/store/sqlite", "adapters/store/postgres",
			"adapters/secret",
		},
		libraries: []string{anyLibrary},
	},
	"cmd/netstreamflow": {
		ours:      []string{".", "application"},
		libraries: []string{"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3"},
	},
	"test/faults": {
		ours:      []string{"domain", "test/extras"},
		libraries: []string{anyLibrary},
	},
	"test/scale": {
		ours:      []string{".", "domain", "application", "adapters/broker"},
		libraries: []string{anyLibrary},
	},
	// A module of its own.
	"test/manifests": {libraries: []string{anyLibrary}},
	"test/extras":    {ours: []string{".", "application"}},
	"test/bench": {
		ours:      []string{".", "domain", "test/extras"},
		libraries: []string{"github.com/spf13/pflag"},
	},
}

func brokerAdapter(own ...string) layer {
	return layer{
		ours:      []string{"domain", "application", "adapters/broker"},
		libraries: append([]string{watermill}, own...),
	}
}

func storeAdapter(own ...string) layer {
	return layer{ours: []string{"domain", "application", "adapters/store"}, libraries: own}
}

// faults says what is wrong with the imports of a file. Tests may import every library, and every folder that is not a
// program.
func faults(file string, imports ...string) []string {
	l, known := layers[path.Dir(file)]
	if !known {
		return []string{file + ": the folder is in no layer: give it a row in layers (architecture_test.go)"}
	}
	test := strings.HasSuffix(file, "_test.go")
	var all []string
	for _, imported := range imports {
		if folder, ok := ourFolder(imported); ok {
			if !slices.Contains(l.ours, folder) && (!test || isProgram(folder)) {
				all = append(all, fmt.Sprintf("%s imports %s: of this module only %q may be", file, imported, l.ours))
			}
		} else if !test && !isStandard(imported) && !l.mayUse(imported) {
			all = append(all, fmt.Sprintf("%s imports %s: of libraries only %q may be", file, imported, l.libraries))
		}
	}
	return all
}

func (l layer) mayUse(imported string) bool {
	return slices.ContainsFunc(l.libraries, func(library string) bool {
		return library == anyLibrary || isBelow(imported, library)
	})
}

// ourFolder returns the folder of a package of this module.
func ourFolder(imported string) (folder string, ok bool) {
	if !isBelow(imported, module) {
		return "", false
	}
	return path.Clean(strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")), true
}

func isBelow(imported, root string) bool {
	return imported == root || strings.HasPrefix(imported, root+"/")
}

func isProgram(folder string) bool { return isBelow(folder, "cmd") || isBelow(folder, "test") }

// isStandard is also false for "C": everything can be built without a C compiler.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return imported != "C" && !strings.Contains(first, ".")
}

// TestLayers holds every file to the layers, whatever its build tags.
func TestLayers(t *testing.T) {
	files := goFiles(t)
	if !slices.Contains(files, "domain/event.go") {
		t.Fatalf("the files are not found, only %q", files)
	}
	for _, file := range files {
		for _, fault := range faults(file, importsOf(t, file)...) {
			t.Error(fault)
		}
	}
}

// TestLayersAreHeld proves the rule with imports that must not be.
func TestLayersAreHeld(t *testing.T) {
	const sarama, wire, sqlDriver = "github.com/IBM/sarama", "github.com/google/wire", "github.com/jackc/pgx/v5"
	const prometheus, otel = "github.com/prometheus/client_golang/prometheus", "go.opentelemetry.io/otel"
	tests := []struct {
		file, imported string
		ok             bool
	}{
		{"domain/x.go", "crypto/rand", true},
		{"domain/x.go", "C", false},
		{"domain/x.go", "golang.org/x/text/unicode/norm", false},
		{"domain/x.go", module + "/application", false},
		{"domain/x.go", module, false},
		{"domain/x_test.go", "github.com/go-json-experiment/json/jsontext", true},
		{"domain/x_test.go", module + "/cmd/netstreamflow", false},
		{"application/x.go", module + "/domain", true},
		{"application/x.go", module + "/adapters/store", false},
		{"application/x.go", watermill + "/message", false},
		{"ports/rest/x.go", "github.com/gorilla/mux", true},
		{"ports/rest/x.go", "github.com/swaggest/swgui/v5/static", true},
		{"ports/rest/x.go", "github.com/gorilla/muxer", false},
		{"ports/rest/x.go", watermill + "/message", false},
		{"ports/rest/x.go", module + "/ports/consumer", false},
		{"ports/rest/x.go", module + "/adapters/store/memory", false},
		{"ports/rest/x_test.go", module + "/adapters/store/memory", true},
		{"ports/rest/x.go", prometheus, false},
		{"ports/rest/x.go", otel + "/trace", false},
		{"ports/consumer/x.go", otel + "/trace", false},
		{"application/x.go", prometheus, false},
		{"adapters/broker/x.go", otel + "/trace", false},
		{"ports/admin/x.go", prometheus, false},
		{"x.go", otel + "/sdk/trace", true},
		{"ports/consumer/x.go", watermill + "/message", true},
		{"ports/consumer/x.go", module + "/adapters/broker", false},
		{"ports/consumer/x.go", sarama, false},
		{"adapters/auth/x.go", "github.com/golang-jwt/jwt/v5", true},
		{"adapters/auth/x.go", module + "/ports/rest", false},
		{"adapters/broker/x.go", watermill + "/message", true},
		{"adapters/broker/x.go", module + "/adapters/broker/kafka", false},
		{"adapters/broker/x.go", sarama, false},
		{"adapters/broker/kafka/x.go", sarama, true},
		{"adapters/broker/kafka/x.go", module + "/adapters/broker", true},
		{"adapters/broker/kafka/x.go", module + "/adapters/broker/confluent", false},
		{"adapters/broker/kafka/x.go", module + "/adapters/store", false},
		{"adapters/broker/kafka/x.go", module + "/ports/consumer", false},
		{"adapters/broker/kafka/x.go", module + "/adapters/broker/brokertest", false},
		{"adapters/broker/kafka/x_test.go", module + "/adapters/broker/brokertest", true},
		{"adapters/broker/gochannel/x.go", watermill + "-kafka/v3/pkg/kafka", false},
		{"adapters/limit/x.go", "github.com/redis/go-redis/v9", true},
		{"adapters/limit/x.go", module + "/adapters/circuit", true},
		{"adapters/limit/x.go", module + "/ports/rest", false},
		{"adapters/limit/x.go", module + "/adapters/store", false},
		{"adapters/circuit/x.go", module + "/domain", false},
		{"adapters/store/x.go", module + "/adapters/circuit", true},
		{"adapters/broker/x.go", module + "/adapters/circuit", true},
		{"adapters/broker/kafka/x.go", module + "/adapters/circuit", false},
		{"adapters/store/x.go", module + "/adapters/limit", false},
		{"adapters/store/memory/x.go", "github.com/redis/go-redis/v9", false},
		{"adapters/store/memory/x.go", module + "/adapters/store", true},
		{"adapters/store/memory/x.go", module + "/adapters/broker", false},
		{"adapters/store/memory/x.go", module + "/adapters/store/storetest", false},
		{"adapters/store/memory/x.go", sqlDriver, false},
		{"adapters/store/memory/x.go", wire, false},
		{"adapters/secret/x.go", "github.com/hashicorp/vault/api", true},
		{"adapters/secret/x.go", module + "/adapters/store", false},
		{"adapters/store/postgres/x.go", module + "/adapters/secret", false},
		{"x.go", wire, true},
		{"x.go", module + "/adapters/broker/confluent", true},
		{"x.go", module + "/cmd/netstreamflow", false},
		{"x.go", module + "/adapters/store/storetest", false},
		{"x.go", module + "/test/bench", false},
		{"cmd/netstreamflow/x.go", module, true},
		{"cmd/netstreamflow/x.go", "github.com/spf13/cobra", true},
		{"cmd/netstreamflow/x.go", wire, false},
		{"cmd/netstreamflow/x.go", module + "/ports/rest", false},
		{"adapters/broker/unknown/x.go", "fmt", false},
		{"adapters/x.go", "fmt", false},
		{"util/x.go", "fmt", false},
		{"util/x_test.go", "fmt", false},
	}
	for _, tt := range tests {
		if found := faults(tt.file, tt.imported); (len(found) == 0) != tt.ok {
			t.Errorf("%s imports %s: got %q, want accepted %t", tt.file, tt.imported, found, tt.ok)
		}
	}
	if len(faults("util/x.go")) == 0 {
		t.Error("a file without imports in an unknown folder is accepted")
	}
}

// goFiles returns the paths of all Go files but those that the go command passes over too.
func goFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && file != "." && (name[0] == '.' || name[0] == '_' || name == "testdata") {
			return fs.SkipDir
		}
		if !entry.IsDir() && strings.HasSuffix(name, ".go") {
			files = append(files, filepath.ToSlash(file))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func importsOf(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, imported)
	}
	return all
}
