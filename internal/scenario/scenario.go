// Package scenario runs PolicyTest documents: cases, which ask how one failure is
// classified, and scenarios, which run whole calls through the production engine
// in virtual time.
package scenario

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// Options say what to run.
type Options struct {
	Run *regexp.Regexp // names to run, matched against "POLICY/NAME"; nil runs all
	// Build makes the policies that scenarios call, anew for each of them; nil means
	// those of the program.
	Build func() []*engine.Policy
}

// A Report is what a run found.
type Report struct {
	Results  []Result // in document order
	Coverage Coverage
}

// A Result is one case or scenario that ran.
type Result struct {
	Policy   string
	Name     string    // as written
	Range    dsl.Range // of the case or scenario
	Scenario bool      // a scenario, else a case
	Failures []Failure // empty when it passed
	Trace    string    // what happened, told at length; only when it failed
}

// A Failure is one expectation that was not met.
type Failure struct {
	Range dsl.Range // of the expectation
	What  string    // "class", "calls[2]: attempts"
	Want  string
	Got   string
}

// Failed counts the results with failures.
func (r *Report) Failed() int {
	failed := 0
	for _, result := range r.Results {
		if len(result.Failures) > 0 {
			failed++
		}
	}
	return failed
}

// Run runs every test document of set against program, which must have been
// compiled from that set without errors.
func Run(program *interp.Program, set *dsl.Set, opts Options) *Report {
	if opts.Build == nil {
		opts.Build = program.Build
	}
	report := &Report{}
	covered := newCoverage(program)
	for doc := range set.All() {
		if doc.Test == nil {
			continue
		}
		policy := program.Policy(doc.Test.Policy.V)
		wanted := func(name string) bool {
			return opts.Run == nil || opts.Run.MatchString(policy.Name()+"/"+name)
		}
		for i := range doc.Test.Cases {
			if c := &doc.Test.Cases[i]; wanted(c.Name.V) {
				report.Results = append(report.Results, runCase(policy, c, covered))
			}
		}
		for i := range doc.Test.Scenarios {
			if s := &doc.Test.Scenarios[i]; wanted(s.Name.V) {
				report.Results = append(report.Results, runScenario(opts.Build(), policy, s, covered))
			}
		}
	}
	report.Coverage = covered.result()
	return report
}

// checks collects what was not met.
type checks struct {
	prefix   string
	failures []Failure
}

func (c *checks) fail(at dsl.Range, what, want, got string) {
	c.failures = append(c.failures, Failure{Range: at, What: c.prefix + what, Want: want, Got: got})
}

// check compares one expected value with what happened, if it is expected at all.
func check[T comparable](c *checks, what string, want dsl.Value[T], got T) {
	if want.Set && want.V != got {
		c.fail(want.Range, what, show(want.V), show(got))
	}
}

// checkRule holds if the expected rule decided the class or chose the strategy: ids
// are unique among both.
func checkRule(c *checks, want dsl.Value[string], classified, selected string) {
	if want.Set && want.V != classified && want.V != selected {
		got := show(classified)
		if selected != "" {
			got += ", and " + selected + " of select"
		}
		c.fail(want.Range, "rule", want.V, got)
	}
}

// show prints a value such that an empty one can be seen.
func show(v any) string {
	if s := fmt.Sprint(v); s != "" {
		return s
	}
	return "none"
}

func names(values []dsl.Value[string]) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = v.V
	}
	return list
}

func list(words []string) string { return "[" + strings.Join(words, ", ") + "]" }

// String tells what a failed result expected, what happened, and how it came to that.
func (r Result) String() string {
	var b strings.Builder
	at := r.Range.Position()
	fmt.Fprintf(&b, "FAIL %s/%s (%s:%d)\n", r.Policy, r.Name, r.Range.Source.Name, at.Line)
	for _, f := range r.Failures {
		p := f.Range.Position()
		fmt.Fprintf(&b, "  %s:%d:%d: %s: expected %s, got %s\n", f.Range.Source.Name, p.Line, p.Column, f.What, f.Want, f.Got)
	}
	for line := range strings.Lines(strings.TrimRight(r.Trace, "\n") + "\n") {
		b.WriteString("    ")
		b.WriteString(line)
	}
	return b.String()
}
