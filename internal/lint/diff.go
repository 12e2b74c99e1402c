package lint

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// A change is one thing that two versions of a policy, or of the set, do differently: its
// class, rule, result, response, envelope, mode, operations, budget, circuit_breaker or
// fallback_policy, or that there is such a policy.
type change struct {
	Policy  string `json:"policy"` // empty if the change is one of the set
	What    string `json:"what"`   // which of these
	Old     string `json:"old"`
	New     string `json:"new"`
	OldRule string `json:"old_rule,omitempty"`
	NewRule string `json:"new_rule,omitempty"`
	Witness string `json:"witness,omitempty"` // a failure, as tests write it
}

// diff compares two versions of policies by what they do.
func (c *Command) diff(args []string) error {
	var r request
	flags := flag.NewFlagSet("diff", flag.ContinueOnError)
	r.flags(flags)
	format := flags.String("format", "text", "`text`, markdown (for a pull request) or json")
	rest, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return usagef("diff takes two paths, the old version and the new one")
	}
	if !slices.Contains([]string{"text", "markdown", "json"}, *format) {
		return usagef("--format is text, markdown or json, not %q", *format)
	}
	var programs [2]map[string]*interp.Policy
	var names []string
	var fallbacks [2]string
	for i, path := range rest {
		_, sets, err := r.load([]string{path}, c.stdin())
		if err != nil {
			return err
		}
		programs[i] = map[string]*interp.Policy{}
		for _, set := range sets {
			if set.Diagnostics.HasErrors() {
				c.print(set.Diagnostics)
				fmt.Fprintf(c.Stderr, "%s does not load, so nothing was compared\n", path)
				return errFindings
			}
			fallbacks[i] = set.Program.FallbackPolicy().V
			for _, p := range set.Program.Policies() {
				programs[i][p.Name()] = p
				names = append(names, p.Name())
			}
		}
	}
	slices.Sort(names)
	changes := compareFallbacks(fallbacks[0], fallbacks[1])
	for _, name := range slices.Compact(names) {
		found := compare(name, programs[0][name], programs[1][name])
		if programs[1][name] == nil && fallbacks[1] != "" {
			found[0].New = "removed, its calls run under " + fallbacks[1]
		}
		changes = append(changes, found...)
	}
	if err := printChanges(c.Stdout, *format, changes); err != nil {
		return err
	}
	if len(changes) > 0 {
		return errFindings
	}
	return nil
}

// compareFallbacks tells what calls do whose policy is removed.
func compareFallbacks(old, new string) []change {
	does := func(fallback string) string {
		if fallback == "" {
			return "calls under a removed policy fail"
		}
		return "calls under a removed policy run under " + fallback
	}
	if old == new {
		return []change{}
	}
	return []change{{What: "fallback_policy", Old: does(old), New: does(new)}}
}

func compare(name string, old, new *interp.Policy) []change {
	switch {
	case old == nil:
		return []change{{Policy: name, What: "policy", Old: "none", New: "added"}}
	case new == nil:
		return []change{{Policy: name, What: "policy", Old: "there", New: "removed"}}
	}
	var changes []change
	lists := []struct {
		what     string
		old, new []interp.Condition
		rest     [2]engine.Class
	}{
		{"class", old.Classify(), new.Classify(), [2]engine.Class{old.Spec().DefaultClass, new.Spec().DefaultClass}},
		{"result", old.ClassifyResult(), new.ClassifyResult(), [2]engine.Class{}},
	}
	for _, l := range lists {
		found, complete := analysis.Differences(analysis.ScopeOf(old, nil), analysis.ScopeOf(new, nil), l.old, l.new, l.rest[0], l.rest[1])
		for _, group := range analysis.Grouped(found) {
			d := group[0]
			one := change{Policy: name, What: l.what, Old: className(d.OldClass), New: className(d.NewClass), OldRule: d.Old, NewRule: d.New}
			if one.What == "class" && d.OldClass == d.NewClass {
				one.What = "rule"
			}
			if d.Witness != nil {
				one.Witness = d.Witness.String()
			} else if group[0].Old == engine.RuleDefault || group[0].New == engine.RuleDefault {
				continue // only possible, and nothing to show
			}
			changes = append(changes, one)
		}
		if !complete {
			changes = append(changes, change{Policy: name, What: l.what, Old: "not compared to the end", New: "too many cases"})
		}
	}
	changes = append(changes, compareEnvelopes(name, old, new)...)
	return append(changes, compareSettings(name, old, new)...)
}

// compareSettings tells what becomes different of calls beside their failures.
func compareSettings(name string, old, new *interp.Policy) (changes []change) {
	a, b := old.Spec(), new.Spec()
	for _, one := range []struct{ what, old, new string }{
		{"mode", "mode " + a.Mode.String(), "mode " + b.Mode.String()},
		{"operations", governs(a.Operations), governs(b.Operations)},
		{"budget", budgetOf(old), budgetOf(new)},
		{"circuit_breaker", breakerOf(old), breakerOf(new)},
	} {
		if one.old != one.new {
			changes = append(changes, change{Policy: name, What: one.what, Old: one.old, New: one.new})
		}
	}
	return changes
}

func governs(operations []string) string {
	if len(operations) == 0 {
		return "governs no operation"
	}
	return "governs " + strings.Join(operations, ", ")
}

func budgetOf(p *interp.Policy) string {
	b := p.Spec().Budget
	if b == nil {
		return "no retry budget"
	}
	s := b.Spec()
	return fmt.Sprintf("%s: max_retries %d in %v", named("budget", s.Name, p, p.FleetBudget()), s.MaxRetries, s.Window)
}

func breakerOf(p *interp.Policy) string {
	b := p.Spec().Breaker
	if b == nil {
		return "no circuit breaker"
	}
	s := b.Spec()
	text := fmt.Sprintf("%s opens with %s in %v, for %v, probes for %v, trips on %s", named("circuit breaker", s.Name, p, p.FleetBreaker()),
		count(s.FailureThreshold, "failed call"), s.Window, s.RecoveryTimeout, s.ProbeTimeout, joined(s.TripOn))
	for _, class := range slices.Sorted(maps.Keys(s.ClassThresholds)) {
		text += fmt.Sprintf(", on %v with %d", class, s.ClassThresholds[class])
	}
	return text
}

// named is a budget or a breaker with its name, if it has one of its own.
func named(what, name string, p *interp.Policy, fleet bool) string {
	if name != p.Name() {
		what += " " + name
	}
	if fleet {
		what += " of the fleet"
	}
	return what
}

func joined(classes []engine.Class) string {
	var names []string
	for _, c := range classes {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

func className(c engine.Class) string {
	if c == engine.NoClass {
		return "success"
	}
	return c.String()
}

func compareEnvelopes(name string, oldPolicy, newPolicy *interp.Policy) []change {
	old, new := analysis.EnvelopeOf(oldPolicy), analysis.EnvelopeOf(newPolicy)
	var changes []change
	add := func(what, a, b string) {
		if a != b {
			changes = append(changes, change{Policy: name, What: what, Old: a, New: b})
		}
	}
	add("envelope", count(old.MaxAttempts, "attempt")+" a call", count(new.MaxAttempts, "attempt")+" a call")
	add("envelope", fmt.Sprintf("a call takes at most %v", old.Longest), fmt.Sprintf("a call takes at most %v", new.Longest))
	add("envelope", fmt.Sprintf("an attempt takes at most %v", old.AttemptTimeout), fmt.Sprintf("an attempt takes at most %v", new.AttemptTimeout))
	for i := range old.Classes {
		a, b := old.Classes[i], new.Classes[i]
		before := len(changes)
		if add("response", responseTo(a), responseTo(b)); len(changes) == before {
			continue
		}
		if w := analysis.ExampleOf(analysis.ScopeOf(newPolicy, nil), newPolicy.Classify(), b.Class, newPolicy.Spec().DefaultClass); w != nil {
			changes[before].Witness = w.String()
		}
	}
	return changes
}

func responseTo(c analysis.ClassBounds) string {
	if c.Attempts == 1 {
		return fmt.Sprintf("%s stops at once with %s", c.Class, c.Stop)
	}
	return fmt.Sprintf("%s makes up to %s with %s, sleeping %s", c.Class, count(c.Attempts, "attempt"), strings.Join(slices.Compact(slices.Clone(c.Strategies)), " or "), sleeps(c))
}

func printChanges(w io.Writer, format string, changes []change) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(changes)
	case "markdown":
		if len(changes) == 0 {
			fmt.Fprintln(w, "Failures are handled as before.")
			return nil
		}
		fmt.Fprintln(w, "| policy | before | after | for example |\n|---|---|---|---|")
		for _, c := range changes {
			witness := ""
			if c.Witness != "" {
				witness = "`" + strings.ReplaceAll(c.Witness, "|", `\|`) + "`"
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s |\n", c.subject(), described(c.Old, c.OldRule), described(c.New, c.NewRule), witness)
		}
		return nil
	}
	if len(changes) == 0 {
		fmt.Fprintln(w, "no failure is handled differently")
	}
	for _, c := range changes {
		fmt.Fprintf(w, "%s: %s -> %s\n", c.subject(), described(c.Old, c.OldRule), described(c.New, c.NewRule))
		if c.Witness != "" {
			fmt.Fprintf(w, "  for example %s\n", c.Witness)
		}
	}
	return nil
}

// subject is what a change is one of.
func (c change) subject() string {
	if c.Policy == "" {
		return "the set"
	}
	return c.Policy
}

func described(what, rule string) string {
	if rule == "" {
		return what
	}
	return fmt.Sprintf("%s (%s)", what, rule)
}
