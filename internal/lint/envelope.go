package lint

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/load"
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
	l, sets, err := r.load(paths, c.stdin())
	if err != nil {
		return err
	}
	envelopes := []envelope{}
	for _, set := range sets {
		if !set.Sound {
			c.print(set.Diagnostics)
			return errFindings
		}
		for _, e := range l.envelopesOf(set.Result) {
			if *only == "" || *only == e.Policy {
				envelopes = append(envelopes, e)
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
		e.print(c.Stdout)
	}
	return nil
}

// An envelope is what calls under a policy can cost, alone and among others.
type envelope struct {
	*analysis.Envelope
	Calls    *callChain         `json:"calls,omitempty"`
	Outlooks []analysis.Outlook `json:"outlooks,omitempty"`
	spec     engine.Spec
}

// A callChain is the chain of declared calls along which attempts multiply most.
type callChain struct {
	Cycle    string `json:"cycle,omitempty"` // a policy that calls itself, directly or through others: there is no bound
	Attempts int    `json:"attempts,omitempty"`
	At       string `json:"at,omitempty"`
	Product  string `json:"product,omitempty"`
}

// envelopesOf works out the envelopes of the policies of a set.
func (l *linter) envelopesOf(set *load.Result) []envelope {
	var environments []*dsl.Document
	for doc := range set.Set.All() {
		if doc.Environment != nil {
			environments = append(environments, doc)
		}
	}
	environments = append(environments, slices.DeleteFunc(slices.Clone(l.environments), func(doc *dsl.Document) bool {
		return slices.Contains(set.Set.Names("Environment"), doc.Name.V)
	})...)
	var all []envelope
	var callers []analysis.Caller
	for _, p := range set.Program.Policies() {
		e := analysis.EnvelopeOf(p)
		all = append(all, envelope{Envelope: e, Outlooks: analysis.Outlooks(p, e, environments), spec: p.Spec()})
		caller := analysis.Caller{Name: p.Name(), Attempts: e.GivenAttempts()}
		for _, name := range p.Document().Policy.Calls.V {
			caller.Calls = append(caller.Calls, name.V)
		}
		callers = append(callers, caller)
	}
	mesh := analysis.NewMesh(callers)
	for i, caller := range callers {
		if len(caller.Calls) == 0 {
			continue
		}
		if cycle := mesh.Cycle(caller.Name); cycle != "" {
			all[i].Calls = &callChain{Cycle: cycle}
			continue
		}
		chain := mesh.Longest(caller.Name)
		all[i].Calls = &callChain{Attempts: chain.Attempts, At: chain.Last(), Product: chain.Arithmetic()}
	}
	return all
}

func (e *envelope) print(w io.Writer) {
	fmt.Fprintf(w, "%s: at most %s and %v a call\n", e.Policy, count(e.MaxAttempts, "attempt"), round(e.Longest))
	if mode := e.spec.Mode; mode != engine.Enforce {
		fmt.Fprintf(w, "  mode %v: every call makes one attempt; what follows is what the policy would do\n", mode)
	}
	line := fmt.Sprintf("  deadline %v", e.Deadline)
	if e.AttemptTimeout > 0 {
		line += fmt.Sprintf(", each attempt %v", e.AttemptTimeout)
	}
	fmt.Fprintln(w, line)
	fmt.Fprintf(w, "  %-14s %8s  %-24s %-10s %-22s %s\n", "class", "attempts", "stops with", "longest", "strategy", "sleeps before attempts 2, 3, ...")
	for _, c := range e.Classes {
		name := c.Class.String()
		if !c.Given {
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
	if b := e.spec.Breaker; b != nil {
		s := b.Spec()
		fmt.Fprintf(w, "  breaker: opens with %d failed calls in %v, for %v\n", s.FailureThreshold, s.Window, s.RecoveryTimeout)
	}
	if b := e.spec.Budget; b != nil {
		fmt.Fprintf(w, "  budget: %d retries in any %v\n", b.Spec().MaxRetries, b.Spec().Window)
	}
	switch c := e.Calls; {
	case c == nil:
	case c.Cycle != "":
		fmt.Fprintf(w, "  calls: they lead back to %s, so that attempts multiply without end\n", c.Cycle)
	default:
		fmt.Fprintf(w, "  calls: one call can become %s at %s: %s\n", count(c.Attempts, "attempt"), c.At, c.Product)
	}
	for _, o := range e.Outlooks {
		e.printOutlook(w, o)
	}
}

// printOutlook says what is to be expected under the assumptions of one environment.
func (e *envelope) printOutlook(w io.Writer, o analysis.Outlook) {
	fmt.Fprintf(w, "  assumed%s:\n", o.Where())
	said := false
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "    "+format+"\n", args...)
		said = true
	}
	if b := o.Breaker; b != nil {
		window := e.spec.Breaker.Spec().Window
		switch {
		case !b.CanOpen:
			say("the breaker can never open: %s calls in %v, and it takes %d failures", analysis.Number(b.Calls), window, b.Least)
		case b.FalseTrip != nil:
			say("the breaker can open: %s calls in %v, and it takes %d failures; when all is well it opens with a chance of %s %% in a window", analysis.Number(b.Calls), window, b.Least, analysis.Number(100**b.FalseTrip))
		default:
			say("the breaker can open: %s calls in %v, and it takes %d failures", analysis.Number(b.Calls), window, b.Least)
		}
	}
	if b := o.Budget; b != nil {
		can := "never refuses"
		if b.CanRefuse {
			can = "can refuse"
		}
		say("the budget %s: calls retry at most %s times in %v, and it allows %d", can, analysis.Number(b.Retries), e.spec.Budget.Spec().Window, b.Allowed)
	}
	if l := o.Load; l != nil {
		say("when everything fails the dependency has %s × %s = %s of the load that it can bear: %s", analysis.Number(l.Utilisation), analysis.Number(l.Amplification), analysis.Number(l.Load), l.Why)
	}
	if !said {
		fmt.Fprintln(w, "    nothing that bears on the breaker, the budget or the load")
	}
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
