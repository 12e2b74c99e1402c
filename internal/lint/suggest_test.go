package lint

import (
	"os"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

// covering has conditions of all sorts, in all lists.
const covering = `apiVersion: redress/v1
kind: Policy
name: covering
attributes: {tier: string, hot: bool, count: int, wait: duration, labels: "map(string, string)"}
vars:
  busy: err.status == 429 || err.code in ["RATE", "QUOTA"]
classify:
  - {id: dead, when: 'err.causes.exists(c, c.code == "40001" || c.status == 409)', class: TRANSIENT}
  - {id: two, when: 'err.causes.exists(c, c.kind == "sql") && err.causes.exists(c, c.message.contains("lock"))', class: TRANSIENT}
  - {id: busy, when: 'vars.busy && err.attr.tier != "x"', class: RATE_LIMIT}
  - {id: header, when: '"x-a" in err.headers && err.headers["x-a"] == "1"', class: RATE_LIMIT}
  - {id: label, when: 'err.attr.labels[?"k"].orValue("") == "v" || err.attr.count > 3', class: AUTH}
  - {id: slow, when: 'err.attr.wait > duration("2s") && !err.attr.hot', class: PERMANENT}
  - {id: text, when: 'err.message.matches("(?i)busy|full") ? attempt < 3 : op.startsWith("read.")', class: TRANSIENT}
  - use: std.http
classify_result:
  - {id: accepted, when: 'result.status == 202 && result.code != "X"', class: TRANSIENT}
retry:
  max_attempts: 5
  select:
    - {id: late, when: 'attempt > 2 && (class == RATE_LIMIT || err.timeout)', strategy: {constant: {delay: 1s}}}
`

// TestSuggestedCasesPassAndCover: whoever adds what is suggested has tests that pass, in
// which every rule decides and every part is both true and false, but for what the
// suggestion says it could not cover.
func TestSuggestedCasesPassAndCover(t *testing.T) {
	opts := interp.Options{Strategies: map[string]engine.Strategy{"my-backoff": engine.Immediate{}}}
	sets := map[string][]*dsl.Source{"covering": {dsl.NewSource("covering.yaml", []byte(covering))}}
	for _, folder := range []string{"../../testdata/policies/ok", "../../examples"} {
		sources, err := dsl.ReadFS(os.DirFS(folder))
		if err != nil {
			t.Fatal(err)
		}
		sets[folder] = sources
	}
	for name, sources := range sets {
		set := load.Sources(sources, opts)
		if !set.Sound {
			t.Fatalf("%s: %v", name, set.Diagnostics.Err())
		}
		text := suggestions(set.Program, scenario.Run(set.Program, set.Set, scenario.Options{}).Coverage)
		with := load.Sources(append(sources, dsl.NewSource("suggested.yaml", []byte(text))), opts)
		if !with.Sound {
			t.Fatalf("%s: what is suggested does not load: %v\n%s", name, with.Diagnostics.Err(), text)
		}
		ran := scenario.Run(with.Program, with.Set, scenario.Options{})
		for _, r := range ran.Results {
			if len(r.Failures) > 0 && r.Range.Source.Name == "suggested.yaml" {
				t.Errorf("%s: a suggested case fails: %s", name, r.String())
			}
		}
		for _, m := range ran.Coverage.Missing {
			if !strings.Contains(text, " that "+m.ID+" decides\n") {
				t.Errorf("%s: no case was suggested for %s, and nothing said of it", name, m.ID)
			}
		}
		for _, p := range ran.Coverage.Parts {
			said := strings.Contains(text, p.Text+" is false where "+p.Rule) || strings.Contains(text, p.Text+" is true where "+p.Rule)
			if !(p.True && p.False) && !said {
				t.Errorf("%s: %s of %s is covered in part only, and nothing said of it:\n%s", name, p.Text, p.Rule, text)
			}
		}
		if name == "covering" && strings.Contains(text, "# ") {
			t.Errorf("not everything is covered:\n%s", text)
		}
	}
}
