package lint

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// envelope prints what calls under policies can cost at most.
func (c *Command) envelope(args []string) error {
	var r request
	flags := flag.NewFlagSet("envelope", flag.ContinueOnError)
	r.flags(flags)
	asJSON := flags.Bool("json", false, "print JSON, durations in nanoseconds")
	only := flags.String("policy", "", "only the policy of that `NAME`")
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	sets, err := r.load(paths, c.stdin())
	if err != nil {
		return err
	}
	envelopes := []*analysis.Envelope{}
	var policies []*interp.Policy
	for _, set := range sets {
		if set.Diagnostics.HasErrors() {
			c.print(set.Diagnostics)
			return errFindings
		}
		for _, p := range set.Program.Policies() {
			if *only == "" || *only == p.Name() {
				envelopes, policies = append(envelopes, analysis.EnvelopeOf(p)), append(policies, p)
			}
		}
	}
	if len(envelopes) == 0 {
		return usagef("no policy there%s", map[bool]string{true: " is called " + *only}[*only != ""])
	}
	if *asJSON {
		e := json.NewEncoder(c.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(envelopes)
	}
	for i, e := range envelopes {
		if i > 0 {
			fmt.Fprintln(c.Stdout)
		}
		printEnvelope(c.Stdout, e, policies[i])
	}
	return nil
}

func printEnvelope(w io.Writer, e *analysis.Envelope, p *interp.Policy) {
	fmt.Fprintf(w, "%s: at most %s and %v a call\n", e.Policy, count(e.MaxAttempts, "attempt"), round(e.Longest))
	line := fmt.Sprintf("  deadline %v", e.Deadline)
	if e.AttemptTimeout > 0 {
		line += fmt.Sprintf(", each attempt %v", e.AttemptTimeout)
	}
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "  %-14s %8s  %-24s %-10s %-22s %s\n", "class", "attempts", "stops with", "longest", "strategy", "sleeps before attempts 2, 3, ...")
	for _, c := range e.Classes {
		name := c.Class.String()
		if !gives(p, name) {
			name = "(" + strings.ToLower(name) + ")"
		}
		fmt.Fprintf(w, "  %-14s %8d  %-24s %-10v %-22s %s\n", name, c.Attempts, c.Stop, round(c.Longest), strings.Join(slices.Compact(slices.Clone(c.Strategies)), ", "), sleeps(c))
		if c.NeverStart > 0 {
			fmt.Fprintf(w, "  %-14s attempt %d can never start: the sleeps before it are as long as the deadline\n", "", c.NeverStart)
		} else if c.CutOff > 0 {
			fmt.Fprintf(w, "  %-14s attempt %d cannot start if those before it take %v each\n", "", c.CutOff, e.AttemptTimeout)
		}
		if c.Hint > 0 && c.Attempts > 1 {
			fmt.Fprintf(w, "  %-14s follows a Retry-After of up to %v\n", "", c.Hint)
		}
	}
	if b := p.Spec().Breaker; b != nil {
		s := b.Spec()
		fmt.Fprintf(w, "  breaker: opens with %d failed calls in %v, for %v\n", s.FailureThreshold, s.Window, s.RecoveryTimeout)
	}
	if b := p.Spec().Budget; b != nil {
		fmt.Fprintf(w, "  budget: %d retries in any %v\n", b.Spec().MaxRetries, b.Spec().Window)
	}
}

// gives reports whether rules of the policy, or its default, give a class.
func gives(p *interp.Policy, class string) bool {
	if p.Spec().DefaultClass.String() == class {
		return true
	}
	return slices.ContainsFunc(p.Rules(), func(r interp.RuleInfo) bool { return r.Class.String() == class })
}

// maxSleeps bounds the sleeps that are printed.
const maxSleeps = 6

func sleeps(c analysis.ClassBounds) string {
	var parts []string
	for i, s := range c.Sleeps {
		if i == maxSleeps {
			parts = append(parts, "...")
			break
		}
		if s.Least == s.Most {
			parts = append(parts, round(s.Least))
			continue
		}
		parts = append(parts, round(s.Least)+".."+round(s.Most))
	}
	return strings.Join(parts, ", ")
}

func round(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.String()
}
