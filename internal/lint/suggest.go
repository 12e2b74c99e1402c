package lint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

// suggestions writes a PolicyTest for each policy with rules that no test has decide, or
// parts of conditions that no test has seen true and false: a case for each, on a failure
// with which that has been seen to happen.
func suggestions(program *interp.Program, coverage scenario.Coverage) string {
	var b strings.Builder
	for _, p := range program.Policies() {
		s := newSuggester(p, coverage)
		s.rules(p.Classify(), engine.CauseError)
		s.rules(p.ClassifyResult(), engine.CauseResult)
		s.selects()
		s.partsOf(p.Classify(), engine.CauseError)
		s.partsOf(p.ClassifyResult(), engine.CauseResult)
		s.partsOfSelect()
		if len(s.cases)+len(s.left) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		if len(s.cases) > 0 {
			fmt.Fprintf(&b, "apiVersion: redress/v1\nkind: PolicyTest\npolicy: %s\ncases:\n%s", p.Name(), strings.Join(s.cases, ""))
		}
		for _, left := range s.left {
			fmt.Fprintf(&b, "# %s: %s\n", p.Name(), left)
		}
	}
	return b.String()
}

type suggester struct {
	policy  *interp.Policy
	missing map[string]bool // rules by id
	parts   []scenario.PartCoverage
	at      map[partKey]int // of parts
	cases   []string
	left    []string // for what no case could be made, and why
}

// A partKey tells parts apart: rules may share a condition by an alias.
type partKey struct {
	rule  string
	where dsl.Range
}

func newSuggester(p *interp.Policy, coverage scenario.Coverage) *suggester {
	s := &suggester{policy: p, missing: map[string]bool{}, at: map[partKey]int{}}
	for _, m := range coverage.Missing {
		if m.Policy == p.Name() {
			s.missing[m.ID] = true
		}
	}
	for _, part := range coverage.Parts {
		if part.Policy == p.Name() {
			s.at[partKey{part.Rule, part.Range}] = len(s.parts)
			s.parts = append(s.parts, part)
		}
	}
	return s
}

// rules suggests a case for each rule that no test has decide.
func (s *suggester) rules(rules []interp.Condition, cause engine.Cause) {
	l := analysis.NewList(analysis.ScopeOf(s.policy, nil), rules)
	for i, r := range rules {
		if !s.missing[r.ID] {
			continue
		}
		switch a := l.Decides(i).Answer(); {
		case a.Witness != nil:
			s.add(r.ID+" decides", suggestion{a.Witness, a.Witness.Call(), a.Witness.Input}, cause)
		case a.Never():
			s.left = append(s.left, "there is no failure that "+r.ID+" decides")
		default:
			s.left = append(s.left, "no failure could be found that "+r.ID+" decides")
		}
	}
}

// partsOf suggests a case for each value that a part of a condition has not had. A case
// may serve several parts.
func (s *suggester) partsOf(rules []interp.Condition, cause engine.Cause) {
	l := analysis.NewList(analysis.ScopeOf(s.policy, nil), rules)
	for i, r := range rules {
		s.lacking(r, func(part *interp.Node, value bool) (suggestion, bool) {
			a := l.Part(i, part, value).Answer()
			if a.Witness == nil {
				return suggestion{}, a.Never()
			}
			return suggestion{a.Witness, a.Witness.Call(), a.Witness.Input}, false
		}, cause)
	}
}

// lacking asks for a case for each value that parts of a condition have not had. never
// says that there can be none.
func (s *suggester) lacking(r interp.Condition, ask func(part *interp.Node, value bool) (made suggestion, never bool), cause engine.Cause) {
	r.When.Walk(func(node *interp.Node) {
		k, known := s.at[partKey{r.ID, node.Range}]
		if !known || node.Type != "bool" {
			return
		}
		for _, value := range []bool{true, false} {
			if part := s.parts[k]; part.True && value || part.False && !value {
				continue
			}
			what := fmt.Sprintf("%s is %t", s.parts[k].Text, value)
			switch made, never := ask(node, value); {
			case made.input != nil:
				s.add(what+" where "+r.ID+" is tried", made, cause)
			case never:
				s.left = append(s.left, "there is no failure with which "+what+" where "+r.ID+" is tried")
			default:
				s.left = append(s.left, "no failure could be found with which "+what+" where "+r.ID+" is tried")
			}
		}
	})
}

// A suggestion is what a case shows to the policy.
type suggestion struct {
	record *analysis.Witness
	call   []string
	input  *engine.Input
}

// add writes a case, and notes which parts it covers.
func (s *suggester) add(name string, made suggestion, cause engine.Cause) {
	key := "err"
	if cause == engine.CauseResult {
		key = "result"
	}
	e := s.policy.Explain(made.input, cause)
	expect := fmt.Sprintf("{rule: %s, class: %s}", e.Rule, e.Class)
	switch {
	case e.Class == engine.NoClass:
		expect = "{matched: false}"
	case e.Selector != "":
		expect = fmt.Sprintf("{rule: %s, class: %s, select: %s}", e.Rule, e.Class, e.Selector)
	}
	text := fmt.Sprintf("  - name: %s\n    %s: %s\n", yamlText(name), key, made.record.Record())
	for _, line := range made.call {
		text += "    " + line + "\n"
	}
	s.cases = append(s.cases, text+"    expect: "+expect+"\n")
	for r, seen := range scenario.Tried(s.policy, made.input, cause) {
		for _, part := range r.Parts(seen) {
			if k, ok := s.at[partKey{r.ID, part.Range}]; ok {
				s.parts[k].True = s.parts[k].True || part.Value == "true"
				s.parts[k].False = s.parts[k].False || part.Value == "false"
			}
		}
	}
}

// yamlText writes a text as a value, in quotes where it needs them.
func yamlText(text string) string {
	if strings.ContainsAny(text, "\"'`:#\\[]{}&*!|>%@?,\t") || strings.HasPrefix(text, "-") {
		return strconv.Quote(text)
	}
	return text
}

// selects suggests a case for each select rule that no test has decide.
func (s *suggester) selects() {
	for i, r := range s.policy.Select() {
		if !s.missing[r.ID] {
			continue
		}
		made := s.selecting(func(l *analysis.List) *analysis.Witness { return l.Decides(i).Witness() }, func(in *engine.Input) bool {
			return s.policy.Explain(in, engine.CauseError).Selector == r.ID
		})
		if made.input == nil {
			s.left = append(s.left, "no failure could be found that "+r.ID+" decides")
			continue
		}
		s.add(r.ID+" decides", made, engine.CauseError)
	}
}

func (s *suggester) partsOfSelect() {
	for i, r := range s.policy.Select() {
		s.lacking(r, func(part *interp.Node, value bool) (suggestion, bool) {
			return s.selecting(func(l *analysis.List) *analysis.Witness { return l.Part(i, part, value).Witness() }, func(in *engine.Input) bool {
				return s.shows(in, part, value)
			}), false
		}, engine.CauseError)
	}
}

// shows reports whether a failure leads to a part that comes to value.
func (s *suggester) shows(in *engine.Input, part *interp.Node, value bool) bool {
	for r, seen := range scenario.Tried(s.policy, in, engine.CauseError) {
		for _, p := range r.Parts(seen) {
			if p.Range == part.Range && p.Value == strconv.FormatBool(value) {
				return true
			}
		}
	}
	return false
}

// selecting looks for a failure that the rules give a class which is retried, and of
// which the select rules, asked for that class, answer as wanted.
func (s *suggester) selecting(ask func(*analysis.List) *analysis.Witness, right func(*engine.Input) bool) suggestion {
	rules, selectors := s.policy.Classify(), s.policy.Select()
	l := analysis.NewList(analysis.ScopeOf(s.policy, nil), rules)
	for j, rule := range rules {
		if !rule.Class.Retryable() {
			continue
		}
		pick := ask(analysis.NewList(analysis.ScopeOf(s.policy, []engine.Class{rule.Class}), selectors))
		if pick == nil {
			continue
		}
		var call []string // what the rules decide is no part of a case
		for _, line := range pick.Call() {
			if !strings.HasPrefix(line, "class") && !strings.HasPrefix(line, "retry_after") {
				call = append(call, line)
			}
		}
		for _, record := range []*analysis.Witness{pick, l.Decides(j).Witness()} {
			if record == nil {
				continue
			}
			in := *pick.Input
			in.Failure, in.Class, in.ClassAttempt, in.RetryAfter, in.HasRetryAfter = record.Input.Failure, engine.NoClass, 1, 0, false
			if right(&in) {
				return suggestion{record, call, &in}
			}
		}
	}
	return suggestion{}
}
