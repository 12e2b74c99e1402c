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
	// Allowance makes the budget a fleet's: MaxRetries is what all processes have together,
	// and this one spends what the allowance grants. nil means that it is this process's.
	Allowance Allowance
}

// A Budget bounds the retries of all calls that share it: at most MaxRetries in any
// Window. First attempts are free. It is safe for use by many goroutines.
type Budget struct {
	name string

	mu    sync.Mutex
	spec  BudgetSpec // guarded by mu, like all below
	epoch epoch
	taken ring
}

// NewBudget makes a budget of which nothing is spent; its error names every field
// that is wrong.
func NewBudget(spec BudgetSpec) (*Budget, error) {
	spec, err := spec.complete()
	if err != nil {
		return nil, err
	}
	b := &Budget{name: spec.Name, spec: spec, taken: ring{capacity: spec.MaxRetries}}
	b.govern(spec)
	return b, nil
}

// complete checks the spec and fills the defaults in.
func (s BudgetSpec) complete() (BudgetSpec, error) {
	wrong := []error{notNegative(field{"Window", s.Window})}
	if s.MaxRetries < 0 {
		wrong = append(wrong, fmt.Errorf("MaxRetries is %d, must not be negative", s.MaxRetries))
	}
	if err := errors.Join(wrong...); err != nil {
		return s, fmt.Errorf("engine: budget %q: %w", s.Name, err)
	}
	s.Window = or(s.Window, 60*time.Second)
	return s, nil
}

// Name returns the budget's name.
func (b *Budget) Name() string { return b.name }

// Spec returns what the budget is made of, defaults filled in.
func (b *Budget) Spec() BudgetSpec {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spec
}

// Reconfigure gives the budget other numbers while calls take from it. What was spent
// stays spent: it is counted against the new numbers. The name must be the same. Of
// retries that a smaller MaxRetries or a shorter Window did not need, nothing is known.
func (b *Budget) Reconfigure(spec BudgetSpec) (Carried, error) {
	spec, err := spec.complete()
	if err != nil {
		return Carried{}, err
	}
	if spec.Name != b.name {
		return Carried{}, fmt.Errorf("engine: budget %q cannot become %q", b.name, spec.Name)
	}
	carried := b.reconfigure(spec)
	b.govern(spec)
	return carried, nil
}

func (b *Budget) reconfigure(spec BudgetSpec) Carried {
	b.mu.Lock()
	defer b.mu.Unlock()
	var changes changes
	changes.add("max_retries", b.spec.MaxRetries, spec.MaxRetries)
	changes.add("window", b.spec.Window, spec.Window)
	changes.add("scope", scope(b.spec.Allowance != nil), scope(spec.Allowance != nil))
	b.spec = spec
	b.taken.grow(spec.MaxRetries)
	return changes.carried("budget", b.name)
}

// inherit counts what was spent of other budgets as spent of this one, which must be
// new.
func (b *Budget) inherit(from []*Budget) {
	for _, other := range from {
		epoch, taken := other.history()
		if !epoch.began {
			continue
		}
		b.mu.Lock()
		shift := b.epoch.adopt(&epoch)
		b.taken.merge(&taken, shift)
		b.mu.Unlock()
	}
}

func (b *Budget) history() (epoch, ring) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch, b.taken.clone()
}

// Remaining returns how many retries the budget would grant at now.
func (b *Budget) Remaining(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	left := max(b.spec.MaxRetries-b.taken.count(b.epoch.at(now), b.spec.Window), 0)
	if a := b.spec.Allowance; a != nil {
		left = min(left, a.Left(now))
	}
	return left
}

// describe says in words that nothing is left.
func (b *Budget) describe() string {
	name, spec := "the budget", b.Spec()
	if b.name != "" {
		name = "budget " + b.name
	}
	fleet := ""
	if spec.Allowance != nil {
		fleet = " of the whole fleet"
	}
	return fmt.Sprintf("%s allows %d retries%s in any %v", name, spec.MaxRetries, fleet, spec.Window)
}

// take spends one retry if there is one: check and taking are one step.
func (b *Budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.epoch.at(now)
	if b.taken.full(b.spec.MaxRetries, at, b.spec.Window) {
		return false
	}
	if a := b.spec.Allowance; a != nil && !a.Take(now) {
		return false
	}
	b.taken.add(at)
	return true
}
