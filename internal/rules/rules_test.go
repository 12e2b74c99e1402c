package rules_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/rules"
)

// TestMain fails the package if a test leaves a goroutine behind.
func TestMain(m *testing.M) { leak.Main(m) }

var update = flag.Bool("update", false, "write docs/rules anew")

// TestPagesAreThoseOfTheTable holds docs/rules to the table.
func TestPagesAreThoseOfTheTable(t *testing.T) {
	folder := filepath.Join("..", "..", "docs", "rules")
	pages := rules.Pages()
	schema, err := json.MarshalIndent(rules.ConfigSchema(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	pages["config.schema.json"] = string(schema) + "\n"
	if *update {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range pages {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok {
			t.Errorf("docs/rules/%s is no page of the table", e.Name())
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("docs/rules/%s is not what the table says; go test ./internal/rules -update writes it", name)
		}
	}
}

// TestEveryCodeIsARule: whatever a diagnostic can say has an entry, in order, once.
func TestEveryCodeIsARule(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "dsl", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`Code\{"(RD\d{3})", "([a-z-]+)"\}`).FindAllStringSubmatch(string(text), -1) {
		rule, ok := rules.Find(m[1])
		if !ok {
			t.Errorf("%s %s is not in the table", m[1], m[2])
		} else if rule.Code.Slug != m[2] {
			t.Errorf("%s is called %s in the table and %s in the code", m[1], rule.Code.Slug, m[2])
		}
	}
	seen := map[string]bool{}
	last := ""
	for _, r := range rules.All() {
		if r.Code.ID <= last {
			t.Errorf("%s stands behind %s", r.Code.ID, last)
		}
		last = r.Code.ID
		if seen[r.Code.Slug] {
			t.Errorf("two rules are called %s", r.Code.Slug)
		}
		seen[r.Code.Slug] = true
		if r.Summary == "" || r.What == "" || r.Why == "" || strings.HasSuffix(r.Summary, ".") {
			t.Errorf("%s lacks a text, or its summary ends with a period", r.Code.ID)
		}
		if (r.Bad == "") != (r.Good == "") || r.Bad == "" && r.Code != dsl.CodeSchema && r.Code != dsl.CodeStaleBaseline {
			t.Errorf("%s lacks an example", r.Code.ID)
		}
	}
}

// TestNewRulesStartAsWarnings: a rule that the last release did not have fails nobody's
// CI job. testdata/released.txt lists those that it had; before the first release, all
// there are.
func TestNewRulesStartAsWarnings(t *testing.T) {
	text, err := os.ReadFile("testdata/released.txt")
	if err != nil {
		t.Fatal(err)
	}
	released := map[string]bool{}
	for _, id := range strings.Fields(string(text)) {
		released[id] = true
	}
	for _, r := range rules.All() {
		if !released[r.Code.ID] && r.Severity == dsl.Error && !r.Fixed {
			t.Errorf("%s is new and an error; let it be a warning for a release", r.Code.ID)
		}
	}
}
