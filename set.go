package redress

import (
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/catalog"
	"github.com/redress-policy/redress/internal/ir"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// A Set is a loaded set of policies, which share the breakers and budgets that
// they name. It is immutable, unless it is that of a [LiveSet], and safe for use by
// many goroutines.
type Set struct{ view atomic.Pointer[view] }

// A view is what a set is at one time.
type view struct {
	catalog  *catalog.Catalog
	warnings dsl.Diagnostics
	fallback string // name of the fallback policy, "" without
}

// A LoadOption gives a set what its documents cannot say themselves.
type LoadOption func(*interp.Options)

// WithStrategy registers a backoff strategy under the name by which policies
// write it: `strategy: {func: NAME}`. A policy that names a function which is not
// registered does not load.
func WithStrategy(name string, s Strategy) LoadOption {
	return func(o *interp.Options) {
		if o.Strategies == nil {
			o.Strategies = map[string]engine.Strategy{}
		}
		o.Strategies[name] = s
	}
}

// WithPolicyObserver has every policy of the set report its events to o. An
// observer given with a call takes its place for that call.
func WithPolicyObserver(o Observer) LoadOption {
	return func(opts *interp.Options) { opts.Observer = o }
}

// WithAttributes has x find the values of err.attr for every policy of the set.
func WithAttributes(x Extractor) LoadOption {
	return func(o *interp.Options) { o.Attributes = x }
}

// WithResultAttributes has x find the values of result.attr for every policy of the
// set; it is given what operations return.
func WithResultAttributes(x ResultExtractor) LoadOption {
	return func(o *interp.Options) { o.ResultAttributes = x }
}

// WithFleet gives the set a store that its instances share, for the budgets and breakers
// that say `scope: fleet`; contrib/redressfleet makes one. A set that has such documents
// does not load without.
func WithFleet(f engine.Fleet) LoadOption {
	return func(o *interp.Options) { o.Fleet = f }
}

// noFleet stands where none was given.
type noFleet struct{}

var errNoFleet = errors.New("the set was loaded without a fleet")

func (noFleet) CheckBudget(engine.BudgetSpec) error          { return errNoFleet }
func (noFleet) CheckBreaker(engine.BreakerSpec) error        { return errNoFleet }
func (noFleet) Allowance(engine.BudgetSpec) engine.Allowance { return nil }
func (noFleet) Quorum(engine.BreakerSpec) engine.Quorum      { return nil }

// Load reads every .yaml and .yml file of fsys as one set. It is all or nothing:
// if any document is wrong, the error is a [*DocumentError] that holds every
// finding with its place, and there is no set. Files whose names begin with a dot
// are passed over; a file system without a policy file is an error.
func Load(fsys fs.FS, opts ...LoadOption) (*Set, error) {
	given, err := options(opts)
	if err != nil {
		return nil, err
	}
	loaded, err := load.FS(fsys, given)
	if err != nil {
		return nil, fmt.Errorf("redress: %w", err)
	}
	return newSet(loaded)
}

// Parse reads one source as a set of its own; name is what errors call it.
func Parse(name string, text []byte, opts ...LoadOption) (*Set, error) {
	given, err := options(opts)
	if err != nil {
		return nil, err
	}
	return newSet(load.Sources([]*dsl.Source{dsl.NewSource(name, text)}, given))
}

// LoadBundle makes a set of a bundle, which redress-lint build writes. It is there for
// programs that read documents too; package bundle does the same and needs neither YAML
// nor CEL. Errors are those of bundle.Load.
func LoadBundle(data []byte, opts ...LoadOption) (*Set, error) {
	given, err := options(opts)
	if err != nil {
		return nil, err
	}
	b, policies, err := ir.Load(data, given)
	if err != nil {
		return nil, fmt.Errorf("redress: %w", err)
	}
	s := &Set{}
	s.view.Store(&view{catalog: catalog.New(policies), fallback: b.Set.FallbackPolicy})
	return s, nil
}

func options(opts []LoadOption) (interp.Options, error) {
	o := interp.Options{Fleet: noFleet{}, Now: time.Now()}
	for _, opt := range opts {
		opt(&o)
	}
	if err := load.CheckOptions(o); err != nil {
		return o, fmt.Errorf("redress: %w", err)
	}
	return o, nil
}

func newSet(loaded *load.Result) (*Set, error) {
	if err := loaded.Diagnostics.Err(); err != nil {
		return nil, err
	}
	s := &Set{}
	s.view.Store(&view{catalog.New(loaded.Program.Build()), loaded.Diagnostics, loaded.Program.FallbackPolicy().V})
	return s, nil
}

// Names returns the names of the set's policies, in the order of their documents.
func (s *Set) Names() []string { return s.view.Load().catalog.Names() }

// Policy returns the policy of that name; the error names the nearest one.
func (s *Set) Policy(name string) (*Policy, error) { return s.view.Load().catalog.Policy(name) }

// MustPolicy is Policy for start-up code: it panics where Policy has an error.
func (s *Set) MustPolicy(name string) *Policy {
	p, err := s.Policy(name)
	if err != nil {
		panic(err)
	}
	return p
}

// For returns the policy whose `operations` govern the named operation, bound to
// that operation. Of several patterns that match, the most specific wins: the one
// with the most characters that are not stars.
func (s *Set) For(operation string) (*Policy, error) { return s.view.Load().catalog.For(operation) }

// FallbackPolicy returns the name of the policy under which calls run whose own policy was
// removed, "" if they fail: what the documents' fallback_policy says or, of a live set,
// [FallbackPolicy]. Nothing is ever removed from a set that is not live.
func (s *Set) FallbackPolicy() string { return s.view.Load().fallback }

// Warnings returns what the loader found that is no error.
func (s *Set) Warnings() []Diagnostic { return append([]Diagnostic(nil), s.view.Load().warnings...) }
