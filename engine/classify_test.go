package engine_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestRulesThatAnswerNonsenseAreReportedAndDoNotMatch(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{MaxAttempts: 1, Classify: func(*engine.Input) engine.Verdict { return engine.Verdict{Class: 99, Rule: "odd"} }})
	o := w.run(p, w.script(fails(engine.Transient)))
	equal(t, "rule", o.Rule, engine.RuleDefault)
	equal(t, "class", o.Class, engine.Unknown)
	equal(t, "reported rule", w.of(engine.EventRuleError)[0].Rule, "odd")
}

func TestANegativeHintIsReportedAndIsNoHint(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.RetryAfterOr{Fallback: engine.Constant{Wait: time.Second}}, Classify: func(*engine.Input) engine.Verdict {
		return engine.Verdict{Class: engine.RateLimit, Rule: "odd", RetryAfter: -1, HasRetryAfter: true}
	}})
	o := w.run(p, w.script(fails(engine.Transient), fine))
	equal(t, "the fallback's sleep", o.Elapsed, time.Second)
	equal(t, "reported rule", w.of(engine.EventRuleError)[0].Rule, "odd")
}

func TestA3_RuleErrorsOfResultsAreReportedAlsoOnSuccess(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{ClassifyResult: func(*engine.Input) engine.Verdict {
		return engine.Verdict{Errors: []engine.RuleError{{Rule: "shard", Err: errPlain}}}
	}})
	o := w.run(p, w.script(fine))
	equal(t, "ok", o.OK, true)
	equal(t, "events", w.names(), "rule_error success")
	equal(t, "counted", p.Stats().RuleErrors, 1)
}

func TestRuleErrorsOfSelectAreReportedBeforeTheRetry(t *testing.T) {
	w := newWorld()
	p := policy(t, engine.Spec{Strategy: engine.Immediate{}, Select: func(*engine.Input) engine.Selection {
		return engine.Selection{Errors: []engine.RuleError{{Rule: "patient", Err: errPlain}}}
	}})
	o := w.run(p, w.script(fails(engine.Transient), fine), engine.WithTimelineErrors())
	equal(t, "events", w.names(), "rule_error retry success")
	equal(t, "selector", w.of(engine.EventRuleError)[0].Selector, "patient")
	if text := o.Explain(); !strings.Contains(text, "select rule patient could not be evaluated and does not match: plain") {
		t.Error(text)
	}
}

func TestRulesSeeTheCall(t *testing.T) {
	w := newWorld()
	var seen []engine.Input
	p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: time.Second}, Classify: func(in *engine.Input) engine.Verdict {
		seen = append(seen, *in)
		seen[len(seen)-1].Failure = nil
		return byCode(in)
	}})
	w.run(p, w.script(reply{err: failure(engine.Transient), after: time.Second}, fine), engine.WithOperation("op"))
	equal(t, "input", seen[0], engine.Input{Operation: "op", Attempt: 1, Elapsed: time.Second, Remaining: 59 * time.Second, Idempotent: true})
}

func TestAPanicsErrorIsReachableAndItsValueIsNotShown(t *testing.T) {
	for _, row := range []struct {
		value any
		want  string
	}{
		{errPlain, "panic: plain"},
		{"oh", "panic: oh"},
		{struct{ Secret string }{"SECRET"}, "panic of type struct { Secret string }"},
	} {
		w := newWorld()
		p := policy(t, engine.Spec{MaxAttempts: 1, Classify: func(*engine.Input) engine.Verdict { panic(row.value) }})
		w.run(p, w.script(fails(engine.Transient)))
		err := w.of(engine.EventRuleError)[0].Err
		equal(t, "text", err.Error(), row.want)
		equal(t, "reachable", errors.Is(err, errPlain), row.value == any(errPlain))
	}
}

func TestARecordThatAnErrorBringsStandsInForWhatWouldBeFound(t *testing.T) {
	own := &failing{engine.Failure{Code: "TRANSIENT", Status: 418}}
	record := engine.FailureOf(engine.MarkPermanent(own), nil)
	equal(t, "status", record.Status, 418)
	equal(t, "marker around it", record.Marker, engine.Permanent)
	equal(t, "own record", own.record.Marker, engine.NoClass)
	equal(t, "record of a result", engine.ResultOf(own).Status, 418)
}
