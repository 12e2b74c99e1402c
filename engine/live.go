package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// ErrPolicyRemoved is wrapped by the error of calls under a policy that a reload has
// removed: their reason is ABORTED, and they make no attempt.
var ErrPolicyRemoved = errors.New("the policy was removed by a reload")

// A Live set of policies can be replaced while calls run under it. Its handles, and
// those that Bind makes of them, follow: a call finishes on the revision on which it
// began, and the next one begins on the new one. What calls share lives on by name:
//
//   - A breaker or budget keeps its memory and gets the new settings, as
//     [Breaker.Reconfigure] and [Budget.Reconfigure] say. One whose name is new inherits
//     from those that it takes the place of in its policies, so that neither a renamed
//     nor a divided breaker is a closed one. What is shared, and what a policy has
//     alone, are told apart, also when their names are the same.
//   - An adaptive strategy inherits from one that the policy had before.
//   - The counters of a policy go on.
//   - What the new set does not have is kept for a set that has it again.
//
// The zero Live holds nothing. It is safe for use by many goroutines.
type Live struct {
	mu       sync.Mutex
	handles  map[string]*Policy // guarded by mu, like all below; removed policies stay
	names    []string           // of the policies that the set has
	breakers keeper[*Breaker]
	budgets  keeper[*Budget]
}

// Policy returns the handle on the policy of that name; there is none if the set does
// not have the policy now.
func (l *Live) Policy(name string) (*Policy, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.names, name) {
		return nil, false
	}
	return l.handles[name], true
}

// Names returns the names of the policies, in the order in which Reload was given them.
func (l *Live) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.names)
}

// Reload replaces the set by next, and tells what became of what calls share. next must
// have been made for this alone, with breakers, budgets and strategies that are new:
// the Live takes them over. Calls under a policy that next does not have fail with
// [ErrPolicyRemoved], or run as the policy named fallback says if that is not "". On an
// error nothing has changed.
func (l *Live) Reload(next []*Policy, fallback string) ([]Carried, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	names, err := namesOf(next)
	if err != nil {
		return nil, err
	}
	if fallback != "" && !slices.Contains(names, fallback) {
		return nil, fmt.Errorf("engine: the fallback policy %q is not in the set", fallback)
	}
	revisions, carried, err := l.migrate(next)
	if err != nil {
		return nil, err
	}
	if l.handles == nil {
		l.handles = map[string]*Policy{}
	}
	for i, p := range next {
		if handle := l.handles[p.name]; handle != nil {
			handle.current.Store(revisions[i])
		} else {
			p.current.Store(revisions[i])
			l.handles[p.name] = p
		}
	}
	l.names = names
	l.remove(fallback)
	return carried, nil
}

func namesOf(policies []*Policy) ([]string, error) {
	var names []string
	for _, p := range policies {
		if slices.Contains(names, p.name) {
			return nil, fmt.Errorf("engine: two policies are called %q", p.name)
		}
		names = append(names, p.name)
	}
	return names, nil
}

// migrate makes the revisions of the next set, with the memory of this one.
func (l *Live) migrate(next []*Policy) ([]*revision, []Carried, error) {
	revisions := make([]*revision, len(next))
	before := make([]*revision, len(next)) // nil for policies that are new
	breakers, budgets := claims[*Breaker]{}, claims[*Budget]{}
	for i, p := range next {
		own := *p.current.Load()
		revisions[i] = &own
		had := &Spec{}
		if handle := l.handles[p.name]; handle != nil {
			before[i] = handle.current.Load().last()
			had = &before[i].spec
		}
		breakers.add(own.spec.Breaker, p.name, had.Breaker)
		budgets.add(own.spec.Budget, p.name, had.Budget)
	}
	if err := errors.Join(breakers.check(), budgets.check()); err != nil {
		return nil, nil, err
	}
	keptBreakers, carried := l.breakers.carry(breakers)
	keptBudgets, more := l.budgets.carry(budgets)
	carried = append(carried, more...)
	for i, r := range revisions {
		r.spec.Breaker, r.spec.Budget = keptBreakers[r.spec.Breaker], keptBudgets[r.spec.Budget]
		if before[i] != nil {
			r.counters = before[i].counters
			carried = append(carried, r.relearn(before[i])...)
		}
	}
	return revisions, carried, nil
}

// remove has the handles of policies that the set does not have refuse, or follow the
// fallback policy.
func (l *Live) remove(fallback string) {
	for name, handle := range l.handles {
		if slices.Contains(l.names, name) {
			continue
		}
		was := handle.current.Load().last()
		instead := *was
		if fallback != "" {
			instead = *l.handles[fallback].current.Load()
			instead.spec.Revision = fallback + "@" + instead.spec.Revision
		} else {
			instead.spec.Mode, instead.spec.MaxAttempts, instead.spec.Breaker, instead.spec.Budget = Enforce, 0, nil, nil
		}
		instead.spec.Name, instead.counters, instead.removed = name, was.counters, was
		handle.current.Store(&instead)
	}
}

// last returns the last revision that was the policy's own.
func (r *revision) last() *revision {
	if r.removed != nil {
		return r.removed
	}
	return r
}

// relearn has adaptive strategies inherit from those of the revision before. All those
// of a policy are told of the same attempts, so that the one with the nearest window
// knows most; each is taken over once, and copied for others.
func (r *revision) relearn(before *revision) (carried []Carried) {
	old, taken := adaptives(before), map[*Adaptive]bool{}
	for _, a := range adaptives(r) {
		if len(old) == 0 || slices.Contains(old, a) {
			continue
		}
		nearest := slices.MinFunc(old, func(x, y *Adaptive) int {
			return cmp.Compare((x.part() - a.part()).Abs(), (y.part() - a.part()).Abs())
		})
		c := a.inherit(nearest, taken[nearest])
		taken[nearest] = true
		c.Name = r.spec.Name
		carried = append(carried, c)
	}
	if len(old) > 0 && len(adaptives(r)) == 0 {
		carried = append(carried, Carried{"adaptive", r.spec.Name, Reset, "the policy has no adaptive strategy any more"})
	}
	return carried
}

func adaptives(r *revision) (all []*Adaptive) {
	for _, l := range r.learners {
		if a, ok := l.(*Adaptive); ok {
			all = append(all, a)
		}
	}
	return all
}

// A CarriedHow says what became of live state.
type CarriedHow uint8

// What a reload does with what calls share.
const (
	Kept    CarriedHow = iota // with the settings it had
	Resized                   // kept, under other settings
	Reset                     // forgotten; the note says why
)

var carriedNames = [...]string{"kept", "resized", "reset"}

// String returns "kept", "resized" or "reset".
func (h CarriedHow) String() string {
	if int(h) < len(carriedNames) {
		return carriedNames[h]
	}
	return fmt.Sprintf("CarriedHow(%d)", uint8(h))
}

// MarshalText writes what String returns.
func (h CarriedHow) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// A Carried tells what a reload did with one thing that calls share.
type Carried struct {
	What string     `json:"what"` // "circuit_breaker", "budget" or "adaptive"
	Name string     `json:"name"` // of an adaptive strategy, the policy's
	How  CarriedHow `json:"how"`
	Note string     `json:"note,omitempty"` // what changed, or why; made of names and settings alone
}

// String is `budget payments: resized: max_retries 20 to 40`.
func (c Carried) String() string {
	text := fmt.Sprintf("%s %s: %v", c.What, c.Name, c.How)
	if c.Note != "" {
		text += ": " + c.Note
	}
	return text
}

// changes collects settings that differ, in words.
type changes []string

func (c *changes) add(setting string, was, is any) {
	if before, after := fmt.Sprint(was), fmt.Sprint(is); before != after {
		*c = append(*c, fmt.Sprintf("%s %s to %s", setting, before, after))
	}
}

func (c changes) carried(what, name string) Carried {
	if len(c) == 0 {
		return Carried{What: what, Name: name, How: Kept}
	}
	return Carried{What: what, Name: name, How: Resized, Note: strings.Join(c, ", ")}
}

// stateful is what breakers and budgets have in common.
type stateful[T any] interface {
	comparable
	Name() string
	what() string
	become(as T) Carried // Reconfigure as one that has been checked
	inherit(from []T)
}

func (b *Breaker) what() string { return "circuit_breaker" }

func (b *Breaker) become(as *Breaker) Carried {
	c, _ := b.Reconfigure(as.Spec())
	return c
}

func (b *Budget) what() string { return "budget" }

func (b *Budget) become(as *Budget) Carried {
	c, _ := b.Reconfigure(as.Spec())
	return c
}

// A stateKey names a breaker or budget over reloads. One that a policy of the same name
// has alone is told apart from one that others may share.
type stateKey struct {
	name string
	own  bool
}

func (k stateKey) compare(other stateKey) int {
	return cmp.Or(strings.Compare(k.name, other.name), cmp.Compare(fmt.Sprint(k.own), fmt.Sprint(other.own)))
}

// A claim is a breaker or budget of the next set, with what its policies have now.
type claim[T stateful[T]] struct {
	fresh  T
	users  []string
	before []T
}

func (c *claim[T]) key() stateKey {
	switch name := c.fresh.Name(); {
	case name == "":
		return stateKey{c.users[0], true}
	default:
		return stateKey{name, len(c.users) == 1 && c.users[0] == name}
	}
}

type claims[T stateful[T]] []*claim[T]

func (c *claims[T]) add(fresh T, user string, before T) {
	var none T
	if fresh == none {
		return
	}
	i := slices.IndexFunc(*c, func(other *claim[T]) bool { return other.fresh == fresh })
	if i < 0 {
		i = len(*c)
		*c = append(*c, &claim[T]{fresh: fresh})
	}
	one := (*c)[i]
	one.users = append(one.users, user)
	if before != none && !slices.Contains(one.before, before) {
		one.before = append(one.before, before)
	}
}

// check refuses two of the same name, which could not be told apart after the next
// reload.
func (c claims[T]) check() error {
	seen := map[stateKey]bool{}
	for _, one := range c {
		if seen[one.key()] {
			return fmt.Errorf("engine: two of the kind %s are called %q", one.fresh.what(), one.key().name)
		}
		seen[one.key()] = true
	}
	return nil
}

// A keeper holds breakers or budgets by name.
type keeper[T stateful[T]] struct {
	held    map[stateKey]T
	retired []stateKey // those that no policy has now, the longest first
}

// maxRetired bounds how many breakers, and how many budgets, are kept that no policy has.
const maxRetired = 256

// carry finds what each claim goes on with: what is held by its name, or what is new
// and inherits from what its policies have now.
func (k *keeper[T]) carry(all claims[T]) (kept map[T]T, carried []Carried) {
	claimed := map[stateKey]bool{}
	for _, c := range all {
		claimed[c.key()] = true
	}
	kept = map[T]T{}
	held := map[stateKey]T{}
	for _, c := range all {
		from, known := k.find(c, claimed)
		if !known {
			from = c.fresh
		}
		if !known || slices.Contains(k.retired, c.key()) {
			others := slices.DeleteFunc(c.before, func(b T) bool { return b == from })
			from.inherit(others)
			if len(others) > 0 {
				carried = append(carried, Carried{from.what(), from.Name(), Kept, "takes over from " + joinNames(others)})
			}
		}
		if known {
			carried = append(carried, from.become(c.fresh))
		}
		kept[c.fresh], held[c.key()] = from, from
	}
	return kept, append(carried, k.retire(held)...)
}

// find looks for what is held by the name of a claim. What a policy had alone is found
// when others begin to share it by the same name, and the reverse.
func (k *keeper[T]) find(c *claim[T], claimed map[stateKey]bool) (found T, ok bool) {
	key := c.key()
	if found, ok = k.held[key]; ok && found.Name() == c.fresh.Name() {
		return found, true
	}
	other := stateKey{key.name, !key.own}
	if found, ok = k.held[other]; ok && !claimed[other] && found.Name() == c.fresh.Name() {
		delete(k.held, other)
		return found, true
	}
	return found, false
}

// retire goes on with what is held now, and keeps the rest as long as there is room.
func (k *keeper[T]) retire(held map[stateKey]T) (carried []Carried) {
	k.retired = slices.DeleteFunc(k.retired, func(key stateKey) bool {
		_, back := held[key]
		_, there := k.held[key]
		return back || !there
	})
	for _, key := range slices.SortedFunc(maps.Keys(k.held), stateKey.compare) {
		if _, used := held[key]; used {
			continue
		}
		held[key] = k.held[key]
		if !slices.Contains(k.retired, key) {
			k.retired = append(k.retired, key)
			carried = append(carried, Carried{held[key].what(), key.name, Kept, "no policy has it now; it is kept for its return"})
		}
	}
	for ; len(k.retired) > maxRetired; k.retired = k.retired[1:] {
		key := k.retired[0]
		carried = append(carried, Carried{held[key].what(), key.name, Reset, fmt.Sprintf("more than %d are kept that no policy has", maxRetired)})
		delete(held, key)
	}
	k.held = held
	return carried
}

func joinNames[T stateful[T]](all []T) string {
	var names []string
	for _, one := range all {
		names = append(names, one.Name())
	}
	return strings.Join(names, ", ")
}
