package checks_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/checks"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/rules"
	"github.com/redress-policy/redress/interp"
)

var update = flag.Bool("update", false, "rewrite the .out files; read the difference before you commit it")

func check(sources ...*dsl.Source) dsl.Diagnostics {
	result := load.Sources(sources, interp.Options{Strategies: map[string]engine.Strategy{"my-backoff": engine.Immediate{}}})
	found := result.Diagnostics
	if !found.HasErrors() {
		found = append(found, checks.Check(result.Set, result.Program, checks.Options{Tests: true, Now: time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)})...)
	}
	return found
}

func printed(found dsl.Diagnostics) string {
	var b strings.Builder
	for _, d := range found {
		d.Print(&b, dsl.PrintOptions{})
	}
	return b.String()
}

// TestEveryRuleFindsItsBadExample: and nothing in the good one, of any rule that is on.
func TestEveryRuleFindsItsBadExample(t *testing.T) {
	for _, rule := range rules.All() {
		if rule.Bad == "" || rule.Category() == "tool" {
			continue
		}
		t.Run(rule.Code.ID, func(t *testing.T) {
			bad := check(dsl.NewSource("policy.yaml", []byte(rules.Example(rule.Bad))))
			seen := false
			for _, d := range bad {
				seen = seen || d.Code == rule.Code
			}
			if !seen {
				t.Errorf("the bad example is not found:\n%s\n%s", rule.Bad, printed(bad))
			}
			for _, d := range check(dsl.NewSource("policy.yaml", []byte(rules.Example(rule.Good)))) {
				if other, _ := rules.Find(d.Code.ID); !other.Off {
					t.Errorf("the good example has a finding:\n%s\n%s", rule.Good, printed(dsl.Diagnostics{d}))
				}
			}
		})
	}
}

// shownOf is what is found in a set of one file, without rules that are off.
func shownOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return printed(slices.DeleteFunc(check(dsl.NewSource(filepath.Base(path), text)), func(d dsl.Diagnostic) bool {
		rule, _ := rules.Find(d.Code.ID)
		return rule.Off
	}))
}

func corpus(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "policies", folder, "*.yaml"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	return files
}

// TestSoundPoliciesHaveNoFindings: policies as one would want them, of many kinds.
func TestSoundPoliciesHaveNoFindings(t *testing.T) {
	for _, file := range corpus(t, "sound") {
		if found := shownOf(t, file); found != "" {
			t.Errorf("%s", found)
		}
	}
}

// TestPoorPoliciesAreFoundOut compares what is said of policies that load, and should
// not be as they are, with the .out file beside each.
func TestPoorPoliciesAreFoundOut(t *testing.T) {
	for _, file := range corpus(t, "poor") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			got, golden := shownOf(t, file), strings.TrimSuffix(file, ".yaml")+".out"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) || got == "" {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
