package ir

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redress-policy/redress/engine"
)

// Load reads a bundle and makes engine policies of it, in order.
func Load(data []byte, opts Options) (*Bundle, []*engine.Policy, error) {
	if err := opts.Check(); err != nil {
		return nil, nil, err
	}
	b, err := Decode(data)
	if err != nil {
		return nil, nil, err
	}
	if err := b.Set.compile(); err != nil {
		reason := ErrDamaged
		if unsupported := (*UnsupportedError)(nil); errors.As(err, &unsupported) {
			reason = ErrNewer
		}
		return nil, nil, fmt.Errorf("%w: %w", reason, err)
	}
	policies, err := b.Set.Build(opts)
	return b, policies, err
}

// Check says what is wrong with what Go code registers.
func (o Options) Check() error {
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(o.Strategies)) {
		s := o.Strategies[name]
		if s == nil {
			wrong = append(wrong, fmt.Errorf("strategy function %q is nil", name))
		} else if _, err := engine.New(engine.Spec{Name: name, Strategy: s}); err != nil {
			wrong = append(wrong, fmt.Errorf("strategy function %q: %w", name, err))
		}
	}
	return errors.Join(wrong...)
}

// Place returns where a rule is written, and whether that was kept.
func (s *Set) Place(policy, rule string) (place Place, ok bool) {
	for _, p := range s.Policies {
		if p.Name != policy {
			continue
		}
		for _, list := range p.Lists() {
			for _, r := range list.Rules {
				if r.ID == rule && r.Place.File != "" {
					return r.Place, true
				}
			}
		}
	}
	return Place{}, false
}

// String is "file:line:column".
func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// WithoutPlaces returns the set without the places of its rules.
func (s *Set) WithoutPlaces() *Set {
	bare := map[*Rule]*Rule{}
	strip := func(l *List) *List {
		rules := make([]*Rule, len(l.Rules))
		for i, r := range l.Rules {
			if bare[r] == nil {
				bare[r] = &Rule{ID: r.ID, Class: r.Class, When: r.When, RetryAfter: r.RetryAfter, CEL: r.CEL}
			}
			rules[i] = bare[r]
		}
		return NewList(rules)
	}
	made := &Set{FallbackPolicy: s.FallbackPolicy}
	for _, p := range s.Policies {
		own := *p
		own.Classify, own.ClassifyResult, own.Select = strip(p.Classify), strip(p.ClassifyResult), strip(p.Select)
		made.Policies = append(made.Policies, &own)
	}
	return made
}
