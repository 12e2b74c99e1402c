package engine

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A council is a quorum that does as it is told, and remembers what it is asked.
type council struct {
	opens, probes bool
	governed      *Breaker
	trips         int
	moves         []State
}

func (c *council) Govern(b *Breaker)              { c.governed = b }
func (c *council) Trip(time.Time) bool            { c.trips++; return c.opens }
func (c *council) Probe(time.Time) bool           { return c.probes }
func (c *council) Moved(_, to State, _ time.Time) { c.moves = append(c.moves, to) }

func TestABreakerOfAFleetOpensAndProbesAsItsQuorumSays(t *testing.T) {
	now := time.Unix(1, 0)
	q := &council{}
	b, err := NewBreaker(BreakerSpec{Name: "b", FailureThreshold: 2, RecoveryTimeout: time.Second, Quorum: q})
	if err != nil || q.governed != b {
		t.Fatalf("%v; governs %p, not %p", err, q.governed, b)
	}
	fail := func() {
		ticket, _, ok := b.admit(now)
		if ok {
			b.settle(ticket, failed, ServerError, now)
		}
	}
	for range 3 {
		fail()
	}
	if b.State() != Closed || q.trips != 2 {
		t.Errorf("%v after %d votes, want closed after 2", b.State(), q.trips)
	}
	if !b.Open(now, time.Second) || b.Open(now, 2*time.Second) || b.RetryIn(now) != 2*time.Second {
		t.Errorf("opened from outside: %v for %v", b.State(), b.RetryIn(now))
	}
	now = now.Add(2 * time.Second)
	if _, _, ok := b.admit(now); ok || b.State() != Open {
		t.Error("a probe was sent without the quorum's leave")
	}
	q.probes = true
	ticket, moved, ok := b.admit(now)
	if !ok || moved.to != HalfOpen {
		t.Fatalf("no probe: %v, %v", moved, ok)
	}
	b.settle(ticket, succeeded, NoClass, now)
	if len(q.moves) != 2 || q.moves[1] != Closed {
		t.Errorf("told of %v", q.moves)
	}
	q.opens = true
	for range 2 {
		fail()
	}
	if b.State() != Open || !b.Close(now) || b.Close(now) || b.State() != Closed {
		t.Errorf("closed from outside: %v", b.State())
	}
}

func TestAFleetThatOpensACircuitStopsCallsBetweenAttempts(t *testing.T) {
	q := &council{}
	b, err := NewBreaker(BreakerSpec{Name: "b", Quorum: q})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Spec{Name: "p", Strategy: Immediate{}, Breaker: b})
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	outcome := Execute(context.Background(), p, func(context.Context) (int, error) {
		attempts++
		b.Open(time.Now(), time.Minute)
		return 0, MarkTransient(errors.New("no"))
	})
	if outcome.Reason != CircuitOpen || attempts != 1 {
		t.Errorf("%v after %d attempts", outcome.Reason, attempts)
	}
}

type purse int

func (p *purse) Govern(*Budget)      {}
func (p *purse) Take(time.Time) bool { *p--; return *p >= 0 }
func (p *purse) Left(time.Time) int  { return int(*p) }

func TestABudgetOfAFleetSpendsWhatItIsGrantedAndNeverMoreThanAll(t *testing.T) {
	now, granted := time.Unix(1, 0), purse(5)
	b, err := NewBudget(BudgetSpec{Name: "b", MaxRetries: 3, Allowance: &granted})
	if err != nil {
		t.Fatal(err)
	}
	if b.Remaining(now) != 3 {
		t.Errorf("%d remain, want 3", b.Remaining(now))
	}
	for range 3 {
		if !b.take(now) {
			t.Error("refused what was granted")
		}
	}
	if b.take(now) || granted != 2 {
		t.Errorf("more than all was taken; %d are left of what was granted", granted)
	}
	if carried, err := b.Reconfigure(BudgetSpec{Name: "b", MaxRetries: 3}); err != nil || carried.Note != "scope fleet to local" {
		t.Errorf("%+v, %v", carried, err)
	}
}
