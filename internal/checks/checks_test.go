package checks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/checks"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/rules"
	"github.com/redress-policy/redress/interp"
)

func check(sources ...*dsl.Source) dsl.Diagnostics {
	result := load.Sources(sources, interp.Options{Strategies: map[string]engine.Strategy{"my-backoff": engine.Immediate{}}})
	found := result.Diagnostics
	if !found.HasErrors() {
		found = append(found, checks.Check(result.Set, result.Program, checks.Options{Tests: true})...)
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

// TestExamplesOfTheDesignHaveNoFindings: what the language's contract shows is good.
func TestExamplesOfTheDesignHaveNoFindings(t *testing.T) {
	for _, folder := range []string{"../../testdata/policies/ok", "../../testdata/scenarios", "../../examples"} {
		err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			var shown dsl.Diagnostics
			for _, d := range check(dsl.NewSource(path, text)) {
				if rule, _ := rules.Find(d.Code.ID); !rule.Off {
					shown = append(shown, d)
				}
			}
			if len(shown) > 0 {
				t.Logf("%s", printed(shown))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
