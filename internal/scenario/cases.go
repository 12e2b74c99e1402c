package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// runCase asks how each record of a case is classified.
func runCase(policy *interp.Policy, c *dsl.Case, covered *coverage) Result {
	result := Result{Policy: policy.Name(), Name: c.Name.V, Range: c.Range}
	for _, one := range recordsOf(c) {
		failures, trace := one.run(policy, c, covered)
		if len(failures) > 0 && len(result.Failures) == 0 {
			result.Trace = trace
		}
		result.Failures = append(result.Failures, failures...)
	}
	return result
}

// A caseRecord is one record of a case.
type caseRecord struct {
	prefix string
	record *dsl.Record
	cause  engine.Cause
}

func recordsOf(c *dsl.Case) []caseRecord {
	switch {
	case c.Err.Set:
		return []caseRecord{{"", &c.Err, engine.CauseError}}
	case c.Result.Set:
		return []caseRecord{{"", &c.Result, engine.CauseResult}}
	}
	var all []caseRecord
	for i := range c.Each {
		all = append(all, caseRecord{fmt.Sprintf("each[%d]: ", i), &c.Each[i], engine.CauseError})
	}
	for i := range c.EachResult {
		all = append(all, caseRecord{fmt.Sprintf("each_result[%d]: ", i), &c.EachResult[i], engine.CauseResult})
	}
	return all
}

func (r caseRecord) run(policy *interp.Policy, c *dsl.Case, covered *coverage) (failures []Failure, trace string) {
	checked := checks{prefix: r.prefix}
	record, broken := policy.Failure(r.record)
	for _, d := range broken {
		checked.fail(d.Range, "record", "a record of the policy's types", d.Message)
	}
	if len(broken) > 0 {
		return checked.failures, ""
	}
	in := inputOf(policy, c, record)
	explanation := policy.Explain(in, r.cause)
	covered.note(policy, in, r.cause)
	covered.see(policy, explanation.Rule, explanation.Selector)

	want := &c.Expect
	checkRule(&checked, want.Rule, explanation.Rule, explanation.Selector)
	check(&checked, "class", want.Class, explanation.Class.String())
	check(&checked, "retry_after", want.RetryAfter, explanation.RetryAfter)
	check(&checked, "strategy", want.Strategy, explanation.StrategyName())
	check(&checked, "select", want.Select, explanation.Selector)
	check(&checked, "matched", want.Matched, explanation.Class != engine.NoClass)
	check(&checked, "rule_errors", want.RuleErrors, explanation.RuleErrors())
	if len(checked.failures) > 0 {
		var b strings.Builder
		explanation.Print(&b)
		trace = b.String()
	}
	return checked.failures, trace
}

// inputOf is what the rules see beside the record: what the case says, else the
// first attempt of an idempotent call with its whole deadline before it.
func inputOf(policy *interp.Policy, c *dsl.Case, record *engine.Failure) *engine.Input {
	in := &engine.Input{
		Failure:    record,
		Operation:  c.Operation.V,
		Attempt:    1,
		Elapsed:    c.Elapsed.V,
		Remaining:  policy.Deadline() - c.Elapsed.V,
		Idempotent: !c.Idempotent.Set || c.Idempotent.V,
	}
	if c.Attempt.Set {
		in.Attempt = c.Attempt.V
	}
	if c.Remaining.Set {
		in.Remaining = c.Remaining.V
	}
	in.Remaining = max(in.Remaining, time.Duration(0))
	return in
}
