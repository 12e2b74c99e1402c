package redresstest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresstest"
)

const text = `apiVersion: redress/v1
kind: Policy
name: p
classify: [{use: std.http}]
retry: {strategy: {constant: {delay: 1m}}, deadline: 1h, max_attempts: 3}
`

func policy(t *testing.T) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("p")
}

func TestAScriptedDependencyUnderVirtualTime(t *testing.T) {
	clock := redresstest.NewClock()
	script := redresstest.NewScript(clock,
		redresstest.Answer[string]{Err: redresstest.Status(503), After: 10 * time.Second},
		redresstest.Answer[string]{Value: "hello"},
	)
	var recorder redresstest.Recorder
	start := clock.Now()
	got, err := redress.Call(t.Context(), policy(t), script.Call,
		redress.WithClock(clock), redress.WithRand(redresstest.Seeded(1)), redress.WithObserver(&recorder))
	if err != nil || got != "hello" || script.Calls() != 2 {
		t.Errorf("Call = %q, %v after %d calls; want hello after 2", got, err, script.Calls())
	}
	if took := clock.Now().Sub(start); took != 70*time.Second {
		t.Errorf("the call took %v of virtual time, want 1m10s", took)
	}
	if names := recorder.Names(); !slices.Equal(names, []string{"retry", "success"}) {
		t.Errorf("events %v, want [retry success]", names)
	}
}

func TestACallerWhoGivesUpDuringASleep(t *testing.T) {
	clock := redresstest.NewClock()
	script := redresstest.NewScript(clock, redresstest.Answer[int]{Err: redresstest.Status(503)})
	ctx := redresstest.Caller(t, clock, 0, 30*time.Second)
	_, err := redress.Call(ctx, policy(t), script.Call, redress.WithClock(clock))
	var stopped *redress.Error
	if !errors.As(err, &stopped) || stopped.Reason.String() != "CANCELED" || !errors.Is(err, context.Canceled) {
		t.Errorf("Call = %v, want CANCELED", err)
	}
	if script.Calls() != 1 {
		t.Errorf("%d attempts, want 1", script.Calls())
	}
}

func TestTheSameSeedGivesTheSameNumbers(t *testing.T) {
	a, b, c := redresstest.Seeded(7), redresstest.Seeded(7), redresstest.Seeded(8)
	for range 100 {
		x := a()
		if x != b() || x == c() || x < 0 || x >= 1 {
			t.Fatalf("seeded numbers differ, repeat across seeds, or leave [0, 1): %v", x)
		}
	}
}

func TestStandInsDoWhatTheirNamesSay(t *testing.T) {
	for _, row := range []struct {
		policy   *redress.Policy
		attempts int
		reason   string
	}{
		{redresstest.OneAttempt("once"), 1, "MAX_ATTEMPTS_GLOBAL"},
		{redresstest.Immediate("at-once", 4), 4, "MAX_ATTEMPTS_GLOBAL"},
		{redresstest.Refusing("refusing"), 0, "CIRCUIT_OPEN"},
		{redresstest.Policy(t, text), 3, "MAX_ATTEMPTS_GLOBAL"},
	} {
		for range 2 { // stand-ins keep no memory that would change the second call
			script := redresstest.NewScript(nil, redresstest.Answer[int]{Err: redresstest.Status(503)})
			outcome := redress.Execute(t.Context(), row.policy, script.Call, redress.WithClock(redresstest.NewClock()))
			if outcome.Reason.String() != row.reason || script.Calls() != row.attempts {
				t.Errorf("%s: %v after %d attempts, want %s after %d", row.policy.Name(), outcome.Reason, script.Calls(), row.reason, row.attempts)
			}
		}
	}
}
