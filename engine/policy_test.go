package engine_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestNewRefusesWhatMakesNoSenseByTheNameOfTheField(t *testing.T) {
	nested := &engine.Adaptive{}
	nested.Fallback = nested
	rows := []struct {
		spec engine.Spec
		want string
	}{
		{engine.Spec{}, "Name is empty"},
		{engine.Spec{Deadline: -1}, "Deadline is -1ns"},
		{engine.Spec{AttemptTimeout: -time.Second}, "AttemptTimeout is -1s"},
		{engine.Spec{MaxAttempts: -1}, "MaxAttempts is -1"},
		{engine.Spec{MaxUnknownAttempts: -1}, "MaxUnknownAttempts is -1"},
		{engine.Spec{DefaultClass: 99}, "DefaultClass is Class(99)"},
		{engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.NoClass: {}}}, "Classes holds "},
		{engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Auth: {MaxAttempts: -1}}}, "Classes[AUTH].MaxAttempts is -1"},
		{engine.Spec{Classes: map[engine.Class]engine.ClassSpec{engine.Auth: {Strategy: engine.Constant{Wait: -1}}}}, "Classes[AUTH].Strategy: Wait is -1ns"},
		{engine.Spec{Strategy: engine.DecorrelatedJitter{Base: -1}}, "Strategy: Base is -1ns"},
		{engine.Spec{Strategy: engine.Exponential{Factor: math.NaN()}}, "Strategy: Factor is NaN"},
		{engine.Spec{Strategy: engine.Linear{Step: -2}}, "Strategy: Step is -2ns"},
		{engine.Spec{Strategy: engine.RetryAfterOr{Fallback: engine.EqualJitter{Max: -1}}}, "Strategy: in Fallback: Max is -1ns"},
		{engine.Spec{Strategy: engine.RetryAfterOr{Cap: -1}}, "Strategy: Cap is -1ns"},
		{engine.Spec{Strategy: engine.Func("", nil)}, "the strategy function has no name"},
		{engine.Spec{Strategy: engine.Func("mine", nil)}, `strategy function "mine" is nil`},
		{engine.Spec{Strategy: nested}, "nested more than"},
		{engine.Spec{Selectable: []engine.Strategy{nil}}, "Selectable[0] is nil"},
		{engine.Spec{Selectable: []engine.Strategy{engine.FullJitter{Base: -1}}}, "Selectable[0]: Base is -1ns"},
	}
	for _, row := range rows {
		if row.want != "Name is empty" {
			row.spec.Name = "p"
		}
		_, err := engine.New(row.spec)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("want %q, got %v", row.want, err)
		}
	}
}

func TestNewNamesEveryFieldThatIsWrong(t *testing.T) {
	_, err := engine.New(engine.Spec{Deadline: -1, MaxAttempts: -1})
	for _, want := range []string{"Name", "Deadline", "MaxAttempts"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named in %v", want, err)
		}
	}
}

func TestB_Defaults(t *testing.T) {
	p, err := engine.New(engine.Spec{Name: "p"})
	if err != nil {
		t.Fatal(err)
	}
	spec := p.Spec()
	equal(t, "deadline", spec.Deadline, 60*time.Second)
	equal(t, "max attempts", spec.MaxAttempts, 6)
	equal(t, "max unknown attempts", spec.MaxUnknownAttempts, 2)
	equal(t, "attempt timeout", spec.AttemptTimeout, 0)
	equal(t, "default class", spec.DefaultClass, engine.Unknown)
	equal(t, "strategy", spec.Strategy.Name(), "decorrelated_jitter")

	for name, spec := range map[string]engine.Spec{
		"some class has a strategy": {Name: "p", Classes: map[engine.Class]engine.ClassSpec{engine.Transient: {Strategy: engine.Immediate{}}}},
	} {
		p, err := engine.New(spec)
		if err != nil {
			t.Fatal(err)
		}
		if s := p.Spec().Strategy; s != nil {
			t.Errorf("%s: default strategy is %v", name, s)
		}
	}
}

func TestAPolicyDoesNotChangeWithItsSpec(t *testing.T) {
	w := newWorld()
	classes := map[engine.Class]engine.ClassSpec{engine.RateLimit: {MaxAttempts: 2}}
	p := policy(t, engine.Spec{Operations: []string{"a.*"}, Classes: classes, Strategy: engine.Immediate{}})
	classes[engine.RateLimit] = engine.ClassSpec{MaxAttempts: 5}
	p.Operations()[0] = "changed"
	p.Spec().Classes[engine.RateLimit] = engine.ClassSpec{MaxAttempts: 5}
	o := w.run(p, w.script(fails(engine.RateLimit)))
	equal(t, "attempts", o.Attempts, 2)
	equal(t, "operation", p.Operations()[0], "a.*")
}

func TestNewBreakerAndNewBudgetRefuseWhatMakesNoSense(t *testing.T) {
	for _, row := range []struct {
		spec engine.BreakerSpec
		want string
	}{
		{engine.BreakerSpec{FailureThreshold: -1}, "FailureThreshold is -1"},
		{engine.BreakerSpec{Window: -1}, "Window is -1ns"},
		{engine.BreakerSpec{RecoveryTimeout: -1}, "RecoveryTimeout is -1ns"},
		{engine.BreakerSpec{ProbeTimeout: -1}, "ProbeTimeout is -1ns"},
		{engine.BreakerSpec{TripOn: []engine.Class{}}, "it would never open"},
		{engine.BreakerSpec{TripOn: []engine.Class{99}}, "TripOn holds Class(99)"},
		{engine.BreakerSpec{ClassThresholds: map[engine.Class]int{99: 1}}, "ClassThresholds holds Class(99)"},
		{engine.BreakerSpec{ClassThresholds: map[engine.Class]int{engine.Auth: 0}}, "ClassThresholds[AUTH] is 0"},
	} {
		_, err := engine.NewBreaker(row.spec)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("want %q, got %v", row.want, err)
		}
	}
	for _, spec := range []engine.BudgetSpec{{MaxRetries: -1}, {Window: -1}} {
		if _, err := engine.NewBudget(spec); err == nil {
			t.Errorf("%+v is not refused", spec)
		}
	}
}
