package bundle

import (
	"fmt"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/catalog"
	"github.com/redress-policy/redress/internal/ir"
)

// Why a bundle does not load, to be looked for with errors.Is. Errors that are neither
// speak of options, such as a strategy function that is not registered.
var (
	// ErrDamaged says that it is truncated, altered or no bundle.
	ErrDamaged = ir.ErrDamaged
	// ErrNewer says that a newer version of redress wrote it.
	ErrNewer = ir.ErrNewer
)

// MaxSize is how many bytes a bundle can have.
const MaxSize = ir.MaxSize

// A Set is a loaded set of policies, which share the breakers and budgets that they name.
// It is immutable and safe for use by many goroutines.
type Set struct {
	catalog *catalog.Catalog
	bundle  *ir.Bundle
}

// An Option gives a set what its documents could not say.
type Option func(*ir.Options)

// WithStrategy registers a backoff strategy under the name by which policies write it:
// `strategy: {func: NAME}`. A bundle with a policy that names a function which is not
// registered does not load.
func WithStrategy(name string, s engine.Strategy) Option {
	return func(o *ir.Options) {
		if o.Strategies == nil {
			o.Strategies = map[string]engine.Strategy{}
		}
		o.Strategies[name] = s
	}
}

// WithPolicyObserver has every policy of the set report its events to o. An observer given
// with a call takes its place for that call.
func WithPolicyObserver(o engine.Observer) Option {
	return func(opts *ir.Options) { opts.Observer = o }
}

// WithAttributes has x find the values of err.attr for every policy of the set.
func WithAttributes(x engine.Extractor) Option {
	return func(o *ir.Options) { o.Attributes = x }
}

// WithResultAttributes has x find the values of result.attr for every policy of the set;
// it is given what operations return.
func WithResultAttributes(x engine.ResultExtractor) Option {
	return func(o *ir.Options) { o.ResultAttributes = x }
}

// Load makes policies of a bundle. It is all or nothing, and no input makes it panic. It
// does not keep data.
//
// The digest tells accidents, not forgeries: take bundles from where you take programs.
func Load(data []byte, opts ...Option) (*Set, error) {
	var o ir.Options
	for _, opt := range opts {
		opt(&o)
	}
	decoded, policies, err := ir.Load(data, o)
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	return &Set{catalog.New(policies), decoded}, nil
}

// Names returns the names of the set's policies, in the order of their documents.
func (s *Set) Names() []string { return s.catalog.Names() }

// Policy returns the policy of that name; the error names the nearest one.
func (s *Set) Policy(name string) (*engine.Policy, error) { return s.catalog.Policy(name) }

// MustPolicy is Policy for start-up code: it panics where Policy has an error.
func (s *Set) MustPolicy(name string) *engine.Policy {
	p, err := s.Policy(name)
	if err != nil {
		panic(err)
	}
	return p
}

// For returns the policy whose `operations` govern the named operation, bound to that
// operation. Of several patterns that match, the most specific wins: the one with the most
// characters that are not stars.
func (s *Set) For(operation string) (*engine.Policy, error) { return s.catalog.For(operation) }

// FallbackPolicy returns the name that the documents' fallback_policy gave: for a program
// that replaces sets while it runs, with [engine.Live]. It is "" if they gave none.
func (s *Set) FallbackPolicy() string { return s.bundle.Set.FallbackPolicy }

// Digest returns the SHA-256 of the bundle's payload in hexadecimal digits: bundles with
// equal digests hold the same policies.
func (s *Set) Digest() string { return s.bundle.Digest }

// Place returns where a rule is written, as "file:line:column", for explanations: outcomes
// and events name rules by their ids. It is "" for rules that the policy does not have, and
// in bundles that were built without --positions.
func (s *Set) Place(policy, rule string) string {
	place, ok := s.bundle.Set.Place(policy, rule)
	if !ok {
		return ""
	}
	return place.String()
}
