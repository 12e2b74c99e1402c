package lint

import (
	"fmt"
	"strings"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

// suggestions writes a PolicyTest for each policy with rules that no test has decide:
// a case for each, on a failure that the rule has been seen to decide.
func suggestions(program *interp.Program, coverage scenario.Coverage) string {
	missing := map[string]map[string]bool{}
	for _, m := range coverage.Missing {
		if missing[m.Policy] == nil {
			missing[m.Policy] = map[string]bool{}
		}
		missing[m.Policy][m.ID] = true
	}
	var b strings.Builder
	for _, p := range program.Policies() {
		if len(missing[p.Name()]) == 0 {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("---\n")
		}
		s := &suggester{policy: p, missing: missing[p.Name()]}
		s.list(p.Classify(), "err")
		s.list(p.ClassifyResult(), "result")
		s.selects()
		if len(s.cases) == 0 {
			fmt.Fprintf(&b, "# %s: no failure could be found for %s\n", p.Name(), strings.Join(s.left, ", "))
			continue
		}
		fmt.Fprintf(&b, "apiVersion: redress/v1\nkind: PolicyTest\npolicy: %s\ncases:\n%s", p.Name(), strings.Join(s.cases, ""))
		for _, id := range s.left {
			fmt.Fprintf(&b, "  # no failure could be found that %s decides\n", id)
		}
	}
	return b.String()
}

type suggester struct {
	policy  *interp.Policy
	missing map[string]bool
	cases   []string
	left    []string
}

func (s *suggester) list(rules []interp.Condition, key string) {
	l := analysis.NewList(analysis.ScopeOf(s.policy, nil), rules)
	for i, r := range rules {
		if !s.missing[r.ID] {
			continue
		}
		w := l.Decides(i).Witness
		if w == nil {
			s.left = append(s.left, r.ID)
			continue
		}
		s.add(r.ID, key, w.Record(), w.Call(), fmt.Sprintf("{rule: %s, class: %s}", r.ID, r.Class))
	}
}

func (s *suggester) add(id, key, record string, call []string, expect string) {
	text := fmt.Sprintf("  - name: %s decides\n    %s: %s\n", id, key, record)
	for _, line := range call {
		text += "    " + line + "\n"
	}
	s.cases = append(s.cases, text+"    expect: "+expect+"\n")
}

// selects looks, for each select rule, for a failure of the right class.
func (s *suggester) selects() {
	selectors := s.policy.Select()
	if len(selectors) == 0 {
		return
	}
	rules := s.policy.Classify()
	l := analysis.NewList(analysis.ScopeOf(s.policy, nil), rules)
	for i, r := range selectors {
		if s.missing[r.ID] && !s.selected(l, rules, selectors, i) {
			s.left = append(s.left, r.ID)
		}
	}
}

func (s *suggester) selected(l *analysis.List, rules, selectors []interp.Condition, i int) bool {
	for j, rule := range rules {
		if !rule.Class.Retryable() {
			continue
		}
		w := l.Decides(j).Witness
		pick := analysis.NewList(analysis.ScopeOf(s.policy, []engine.Class{rule.Class}), selectors).Decides(i).Witness
		if w == nil || pick == nil {
			continue
		}
		in := *pick.Input
		in.Failure = w.Input.Failure
		if e := s.policy.Explain(&in, engine.CauseError); e.Selector != selectors[i].ID {
			continue
		}
		var call []string
		for _, line := range pick.Call() {
			if !strings.HasPrefix(line, "class") && !strings.HasPrefix(line, "retry_after") {
				call = append(call, line)
			}
		}
		s.add(selectors[i].ID, "err", w.Record(), call, fmt.Sprintf("{select: %s}", selectors[i].ID))
		return true
	}
	return false
}
