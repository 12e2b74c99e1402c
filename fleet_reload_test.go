package redress_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// A union is a fleet whose decisions the test makes.
type union struct {
	purses map[string]*grant
	boards map[string]*board
}

func (*union) CheckBudget(engine.BudgetSpec) error   { return nil }
func (*union) CheckBreaker(engine.BreakerSpec) error { return nil }

func (u *union) Allowance(spec engine.BudgetSpec) engine.Allowance {
	if u.purses[spec.Name] == nil {
		u.purses[spec.Name] = &grant{left: 10}
	}
	return u.purses[spec.Name]
}

func (u *union) Quorum(spec engine.BreakerSpec) engine.Quorum {
	if u.boards[spec.Name] == nil {
		u.boards[spec.Name] = &board{}
	}
	return u.boards[spec.Name]
}

// A grant is what the fleet lets this process spend.
type grant struct{ left int }

func (g *grant) Govern(*engine.Budget) {}
func (g *grant) Take(time.Time) bool   { g.left--; return g.left >= 0 }
func (g *grant) Left(time.Time) int    { return max(g.left, 0) }

// A board counts the votes of this process, none of which opens a circuit alone.
type board struct {
	governs *engine.Breaker
	votes   int
}

func (b *board) Govern(breaker *engine.Breaker)              { b.governs = breaker }
func (b *board) Trip(time.Time) bool                         { b.votes++; return false }
func (b *board) Probe(time.Time) bool                        { return false }
func (b *board) Moved(engine.State, engine.State, time.Time) {}

func ofFleet(retries, threshold int, scope string) string {
	return fmt.Sprintf(`apiVersion: redress/v1
kind: Budget
name: shared
scope: %[3]s
max_retries: %[1]d
window: 1h
---
apiVersion: redress/v1
kind: CircuitBreaker
name: dependency
scope: %[3]s
failure_threshold: %[2]d
window: 1h
recovery_timeout: 1h
trip_on: [TRANSIENT]
---
apiVersion: redress/v1
kind: Policy
name: p
classify: [{use: std.marker}]
retry: {max_attempts: 2, strategy: immediate, budget: shared}
circuit_breaker: dependency
`, retries, threshold, scope)
}

func TestWhatAFleetHasAgreedOnIsKeptOverReloads(t *testing.T) {
	fleet := &union{map[string]*grant{}, map[string]*board{}}
	source := &scripted{}
	source.set("p.yaml", ofFleet(100, 3, "fleet"))
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0), redress.WithFleet(fleet))
	if err != nil {
		t.Fatal(err)
	}
	p := set.MustPolicy("p")
	reload := func(text string) {
		t.Helper()
		source.set("p.yaml", text)
		if err := set.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	call := func() redress.StopReason {
		return redress.Execute(t.Context(), p, func(context.Context) (int, error) { return 0, redress.Transient(errors.New("down")) }).Reason
	}
	want := func(when string, left, votes int, state engine.State) {
		t.Helper()
		board := fleet.boards["dependency"]
		if got := p.Budget().Remaining(time.Now()); got != left {
			t.Errorf("%s: %d retries left, want %d", when, got, left)
		}
		if board.votes != votes || p.Breaker().State() != state {
			t.Errorf("%s: %d votes, circuit %v; want %d, %v", when, board.votes, p.Breaker().State(), votes, state)
		}
		if board.governs != p.Breaker() {
			t.Errorf("%s: the quorum governs another breaker than the one that calls ask", when)
		}
	}
	call()
	call()
	want("below the threshold", 8, 0, engine.Closed)
	reload(ofFleet(50, 3, "fleet"))
	want("after a reload", 8, 0, engine.Closed)
	call()
	want("at the threshold, by failures from before", 7, 1, engine.Closed)
	reload(ofFleet(50, 2, "fleet"))
	want("after another reload", 7, 1, engine.Closed)
	fleet.boards["dependency"].governs.Open(time.Now(), time.Hour)
	reload(ofFleet(100, 3, "fleet"))
	want("opened by the fleet before a reload", 7, 1, engine.Open)
	if got := call(); got != engine.CircuitOpen {
		t.Errorf("reason %v, want %v", got, engine.CircuitOpen)
	}
	reload(ofFleet(4, 3, "local"))
	if left, state := p.Budget().Remaining(time.Now()), p.Breaker().State(); left != 1 || state != engine.Open {
		t.Errorf("no longer a fleet's: %d retries left, circuit %v; want 1 of 4, as 3 are spent, and open", left, state)
	}
	reload(ofFleet(100, 3, "fleet"))
	want("a fleet's again", 7, 1, engine.Open)
	fleet.boards["dependency"].governs.Close(time.Now())
	call()
	want("closed by the fleet", 6, 1, engine.Closed)
}
