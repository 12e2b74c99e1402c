package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// A list is an ordered list of rules that is looked at.
type list struct {
	*checker
	*analysis.List                    // of the rules up to the last own one
	all            []interp.Condition // those behind it too
	home           string             // the classifier whose list it is, "" for a policy's
	rest           engine.Class       // the class when no rule holds; NoClass if that is none of a rule
}

// list looks at a list of rules. What stands behind its last own rule is of no
// interest: own rules come before packs so that they win.
func (c *checker) list(scope analysis.Scope, all []interp.Condition, home string, rest engine.Class) {
	l := &list{checker: c, all: all, home: home, rest: rest}
	own := len(all)
	for own > 0 && !l.isOwn(&all[own-1]) {
		own--
	}
	if own == 0 {
		return
	}
	l.List = analysis.NewList(scope, all[:own])
	for i := range l.Rules {
		if r := &l.Rules[i]; l.isOwn(r) {
			l.expression(l.List, r.When, "rule "+r.ID)
			l.reach(i)
		}
	}
	l.overlaps()
	l.gaps()
}

// isOwn reports whether a rule is written in the document whose list it is. Rules of
// classifiers are looked at where they are written.
func (l *list) isOwn(r *interp.Condition) bool { return !r.BuiltIn && r.Pack == l.home }

func (l *list) reach(i int) {
	r := &l.Rules[i]
	at := r.When.Range
	if !l.Decides(i).Found() {
		if l.Holds(i).Never() {
			if !l.saidOf(at) {
				l.report(dsl.CodeNeverMatches, at, "mend the condition or remove the rule", "rule %s never matches: no failure makes its condition true", r.ID)
			}
			return
		}
		if l.Decides(i).Never() {
			l.shadowed(i)
			return
		}
	}
	if l.HoldsNot(i).Never() {
		l.alwaysTrue(i)
		return
	}
	if w := l.Errs(i).Witness(); w != nil {
		_, err := r.Test(w.Input)
		d := l.report(dsl.CodeMayErr, at, guardFor(r.When), "rule %s can fail to evaluate: %v; it then does not match", r.ID, err)
		d.Notes = append(d.Notes, "it does on "+w.String())
	}
	if r.List == "classify" && r.RetryAfter == nil && l.rest != engine.NoClass && len(l.all) == len(l.Rules) && l.Differs(i, l.rest).Never() {
		d := l.report(dsl.CodeRedundant, at, "remove it, unless its name is wanted in metrics", "rule %s changes nothing: without it every failure that it decides is %s all the same", r.ID, r.Class)
		if w := l.Decides(i).Witness(); w != nil {
			d.Notes = append(d.Notes, "for example "+w.String())
		}
	}
}

// saidOf reports whether something within the range is an impossible comparison,
// which is why the rule never matches.
func (c *checker) saidOf(at dsl.Range) bool {
	return slices.ContainsFunc(c.found, func(d dsl.Diagnostic) bool {
		return d.Code == dsl.CodeImpossible && d.Range.Source == at.Source && d.Range.Start >= at.Start && d.Range.End <= at.End
	})
}

// guardFor says how to keep a condition from erring.
func guardFor(n *interp.Node) string {
	help := "guard it with && in front"
	n.Walk(func(n *interp.Node) {
		if n.Op != interp.OpCall {
			return
		}
		switch n.Name {
		case "[]":
			if key, ok := n.Args[1].Value.(string); ok && n.Args[0].Op == interp.OpField {
				help = fmt.Sprintf("write %s[?%q].orValue(\"\")", n.Args[0].Name, key)
			}
		case "/", "%":
			help = "test that the divisor is not 0 first"
		case "int":
			help = `test the text first, as in x.matches('^[0-9]+$') && int(x) > 5`
		}
	})
	return help
}

func (l *list) shadowed(i int) {
	r := &l.Rules[i]
	blockers := l.Blockers(i)
	var names []string
	for _, j := range blockers {
		names = append(names, l.Rules[j].ID)
	}
	help := fmt.Sprintf("move %s above %s, or remove it", r.ID, names[0])
	if w := l.written[l.Rules[blockers[0]].Range]; w == nil || l.Rules[blockers[0]].BuiltIn || l.Rules[blockers[0]].Pack != r.Pack {
		help = fmt.Sprintf("move %s above the splice of %s, or remove it", r.ID, l.Rules[blockers[0]].Pack)
	}
	d := l.report(dsl.CodeShadowed, r.When.Range, help, "rule %s never decides: %s %s every failure that it matches", r.ID, enumerate(names), takes(len(names)))
	for _, j := range blockers {
		b := &l.Rules[j]
		if b.BuiltIn {
			continue
		}
		d.Related = append(d.Related, dsl.Related{Range: b.When.Range, Message: fmt.Sprintf("%s comes first, and gives %s", b.ID, outcomeOf(b))})
	}
	if w := l.Holds(i).Witness(); w != nil {
		for _, j := range blockers {
			if holds, _ := l.Rules[j].Test(w.Input); holds {
				d.Notes = append(d.Notes, fmt.Sprintf("for example %s is decided by %s", w, l.Rules[j].ID))
				break
			}
		}
	}
}

func takes(n int) string {
	if n == 1 {
		return "takes"
	}
	return "take"
}

// outcomeOf says what a rule decides.
func outcomeOf(r *interp.Condition) string {
	if r.Strategy != nil {
		return r.Strategy.Name.V
	}
	return r.Class.String()
}

func (l *list) alwaysTrue(i int) {
	r := &l.Rules[i]
	behind := len(l.all) - i - 1
	switch {
	case behind > 0:
		l.report(dsl.CodeAlwaysTrue, r.When.Range, "narrow the condition, or move the rule to the end", "rule %s always matches, so the %s behind it never decide", r.ID, count(behind, "rule"))
	case r.List == "classify":
		l.report(dsl.CodeAlwaysTrue, r.When.Range, fmt.Sprintf("write default_class: %s instead", r.Class), "rule %s always matches, also failures that nobody has thought of", r.ID)
	case r.List == "classify_result":
		l.report(dsl.CodeAlwaysTrue, r.When.Range, "narrow the condition", "rule %s always matches: no result would be a success", r.ID)
	}
}

// maxPairs bounds the rules whose pairs are looked at.
const maxPairs = 60

// overlaps reports rules that read the same fields, match some failures in common,
// decide differently, and of which neither contains the other: there order decides,
// perhaps without anybody having meant it.
func (l *list) overlaps() {
	if len(l.Rules) > maxPairs {
		return
	}
	fields := make([][]string, len(l.Rules))
	for i := range l.Rules {
		fields[i] = fieldsOf(l.Rules[i].When)
	}
	for j := range l.Rules {
		for i := range j {
			a, b := &l.Rules[i], &l.Rules[j]
			if !l.isOwn(a) || !l.isOwn(b) || outcomeOf(a) == outcomeOf(b) || len(fields[i]) == 0 || !slices.Equal(fields[i], fields[j]) || l.Apart(i, j) {
				continue
			}
			both := l.Within(i, j).Witness()
			if both == nil || l.Decides(j).Witness() == nil || l.Beyond(i, j).Witness() == nil || l.Beyond(j, i).Witness() == nil {
				continue
			}
			d := l.report(dsl.CodeOverlap, b.When.Range, "", "rules %s and %s both match %s; %s comes first and gives %s, not %s", a.ID, b.ID, both, a.ID, outcomeOf(a), outcomeOf(b))
			d.Related = []dsl.Related{{Range: a.When.Range, Message: a.ID + " is here"}}
		}
	}
}

// fieldsOf lists what a condition reads.
func fieldsOf(n *interp.Node) []string {
	var fields []string
	n.Walk(func(n *interp.Node) {
		switch n.Op {
		case interp.OpField, interp.OpHas, interp.OpOptional:
			fields = append(fields, n.Name)
		case interp.OpOther, interp.OpExists:
			fields = append(fields, n.Key)
		}
	})
	slices.Sort(fields)
	return slices.Compact(fields)
}

// gaps reports a number between rules that no rule matches, where both sides stop at
// it: status < 500 and status > 500.
func (l *list) gaps() {
	if len(l.all) > len(l.Rules) || l.rest == engine.NoClass {
		return
	}
	said := map[int64]int{} // the finding about a number
	at := newPlainFailures(l.Rules, time.Minute).first
	for i := range l.Rules {
		r := &l.Rules[i]
		if !l.isOwn(r) {
			continue
		}
		r.When.Walk(func(n *interp.Node) {
			limit, ok := strictLimit(n)
			if !ok || limit < 101 || limit > 598 {
				return
			}
			if at(limit-1) >= 0 && at(limit+1) >= 0 && at(limit) < 0 {
				if first, known := said[limit]; known {
					l.found[first].Related = append(l.found[first].Related, dsl.Related{Range: n.Range, Message: "the other side is here"})
					return
				}
				said[limit] = len(l.found)
				l.report(dsl.CodeGap, n.Range, fmt.Sprintf("write <= or >= on one side of %d", limit), "no rule matches {status: %d}, which lies between those that %s and %s match: it is %s by default",
					limit, l.Rules[at(limit-1)].ID, l.Rules[at(limit+1)].ID, l.rest)
			}
		})
	}
}

// strictLimit reads err.status < n and err.status > n.
func strictLimit(n *interp.Node) (int64, bool) {
	if n.Op != interp.OpCall || n.Name != "<" && n.Name != ">" {
		return 0, false
	}
	for i, arg := range n.Args {
		if arg.Op == interp.OpField && (arg.Name == "err.status" || arg.Name == "result.status") {
			limit, ok := n.Args[1-i].Value.(int64)
			return limit, ok
		}
	}
	return 0, false
}

func enumerate(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
