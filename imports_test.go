package redress_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/redress-policy/redress"

// mayImport is the house: for every folder of code, what it may import besides the
// standard library. Tests are free. A folder that is not listed fails the test, so
// that a new one is a decision.
var mayImport = map[string][]string{
	"engine":              {},
	"dsl":                 {"gopkg.in/yaml.v3", "internal/lazyregexp", "internal/nearest"},
	"schema":              {"github.com/santhosh-tekuri/jsonschema/v5", "internal/lazyregexp"},
	"interp":              {"dsl", "engine", "github.com/google/cel-go", "internal/celcheck", "internal/celparse", "internal/cond", "internal/ir", "internal/lazyregexp"},
	"internal/catalog":    {"engine", "internal/nearest"},
	"internal/celcheck":   {"github.com/google/cel-go"},
	"internal/celparse":   {"github.com/google/cel-go"},
	"internal/cond":       {"engine"},
	"internal/ir":         {"engine", "internal/cond"},
	"internal/lazyregexp": {},
	"internal/leak":       {},
	"internal/nearest":    {},
	"internal/proof":      {"engine", "."},
	"internal/virtual":    {"engine"},
	"internal/recorded":   {"engine"},
	"internal/telemetry":  {"engine"},
	"internal/load":       {"dsl", "schema", "interp"},
	"internal/scenario":   {"dsl", "interp", "engine", "internal/virtual"},
	"internal/rules":      {"dsl"},
	"internal/analysis":   {"dsl", "engine", "interp"},
	"internal/report":     {"dsl", "internal/rules"},
	"internal/format":     {"dsl"},
	"internal/importer":   {"dsl", "gopkg.in/yaml.v3", "internal/lazyregexp"},
	"internal/checks":     {"dsl", "engine", "interp", "internal/analysis", "internal/rules", "internal/scenario"},
	"internal/suppress":   {"dsl", "internal/lazyregexp", "internal/rules"},
	"internal/config":     {"dsl", "gopkg.in/yaml.v3", "internal/rules"},
	"internal/lsp":        {"dsl", "schema", "interp", "internal/lazyregexp", "internal/load", "internal/rules"},
	"internal/lint":       {"dsl", "schema", "interp", "engine", "internal/analysis", "internal/catalog", "internal/checks", "internal/config", "internal/format", "internal/importer", "internal/ir", "internal/load", "internal/lsp", "internal/report", "internal/rules", "internal/scenario", "internal/suppress", "redressreplay"},
	"bundle":              {"engine", "internal/catalog", "internal/ir"},
	"examples/bundle":     {"bundle", "engine"},
	"cmd/redress-lint":    {"internal/lint"},
	"bench":               {"internal/lint", "engine", "interp", "dsl", "internal/load", "bundle", "."},
	"bench/ratios":        {},
	".":                   {"dsl", "interp", "engine", "internal/catalog", "internal/ir", "internal/load"},
	"redresssql":          {"engine", "."},
	"redresshttp":         {"engine"},
	"redresstest":         {"dsl", "engine", "interp", "internal/load", "internal/scenario", "internal/virtual"},
	"redressdebug":        {"engine", "."},
	"redressreplay":       {"engine"},
	"examples/shop":       {".", "redressdebug", "redresshttp", "redresssql", "contrib/redressotel", "contrib/redressprom", "contrib/redressredis", "github.com/jackc/pgx/v5", "github.com/prometheus/client_golang", "github.com/redis/go-redis/v9", "go.opentelemetry.io/otel/sdk"},
	"examples/grpcclient": {".", "contrib/redressgrpc", "google.golang.org/grpc", "google.golang.org/genproto", "google.golang.org/protobuf"},
	"examples/worker":     {".", "github.com/redis/go-redis/v9"},
	"examples/quickstart": {"."},

	"contrib/redressgrpc":  {".", "engine", "google.golang.org/grpc", "google.golang.org/genproto/googleapis/rpc", "google.golang.org/protobuf"},
	"contrib/redresspgx":   {".", "engine", "redresssql", "github.com/jackc/pgx/v5"},
	"contrib/sqltest":      {},
	"contrib/redressamqp":  {".", "engine", "internal/recorded", "github.com/rabbitmq/amqp091-go"},
	"contrib/redressaws":   {".", "github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"},
	"contrib/redressfleet": {".", "engine", "github.com/redis/go-redis/v9"},
	"contrib/redressredis": {".", "github.com/redis/go-redis/v9"},
	"contrib/redresskafka": {".", "engine", "internal/recorded", "github.com/twmb/franz-go"},
	"contrib/redressmqtt":  {".", "engine", "internal/recorded", "github.com/eclipse/paho.golang"},
	"contrib/redressnats":  {".", "engine", "internal/recorded", "github.com/nats-io/nats.go"},
	"contrib/redressotel":  {".", "engine", "internal/telemetry", "go.opentelemetry.io/otel"},
	"contrib/redressprom":  {".", "internal/telemetry", "github.com/prometheus/client_golang"},

	"contrib/redressfsnotify": {".", "github.com/fsnotify/fsnotify"},
	"contrib/redressrediskv":  {".", "github.com/redis/go-redis/v9"},
	"contrib/redressnatskv":   {".", "github.com/nats-io/nats.go"},
}

func TestOnlyAllowedImports(t *testing.T) {
	seen := map[string]bool{}
	for _, path := range codeFiles(t) {
		folder := filepath.ToSlash(filepath.Dir(path))
		allowed, listed := mayImport[folder]
		if !listed {
			t.Errorf("%s is not in the table of the house", folder)
			continue
		}
		seen[folder] = true
		for _, imported := range importsOf(t, path) {
			if !mayUse(imported, allowed) {
				t.Errorf("%s imports %s, which %s may not", path, imported, folder)
			}
		}
	}
	for folder := range mayImport {
		if !seen[folder] {
			t.Errorf("the table lists %s, which has no code", folder)
		}
	}
}

// codeFiles lists the files of Go of all modules, without tests.
func codeFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if name == "testdata" || (strings.HasPrefix(name, ".") && name != ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func importsOf(t *testing.T, path string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	return list
}

// mayUse says whether a package is of the standard library (its first element has
// no dot) or in the list.
func mayUse(imported string, allowed []string) bool {
	if own, ok := strings.CutPrefix(imported, module); ok {
		return slices.Contains(allowed, strings.TrimPrefix(own, "/")) || (own == "" && slices.Contains(allowed, "."))
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return true
	}
	return slices.ContainsFunc(allowed, func(a string) bool {
		return imported == a || strings.HasPrefix(imported, a+"/")
	})
}
