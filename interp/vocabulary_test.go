package interp

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
)

func names[T fmt.Stringer](list []T) []string {
	var all []string
	for _, x := range list {
		all = append(all, x.String())
	}
	return all
}

func texts[T ~string](list []T) []string {
	var all []string
	for _, x := range list {
		all = append(all, string(x))
	}
	return all
}

// The language and the engine do not know each other; what both name, they must name
// alike.
func TestTheLanguageAndTheEngineHaveTheSameWords(t *testing.T) {
	for _, one := range []struct {
		what          string
		written, runs []string
	}{
		{"classes", dsl.ClassNames(), names(engine.Classes())},
		{"stop reasons", dsl.StopReasonNames(), names(engine.StopReasons())},
		{"events", dsl.EventNames(), names(engine.EventKinds())},
		{"kinds", dsl.KindNames(), texts(engine.Kinds())},
		{"phases", dsl.PhaseNames(), texts(engine.Phases())},
		{"states", dsl.StateNames(), names([]engine.State{engine.Closed, engine.Open, engine.HalfOpen})},
	} {
		if !slices.Equal(one.written, one.runs) {
			t.Errorf("the language's %s are %v, the engine's %v", one.what, one.written, one.runs)
		}
	}
}

func TestEveryStrategyOfTheLanguageBuilds(t *testing.T) {
	bare := map[string]string{"constant": "{constant: {delay: 1s}}", "func": "{func: own}"}
	opts := Options{Strategies: map[string]engine.Strategy{"own": engine.Func("func", func(engine.DelayInput) engine.Delay { return engine.Delay{Sleep: time.Second} })}}
	for _, name := range dsl.StrategyNames() {
		written := name
		if b, ok := bare[name]; ok {
			written = b
		}
		program := compiledWith(t, header+"classify:\n  - use: std.http\nretry:\n  strategy: "+written+"\n", opts)
		s := program.Build()[0].Spec().Strategy
		if s == nil || s.Name() != name {
			t.Errorf("strategy %s builds %v", name, s)
		}
	}
}

// What a strategy is given in a document is what the engine's has.
func TestParametersOfStrategiesReachTheEngine(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for written, want := range map[string]engine.Strategy{
		"{decorrelated_jitter: {base: 10ms, max: 20ms}}":          engine.DecorrelatedJitter{Base: ms(10), Max: ms(20)},
		"{equal_jitter: {base: 10ms, max: 20ms}}":                 engine.EqualJitter{Base: ms(10), Max: ms(20)},
		"{full_jitter: {base: 10ms, max: 20ms}}":                  engine.FullJitter{Base: ms(10), Max: ms(20)},
		"{token_backoff: {base: 10ms, max: 20ms}}":                engine.TokenBackoff{Base: ms(10), Max: ms(20)},
		"{exponential: {base: 10ms, max: 20ms, factor: 3}}":       engine.Exponential{Base: ms(10), Max: ms(20), Factor: 3},
		"{linear: {base: 10ms, step: 5ms, max: 20ms}}":            engine.Linear{Base: ms(10), Step: ms(5), Max: ms(20)},
		"{linear: {step: 0s}}":                                    engine.Linear{Step: engine.None},
		"{constant: {delay: 0s}}":                                 engine.Constant{},
		"{constant: {delay: 10ms}}":                               engine.Constant{Wait: ms(10)},
		"{retry_after_or: {jitter: 0s, cap: 1s, immediate: {}}}":  engine.RetryAfterOr{Fallback: engine.Immediate{}, Jitter: engine.None, Cap: time.Second},
		"{retry_after_or: {jitter: 10ms, linear: {base: 10ms}}}":  engine.RetryAfterOr{Fallback: engine.Linear{Base: ms(10)}, Jitter: ms(10)},
		"{retry_after_or: {retry_after_or: {stop: {}}, cap: 1m}}": engine.RetryAfterOr{Fallback: engine.RetryAfterOr{Fallback: engine.StopStrategy{}}, Cap: time.Minute},
		"immediate": engine.Immediate{},
		"stop":      engine.StopStrategy{},
	} {
		program := compiled(t, header+"classify:\n  - use: std.http\nretry:\n  strategy: "+written+"\n")
		if got := program.Build()[0].Spec().Strategy; got != want {
			t.Errorf("%s builds %#v, want %#v", written, got, want)
		}
	}
	program := compiled(t, header+"classify:\n  - use: std.http\nretry:\n  strategy: {adaptive: {window: 5s, target_success: 0.5, min_multiplier: 2, max_multiplier: 3, constant: {delay: 1s}}}\n")
	got, ok := program.Build()[0].Spec().Strategy.(*engine.Adaptive)
	if !ok || got.Window != 5*time.Second || got.TargetSuccess != 0.5 || got.MinMultiplier != 2 || got.MaxMultiplier != 3 || got.Fallback != (engine.Constant{Wait: time.Second}) {
		t.Errorf("adaptive builds %#v", got)
	}
}
