package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"gopkg.in/yaml.v3"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/config"
	"github.com/redress-policy/redress/internal/rules"
)

func read(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), config.FileName)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return config.Read(name)
}

// TestMistakesAreReportedAtTheirPlace: and the schema of the file refuses them too.
func TestMistakesAreReportedAtTheirPlace(t *testing.T) {
	c := jsonschema.NewCompiler()
	text, err := json.Marshal(rules.ConfigSchema())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.AddResource("urn:config", bytes.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	schema := c.MustCompile("urn:config")
	for _, row := range []struct {
		text, want string
		schemaToo  bool
	}{
		{"", "", true},
		{"fail_on: warning\nrules: {RD303: off, no-budget: warning}\n", `line 2, column 21: no rule is called "no-budget"`, true},
		{"fail_on: fatal\n", `line 1, column 10: fail_on is error, warning or info, not "fatal"`, true},
		{"rules: {RD303: loud}\n", "line 1, column 16: RD303 is off, info, warning or error", true},
		{"rules: {no-jiter: off}\n", `did you mean "no-jitter"?`, true},
		{"rules: {RD003: off}\n", "RD003 keeps a set from loading", true},
		{"rules: {RD303: off, no-jitter: info}\n", "no-jitter is given twice", false},
		{"rule: {}\n", `line 1, column 1: unknown key "rule"; did you mean "rules"?`, true},
		{"paths: [{rules: {RD303: off}}]\n", "needs match", true},
		{"paths: {match: x}\n", "paths is a list", true},
		{"exclude: ['[']\n", "is no pattern", false},
		{"exclude: vendor\n", "exclude is a list", true},
		{"baseline: 1\n", "baseline is a text", true},
		{"- a\n", "the config is a mapping", true},
		{"a: b: c\n", "mapping values are not allowed", false},
		{"fail_on: error\n---\nfail_on: info\n", "more than one document", false},
		{"fail_on: info\nrules: {RD303: error}\npaths: [{match: legacy/**, rules: {no-jitter: off}}]\nexclude: [vendor/**]\nbaseline: known.json\nfunctions: [f]\nenvironments: [env.yaml]\n", "", true},
	} {
		_, err := read(t, row.text)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%q: %v", row.text, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%q: got %v, want %q", row.text, err, row.want)
		}
		if !row.schemaToo || row.text == "" {
			continue
		}
		var value any
		if yaml.Unmarshal([]byte(row.text), &value) != nil {
			continue
		}
		plain, _ := json.Marshal(value)
		var v any
		if err := json.Unmarshal(plain, &v); err != nil {
			t.Fatal(err)
		}
		if refused := schema.Validate(v) != nil; refused != (row.want != "") {
			t.Errorf("%q: the schema refuses it: %v, reading gives %v", row.text, refused, err)
		}
	}
}

// TestTheLastMatchingPathCounts: over what holds for all files.
func TestTheLastMatchingPathCounts(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, config.FileName)
	text := "rules: {RD303: error, RD602: info}\npaths:\n  - {match: 'legacy/**', rules: {RD303: info}}\n  - {match: 'legacy/old/*.yaml', rules: {RD303: off}}\nexclude: ['**/vendor/**']\n"
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := config.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"a.yaml": "error", "legacy/a.yaml": "info", "legacy/x/y/a.yaml": "info", "legacy/old/a.yaml": "off", "legacy/old/x/a.yaml": "info"} {
		severity, on := c.Level(filepath.Join(dir, file), dsl.CodeNoJitter, dsl.Warning)
		got := severity.String()
		if !on {
			got = "off"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
	if _, on := c.Level("a.yaml", dsl.CodePolicyUntested, dsl.Info); !on {
		t.Error("a rule that is off by default is not switched on")
	}
	if _, on := (&config.Config{}).Level("a.yaml", dsl.CodePolicyUntested, dsl.Info); on {
		t.Error("a rule that is off by default is on")
	}
	if severity, on := c.Level("a.yaml", dsl.CodeSyntax, dsl.Error); !on || severity != dsl.Error {
		t.Error("an error of the loader has been changed")
	}
	if !c.Excludes(filepath.Join(dir, "x/vendor/y/a.yaml")) || c.Excludes(filepath.Join(dir, "x/a.yaml")) {
		t.Error("exclude does not go by its pattern")
	}
}

// TestTheNearestConfigAboveCounts: found from any folder below.
func TestTheNearestConfigAboveCounts(t *testing.T) {
	dir := t.TempDir()
	below := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(want, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := config.Find(below); err != nil || got != want {
		t.Errorf("found %q, %v, want %q", got, err, want)
	}
}
