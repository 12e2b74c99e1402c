package analysis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/virtual"
	"github.com/redress-policy/redress/interp"
)

func (d dice) strategy(depth int) string {
	limits := fmt.Sprintf("base: %dms, max: %dms", 1+d.IntN(400), 400+d.IntN(4000))
	switch d.IntN(10) {
	case 0:
		return "{exponential: {" + limits + ", factor: " + pick(d, "1.5", "2", "1") + "}}"
	case 1:
		return "{linear: {" + limits + ", step: 90ms}}"
	case 2:
		return fmt.Sprintf("{constant: {delay: %dms}}", d.IntN(900))
	case 3:
		return "immediate"
	case 4:
		return "stop"
	case 5, 6:
		if depth > 0 {
			inner := d.strategy(depth - 1)
			if inner[0] == '{' {
				return pick(d, "{retry_after_or: {", "{adaptive: {max_multiplier: 3, ") + inner[1:len(inner)-1] + "}}"
			}
		}
	}
	return "{" + pick(d, "decorrelated_jitter", "equal_jitter", "full_jitter", "token_backoff") + ": {" + limits + "}}"
}

// TestNoCallLeavesItsEnvelope runs random policies through the engine in virtual time,
// with chance at its ends and in between: sleeps, attempts and times stay within the
// envelope, and reach its ends.
func TestNoCallLeavesItsEnvelope(t *testing.T) {
	reached := 0
	for seed := range uint64(300) {
		d := dice{rand.New(rand.NewPCG(seed, 21))}
		text := fmt.Sprintf("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - {id: s, when: err.status == 503, class: SERVER_ERROR}\n  - {id: r, when: err.status == 429, class: RATE_LIMIT}\nretry:\n  deadline: %dms\n  max_attempts: %d\n  max_unknown_attempts: %d\n  strategy: %s\n",
			500+d.IntN(20_000), 1+d.IntN(7), 1+d.IntN(4), d.strategy(2))
		if d.IntN(2) == 0 {
			text += fmt.Sprintf("  attempt_timeout: %dms\n", 50+d.IntN(900))
		}
		if d.IntN(2) == 0 {
			text += fmt.Sprintf("  classes: {SERVER_ERROR: {max_attempts: %d, strategy: %s}}\n", 1+d.IntN(5), d.strategy(1))
		}
		result := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{})
		if result.Diagnostics.HasErrors() {
			t.Fatalf("%v\n%s", result.Diagnostics.Err(), text)
		}
		e := analysis.EnvelopeOf(result.Program.Policy("p"))
		for round := range 12 {
			statuses := []int{pick(d, 503, 429, 0)}
			if round > 8 {
				statuses = []int{503, 429, 0}
			}
			o, sleeps, took := play(d, result.Program.Build()[0], statuses, round)
			if o.Attempts > e.MaxAttempts || took > e.Longest {
				t.Fatalf("seed %d: %d attempts in %v, the envelope says %d and %v\n%s", seed, o.Attempts, took, e.MaxAttempts, e.Longest, text)
			}
			if len(statuses) > 1 {
				continue
			}
			c := e.Classes[classIndex(e, o.Class)]
			if o.Attempts > c.Attempts || took > c.Longest {
				t.Fatalf("seed %d, %s: %d attempts in %v, the envelope says %d and %v\n%s", seed, o.Class, o.Attempts, took, c.Attempts, c.Longest, text)
			}
			if c.NeverStart > 0 && o.Attempts >= c.NeverStart {
				t.Fatalf("seed %d: attempt %d started\n%s", seed, c.NeverStart, text)
			}
			for i, s := range sleeps {
				if s < c.Sleeps[i].Least || s > c.Sleeps[i].Most {
					t.Fatalf("seed %d: sleep %d of %v, the envelope says %v\n%s", seed, i, s, c.Sleeps[i], text)
				}
				if s == c.Sleeps[i].Most {
					reached++
				}
			}
		}
	}
	if reached < 500 {
		t.Errorf("only %d sleeps reached the end of their bounds: are they too wide?", reached)
	}
}

func classIndex(e *analysis.Envelope, class engine.Class) int {
	for i, c := range e.Classes {
		if c.Class == class {
			return i
		}
	}
	return 0
}

type sleeper struct {
	*virtual.Clock
	slept []time.Duration
}

func (s *sleeper) Sleep(ctx context.Context, d time.Duration) error {
	s.slept = append(s.slept, d)
	return s.Clock.Sleep(ctx, d)
}

// play makes one call whose attempts all fail.
func play(d dice, p *engine.Policy, statuses []int, round int) (engine.Outcome[int], []time.Duration, time.Duration) {
	clock := &sleeper{Clock: virtual.NewClock(virtual.Epoch)}
	random := func() float64 {
		switch round % 3 {
		case 0:
			return 0
		case 1:
			return math.Nextafter(1, 0)
		}
		return d.Float64()
	}
	slow := round%2 == 0
	ctx := virtual.NewCaller(clock.Clock, time.Time{}, time.Time{})
	defer ctx.Release()
	n := 0
	o := engine.Execute(ctx, p, func(ctx context.Context) (int, error) {
		status := statuses[n%len(statuses)]
		n++
		if slow { // as long as it is let
			if deadline, ok := ctx.Deadline(); ok && p.Spec().AttemptTimeout > 0 {
				clock.Clock.Sleep(ctx, deadline.Sub(clock.Now())-1)
			}
		}
		if status == 0 {
			return 0, errors.New("unknown")
		}
		return 0, (*virtual.Record)(&engine.Failure{Status: status, Kind: engine.KindHTTP, Phase: engine.Sent})
	}, engine.WithClock(clock), engine.WithRand(random))
	return o, clock.slept, clock.Now().Sub(virtual.Epoch)
}
