package dsl

import (
	"math"
	"slices"
)

func (d *decoder) policyTest(t *PolicyTest) []field {
	return []field{
		may("description", d.text("description", &t.Description)),
		must("policy", d.name("policy", &t.Policy)),
		may("cases", func(n *node) {
			readAll(d, n, "cases", &t.Cases, d.testCase)
		}),
		may("scenarios", func(n *node) {
			readAll(d, n, "scenarios", &t.Scenarios, d.scenario)
		}),
	}
}

func (d *decoder) testCase(n *node, c *Case) {
	c.Range = n.rng()
	records := 0
	one := func(r *Record) func(*node) {
		return func(n *node) { records++; d.record(n, r) }
	}
	each := func(what string, list *[]Record) func(*node) {
		return func(n *node) { records++; readAll(d, n, what, list, d.record) }
	}
	ok := d.mapping(n, "a case",
		must("name", d.phrase("name", &c.Name)),
		may("err", one(&c.Err)),
		may("result", one(&c.Result)),
		may("each", each("each", &c.Each)),
		may("each_result", each("each_result", &c.EachResult)),
		may("operation", d.text("operation", &c.Operation)),
		may("attempt", d.integer("attempt", &c.Attempt, 1, math.MaxInt32)),
		may("elapsed", d.duration("elapsed", &c.Elapsed, 0)),
		may("remaining", d.duration("remaining", &c.Remaining, 0)),
		may("idempotent", d.boolean("idempotent", &c.Idempotent)),
		must("expect", func(n *node) { d.caseExpectation(n, &c.Expect) }),
	)
	switch {
	case !ok:
	case records == 0:
		d.errorf(n.head(), CodeMissingKey, "add err: {status: 503}", "a case needs err, result, each or each_result")
	case records > 1:
		d.errorf(n.head(), CodeContradiction, "make several cases of it", "a case has one of err, result, each and each_result")
	case c.Expect.Matched.Set && (c.Err.Set || len(c.Each) > 0):
		d.errorf(c.Expect.Matched.Range, CodeContradiction, "expect a rule or a class", "matched is about results; every error has a class")
	}
}

func (d *decoder) caseExpectation(n *node, e *CaseExpectation) {
	e.Range = n.rng()
	d.expectation(n,
		may("rule", d.text("rule", &e.Rule)),
		may("class", d.word("class", &e.Class, classNames)),
		may("retry_after", d.duration("retry_after", &e.RetryAfter, 0)),
		may("strategy", func(n *node) { d.word("strategy", &e.Strategy, append(StrategyNames(), "none"))(n) }),
		may("select", d.text("select", &e.Select)),
		may("matched", d.boolean("matched", &e.Matched)),
		may("rule_errors", d.integer("rule_errors", &e.RuleErrors, 0, math.MaxInt32)),
	)
}

// expectation reads an expect mapping, which must expect something.
func (d *decoder) expectation(n *node, fields ...field) {
	if m := n.target(); m.kind == mappingNode && len(m.items) == 0 {
		d.errorf(n.rng(), CodeEmpty, "expect something, or leave the test out", "expect is empty: the test could not fail")
		return
	}
	d.mapping(n, "expect", fields...)
}

func (d *decoder) scenario(n *node, s *Scenario) {
	s.Range = n.rng()
	d.mapping(n, "a scenario",
		must("name", d.phrase("name", &s.Name)),
		may("seed", d.integer("seed", &s.Seed, 0, math.MaxInt)),
		must("calls", func(n *node) { readAll(d, n, "calls", &s.Calls, d.call) }),
	)
}

// maxRepeat bounds how long a scenario can run.
const maxRepeat = 10_000

func (d *decoder) call(n *node, c *ScenarioCall) {
	c.Range = n.rng()
	d.mapping(n, "a call",
		may("at", d.duration("at", &c.At, 0)),
		may("repeat", d.integer("repeat", &c.Repeat, 1, maxRepeat)),
		must("outcomes", func(n *node) { readAll(d, n, "outcomes", &c.Outcomes, d.outcome) }),
		may("operation", d.text("operation", &c.Operation)),
		may("idempotent", d.boolean("idempotent", &c.Idempotent)),
		may("replayable", d.boolean("replayable", &c.Replayable)),
		may("deadline", d.duration("deadline", &c.Deadline, 0)),
		may("cancel_at", d.duration("cancel_at", &c.CancelAt, 0)),
		may("abort_at", d.duration("abort_at", &c.AbortAt, 0)),
		may("defer", d.boolean("defer", &c.Defer)),
		may("expect", func(n *node) { d.callExpectation(n, &c.Expect) }),
	)
}

var outcomeWords = []string{"ok", "panic", "abort"}

func (d *decoder) outcome(n *node, o *AttemptOutcome) {
	o.Range = n.rng()
	m := n.target()
	if m.kind != mappingNode {
		d.word("outcome", &o.Word, outcomeWords)(n)
		return
	}
	after := may("after", d.duration("after", &o.After, 0))
	switch {
	case m.get("ok") != nil:
		var ok Value[bool]
		d.mapping(n, "an outcome that is ok", must("ok", d.boolean("ok", &ok)), after)
		if ok.Set && !ok.V {
			d.errorf(ok.Range, CodeContradiction, "write a failure: {status: 503}", "an outcome that is not ok says how it failed")
		}
		key, _ := m.entry("ok")
		o.Word = Value[string]{key.rng(), "ok", ok.V}
	case m.get("result") != nil:
		d.mapping(n, "an outcome with a result", must("result", func(n *node) { d.record(n, &o.Result) }), after)
	default:
		o.Err = Record{Range: n.rng(), Set: true}
		d.mapping(n, "a failure", append(d.recordFields(&o.Err), after)...)
	}
}

func (d *decoder) record(n *node, r *Record) {
	r.Range = n.rng()
	r.Set = d.mapping(n, "a record", d.recordFields(r)...) || n.target().kind == mappingNode
}

func (d *decoder) recordFields(r *Record) []field {
	return append(d.causeFields(r),
		may("timeout", d.boolean("timeout", &r.Timeout)),
		may("retry_after", d.duration("retry_after", &r.RetryAfter, 0)),
		may("headers", func(n *node) {
			d.names(n, "headers", func(key, value *node) {
				h := Header{Name: Value[string]{key.rng(), key.value, true}}
				d.anyText("a header", &h.Value)(value)
				r.Headers = append(r.Headers, h)
			})
		}),
		may("phase", d.word("phase", &r.Phase, phaseNames)),
		may("marker", d.word("class", &r.Marker, classNames)),
		may("causes", func(n *node) {
			readAll(d, n, "causes", &r.Causes, func(item *node, cause *Record) {
				cause.Range = item.rng()
				cause.Set = d.mapping(item, "a cause", d.causeFields(cause)...)
			})
		}),
		may("attr", func(n *node) {
			d.names(n, "attr", func(key, value *node) {
				a := AttributeValue{Name: Value[string]{key.rng(), key.value, true}}
				if d.attributeValue(value, &a.Value) {
					r.Attributes = append(r.Attributes, a)
				}
			})
		}),
	)
}

func (d *decoder) causeFields(r *Record) []field {
	return []field{
		may("status", d.status(&r.Status)),
		may("code", d.anyText("code", &r.Code)),
		may("kind", d.word("kind", &r.Kind, kindNames)),
		may("message", d.anyText("message", &r.Message)),
		may("type", d.text("type", &r.Type)),
	}
}

func (d *decoder) status(v *Value[int]) func(*node) {
	return func(n *node) {
		d.integer("status", v, 0, 599)(n)
		if v.Set && v.V != 0 && v.V < 100 {
			d.errorf(n.rng(), CodeOutOfRange, "", "status is 0 (none) or from 100 to 599, not %d", v.V)
		}
	}
}

// attributeValue reads a value of any type that attributes have.
func (d *decoder) attributeValue(n *node, v *Value[any]) bool {
	m := n.target()
	switch m.kind {
	case sequenceNode:
		var all []string
		for _, item := range m.items {
			var one Value[string]
			if d.text("an entry of a list attribute", &one)(item); !one.Set {
				return false
			}
			all = append(all, one.V)
		}
		set(v, n, any(all))
		return true
	case mappingNode:
		all := map[string]string{}
		ok := true
		d.keys(m, func(key, value *node) {
			var one Value[string]
			d.text("an entry of a map attribute", &one)(value)
			ok = ok && one.Set
			all[key.value] = one.V
		})
		set(v, n, any(all))
		return ok
	}
	return d.scalarAttribute(n, m, v)
}

func (d *decoder) scalarAttribute(n, s *node, v *Value[any]) bool {
	switch s.tag {
	case strTag:
		set(v, n, any(s.value))
	case boolTag:
		var b Value[bool]
		if d.boolean("a bool attribute", &b)(n); !b.Set {
			return false
		}
		set(v, n, any(b.V))
	case intTag:
		var i Value[int]
		if d.integer("an int attribute", &i, math.MinInt, math.MaxInt)(n); !i.Set {
			return false
		}
		set(v, n, any(int64(i.V)))
	case floatTag:
		var f Value[float64]
		if d.number("a double attribute", &f, func(float64) bool { return true }, "")(n); !f.Set {
			return false
		}
		set(v, n, any(f.V))
	default:
		d.errorf(n.rng(), CodeWrongType, "", "an attribute is a text, a number, true or false, a list or a mapping, not %s", n.describe())
		return false
	}
	return true
}

func (d *decoder) callExpectation(n *node, e *CallExpectation) {
	e.Range = n.rng()
	d.expectation(n,
		may("ok", d.boolean("ok", &e.OK)),
		may("attempts", d.integer("attempts", &e.Attempts, 0, math.MaxInt32)),
		may("stop_reason", d.word("stop reason", &e.StopReason, stopReasonNames)),
		may("class", d.word("class", &e.Class, classNames)),
		may("rule", d.text("rule", &e.Rule)),
		may("cause", d.word("cause", &e.Cause, []string{"error", "result"})),
		may("slept", d.bounds("slept", &e.Slept)),
		may("elapsed", d.bounds("elapsed", &e.Elapsed)),
		may("next_delay", d.bounds("next_delay", &e.NextDelay)),
		may("events", func(n *node) {
			if m := n.target(); m.kind == sequenceNode && len(m.items) == 0 {
				set(&e.Events, n, nil)
				return
			}
			d.words("events", &e.Events, "event of a call", eventsOfCalls())(n)
		}),
		may("breaker", func(n *node) { d.word("breaker state", &e.Breaker, append(StateNames(), "none"))(n) }),
		may("rule_errors", d.integer("rule_errors", &e.RuleErrors, 0, math.MaxInt32)),
	)
}

func eventsOfCalls() []string {
	return slices.DeleteFunc(EventNames(), func(s string) bool {
		return s == "attempt_start" || s == "attempt_end" || s == "policy_reloaded" || s == "policy_reload_failed"
	})
}

// bounds reads one exact duration, or {min: .., max: ..}.
func (d *decoder) bounds(what string, b *Bounds) func(*node) {
	return func(n *node) {
		b.Range = n.rng()
		m := n.target()
		if m.kind != mappingNode {
			d.duration(what, &b.Min, 0)(n)
			b.Max, b.Set = b.Min, b.Min.Set
			return
		}
		d.mapping(n, what, may("min", d.duration("min", &b.Min, 0)), may("max", d.duration("max", &b.Max, 0)))
		b.Set = b.Min.Set || b.Max.Set
		switch {
		case len(m.items) == 0:
			d.errorf(n.rng(), CodeEmpty, "write {min: 1s, max: 2s}", "%s has neither min nor max", what)
		case b.Min.Set && b.Max.Set && b.Min.V > b.Max.V:
			d.errorf(n.rng(), CodeContradiction, "", "%s: min %v is above max %v", what, b.Min.V, b.Max.V)
		}
	}
}

// ParseRecord reads one failure or result record, as tests write it, from a source of
// its own.
func ParseRecord(src *Source) (*Record, Diagnostics) {
	d, roots := newDecoder(src)
	if len(d.found) > 0 {
		return nil, d.found
	}
	if len(roots) != 1 {
		d.errorf(Range{src, 0, 0}, CodeWrongType, "write {status: 503}", "one record is needed")
		return nil, d.found
	}
	r := &Record{}
	d.record(roots[0], r)
	d.found.Sort()
	return r, d.found
}
