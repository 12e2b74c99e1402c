package engine

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// A BudgetSpec is what a retry budget is made of.
type BudgetSpec struct {
	Name       string        // may be empty
	MaxRetries int           // in any Window; 0 means that nothing is retried
	Window     time.Duration // 0 means 60s
}

// A Budget bounds the retries of all calls that share it: at most MaxRetries in any
// Window. First attempts are free. It is safe for use by many goroutines.
type Budget struct {
	spec BudgetSpec

	mu    sync.Mutex
	epoch epoch // guarded by mu
	taken ring  // guarded by mu
}

// NewBudget makes a budget of which nothing is spent; its error names every field
// that is wrong.
func NewBudget(spec BudgetSpec) (*Budget, error) {
	wrong := []error{notNegative(field{"Window", spec.Window})}
	if spec.MaxRetries < 0 {
		wrong = append(wrong, fmt.Errorf("MaxRetries is %d, must not be negative", spec.MaxRetries))
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, fmt.Errorf("engine: budget %q: %w", spec.Name, err)
	}
	spec.Window = or(spec.Window, 60*time.Second)
	return &Budget{spec: spec, taken: ring{size: spec.MaxRetries}}, nil
}

// Name returns the budget's name.
func (b *Budget) Name() string { return b.spec.Name }

// Spec returns what the budget is made of, defaults filled in.
func (b *Budget) Spec() BudgetSpec { return b.spec }

// Remaining returns how many retries the budget would grant at now.
func (b *Budget) Remaining(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spec.MaxRetries - b.taken.count(b.epoch.at(now), b.spec.Window)
}

// describe says in words that nothing is left.
func (b *Budget) describe() string {
	name := "the budget"
	if b.spec.Name != "" {
		name = "budget " + b.spec.Name
	}
	return fmt.Sprintf("%s allows %d retries in any %v", name, b.spec.MaxRetries, b.spec.Window)
}

// take spends one retry if there is one: check and taking are one step.
func (b *Budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.epoch.at(now)
	if b.taken.full(at, b.spec.Window) {
		return false
	}
	b.taken.add(at)
	return true
}
