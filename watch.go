package redress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/catalog"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// A LiveSet is a [Set] that follows a source. The handles that it gives out follow too:
// a call finishes on the revision on which it began, and the next one begins on the new
// one. Breakers, budgets and whatever else calls share keep what they know; see
// [engine.Live] for how. It is safe for use by many goroutines.
type LiveSet struct {
	*Set
	source   Source
	options  watching
	live     engine.Live
	turn     chan struct{} // held by who reads the source
	accepted accepted      // of who has the turn, like refused
	refused  string        // digest or error that was reported last; "" if the source is good

	mu      sync.Mutex
	status  Status // guarded by mu, like origins
	origins map[string][]Origin
}

// accepted is what the set was made of.
type accepted struct {
	digest    string
	documents documents
	until     time.Time // when an override of it expires; zero if none will
}

// over reports whether an override has expired meanwhile.
func (a accepted) over(now time.Time) bool { return !a.until.IsZero() && !now.Before(a.until) }

// A Status says how a live set and its source are.
type Status struct {
	Revision string    // of the whole set: equal files have equal revisions
	Loaded   time.Time // when the set became what it is
	Checked  time.Time // when the source was last read, whether or not it could be
	From     string    // what the source said of it
	Version  string
	By       string
	Err      error // why what the source has now is not what the set has; nil if it is
	Notify   error // why the source no longer tells of changes by itself, if it could
}

// A WatchOption is given to [Watch]. Every [LoadOption] is one.
type WatchOption interface{ watch(*watching) }

type watching struct {
	load     interp.Options
	interval time.Duration
	settle   time.Duration
	fallback string
}

type watchOption func(*watching)

func (o watchOption) watch(w *watching) { o(w) }

func (o LoadOption) watch(w *watching) { o(&w.load) }

// Every sets how often a live set looks at its source: 10 seconds if it is not given.
// A source that tells of changes is looked at as well, for what it may have missed.
func Every(interval time.Duration) WatchOption {
	return watchOption(func(w *watching) { w.interval = interval })
}

// Settle sets how long a changed source must stay the same before it is believed, so
// that files which are being written are not read by half: 200 milliseconds if it is
// not given. Sources that cannot be read by half are believed at once.
func Settle(d time.Duration) WatchOption {
	return watchOption(func(w *watching) { w.settle = d })
}

// FallbackPolicy names the policy under which calls run whose own was removed, for sets
// whose documents do not say: `fallback_policy` of a Set document does. If both do and say
// different names, the set does not load, and a reload to such a set is refused. The policy
// must be in the set, also after every reload. Without one such calls fail with
// [ErrPolicyRemoved].
func FallbackPolicy(name string) WatchOption {
	return watchOption(func(w *watching) { w.fallback = name })
}

// ErrPolicyRemoved is wrapped by errors of calls under a policy that a live set no
// longer has; their reason is ABORTED.
var ErrPolicyRemoved = engine.ErrPolicyRemoved

// Watch loads what source has, and follows it until ctx ends; the set can be used on
// after that. The first load must succeed. Later ones replace the set as a whole or not
// at all: what cannot be read or does not load leaves everything as it was, and the
// source is looked at again.
//
// The observer of [WithPolicyObserver] is told of every reload, with policy_reloaded or
// policy_reload_failed, once for each thing that is wrong; [Event].Reload says what has
// changed and what became of what calls share.
func Watch(ctx context.Context, source Source, opts ...WatchOption) (*LiveSet, error) {
	s := &LiveSet{source: source, Set: &Set{}, turn: make(chan struct{}, 1)}
	s.options = watching{load: interp.Options{Fleet: noFleet{}}, interval: 10 * time.Second, settle: 200 * time.Millisecond}
	for _, o := range opts {
		o.watch(&s.options)
	}
	if s.options.interval <= 0 || s.options.settle < 0 {
		return nil, fmt.Errorf("redress: a source is looked at every %v and settles in %v: neither may be negative, nor the first zero", s.options.interval, s.options.settle)
	}
	if err := load.CheckOptions(s.options.load); err != nil {
		return nil, fmt.Errorf("redress: %w", err)
	}
	if _, err := s.refresh(ctx); err != nil {
		return nil, fmt.Errorf("redress: %w", err)
	}
	changed := make(chan struct{}, 1)
	if n, ok := source.(Notifier); ok {
		go s.listen(ctx, n, changed)
	}
	go s.follow(ctx, changed)
	return s, nil
}

// Status returns how the set and its source are.
func (s *LiveSet) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Origins says of every setting and rule of a policy, and of the documents that it uses, in
// which of the [Layers] it is written and what it stands over there. It is nil if the
// source has no layers, or the set no such policy. What it returns must not be changed.
func (s *LiveSet) Origins(policy string) []Origin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.origins[policy]
}

// Reload looks at the source now, and returns why the set is not what the source has:
// for a signal, or a button. Nil means that it is.
func (s *LiveSet) Reload(ctx context.Context) error {
	event, err := s.refresh(ctx)
	s.tell(ctx, event)
	if err != nil {
		return fmt.Errorf("redress: %w", err)
	}
	return nil
}

// follow looks at the source until ctx ends.
func (s *LiveSet) follow(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(s.options.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		event, _ := s.refresh(ctx)
		s.tell(ctx, event)
		timer.Reset(s.options.interval)
	}
}

// listen has the source tell of changes. Its panic ends no program.
func (s *LiveSet) listen(ctx context.Context, source Notifier, changed chan<- struct{}) {
	err := func() (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("the source panicked: %v", v)
			}
		}()
		return source.Notify(ctx, func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		})
	}()
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = errors.New("the source stopped telling of changes")
	}
	s.note(func(status *Status) { status.Notify = err })
}

// refresh reads the source and takes what it has if that is good. The event is to be
// told; nil if there is nothing new.
func (s *LiveSet) refresh(ctx context.Context) (*Event, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-s.turn }()
	snapshot, err := s.settled(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	now := time.Now()
	s.note(func(status *Status) { status.Checked = now })
	digest := snapshot.digest()
	switch {
	case err == nil && digest == s.accepted.digest && !s.accepted.over(now):
		s.refused = ""
		s.note(func(status *Status) { status.Err = nil })
		return nil, nil
	case err == nil && digest == s.refused:
		return nil, s.Status().Err
	case err != nil:
		return s.refuse(snapshot, err.Error(), err, now)
	}
	told, err := s.accept(snapshot, digest, now)
	if err != nil {
		return s.refuse(snapshot, digest, err, now)
	}
	return told, nil
}

// refuse notes that the source has something that the set cannot take.
func (s *LiveSet) refuse(snapshot Snapshot, what string, err error, now time.Time) (*Event, error) {
	again := s.refused == what
	s.refused = what
	s.note(func(status *Status) { status.Err = err })
	if again {
		return nil, err
	}
	told := &engine.Reload{OldRevision: s.accepted.digest, From: snapshot.From, Version: snapshot.Version, By: snapshot.By}
	if len(snapshot.Files) > 0 {
		told.NewRevision = snapshot.digest()
	}
	return &Event{Kind: engine.EventPolicyReloadFailed, Time: now, Revision: s.accepted.digest, Note: "the set stays as it was", Err: err, Reload: told}, err
}

// accept makes the set of the snapshot.
func (s *LiveSet) accept(snapshot Snapshot, digest string, now time.Time) (*Event, error) {
	options := s.options.load
	options.Now = now
	next, err := compose(snapshot, options)
	if err != nil {
		return nil, err
	}
	fallback, err := s.fallback(next)
	if err != nil {
		return nil, err
	}
	carried, err := s.live.Reload(next.policies, fallback)
	if err != nil {
		return nil, err
	}
	var handles []*Policy
	for _, name := range s.live.Names() {
		p, _ := s.live.Policy(name)
		handles = append(handles, p)
	}
	s.Set.view.Store(&view{catalog.New(handles), next.warnings, fallback})
	before := s.accepted
	s.accepted, s.refused = accepted{digest, next.documents, next.until}, ""
	s.note(func(status *Status) {
		status.Revision, status.Loaded, status.Err = digest, now, nil
		status.From, status.Version, status.By = snapshot.From, snapshot.Version, snapshot.By
		s.origins = next.origins
	})
	if before.digest == "" {
		return nil, nil // the first load is no reload
	}
	told := &engine.Reload{
		OldRevision: before.digest, NewRevision: digest, From: snapshot.From, Version: snapshot.Version, By: snapshot.By,
		FallbackPolicy: fallback, Changes: before.documents.changes(s.accepted.documents), Carried: carried,
	}
	return &Event{Kind: engine.EventPolicyReloaded, Time: now, Revision: digest, Note: told.Summary(), Reload: told}, nil
}

// fallback is the policy that the set or the program names for calls whose own is gone.
func (s *LiveSet) fallback(next *composed) (string, error) {
	said, given := next.fallback, s.options.fallback
	var known []string
	for _, p := range next.policies {
		known = append(known, p.Name())
	}
	switch {
	case said.Set && given != "" && said.V != given:
		text := fmt.Sprintf("fallback_policy is %q, and the program says %q with redress.FallbackPolicy", said.V, given)
		if said.Range.Source == nil {
			return "", errors.New(text)
		}
		return "", dsl.Diagnostics{{Range: said.Range, Code: dsl.CodeContradiction, Message: text, Help: "say it in one place, or the same in both"}}.Err()
	case said.Set:
		return said.V, nil
	case given == "" || slices.Contains(known, given):
		return given, nil
	}
	if near, ok := dsl.Nearest(given, known); ok {
		return "", fmt.Errorf("the fallback policy %q of redress.FallbackPolicy is not in the set; did you mean %q?", given, near)
	}
	return "", fmt.Errorf("the fallback policy %q of redress.FallbackPolicy is not in the set", given)
}

// settled reads the source until it has said the same twice, or says nothing new.
func (s *LiveSet) settled(ctx context.Context) (Snapshot, error) {
	last, err := s.source.Read(ctx)
	for {
		what := said(last, err)
		if last.Whole || what == s.accepted.digest || what == s.refused || s.accepted.digest == "" && err == nil {
			return last, err
		}
		select {
		case <-ctx.Done():
			return last, err
		case <-time.After(s.options.settle):
		}
		next, failed := s.source.Read(ctx)
		if said(next, failed) == what {
			return next, failed
		}
		last, err = next, failed
	}
}

func said(s Snapshot, err error) string {
	if err != nil {
		return err.Error()
	}
	return s.digest()
}

func (s *LiveSet) note(f func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// tell tells the set's observer, whose panic changes nothing.
func (s *LiveSet) tell(ctx context.Context, e *Event) {
	if o := s.options.load.Observer; o != nil && e != nil {
		defer func() { _ = recover() }()
		Observers(o).Observe(ctx, *e) // if it wants it
	}
}
