package redress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

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
	refused  refused       // what was reported last; zero if the source is good

	mu      sync.Mutex
	status  Status // guarded by mu, like all below
	origins map[string][]Origin
	expires time.Time // accepted.until, for who waits for it
}

// accepted is what the set was made of.
type accepted struct {
	snapshot  Snapshot
	digest    string
	documents documents
	until     time.Time // when an override of it expires; zero if none will
}

// over reports whether an override has expired meanwhile.
func (a accepted) over(now time.Time) bool { return !a.until.IsZero() && !now.Before(a.until) }

// refused is what the set could not be made of.
type refused struct {
	said  string    // see said
	until time.Time // when an override of it expires, and it may be good; zero if none will
}

func (r refused) over(now time.Time) bool { return !r.until.IsZero() && !now.Before(r.until) }

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
	events, err := s.refresh(ctx)
	s.tell(ctx, events)
	if err != nil {
		return fmt.Errorf("redress: %w", err)
	}
	return nil
}

// follow looks at the source until ctx ends.
func (s *LiveSet) follow(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(s.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-timer.C:
		}
		events, _ := s.refresh(ctx)
		s.tell(ctx, events)
		timer.Reset(s.pause())
	}
}

// pause is how long to wait for the next regular look, which is no later than the expiry
// of an override.
func (s *LiveSet) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := time.Until(s.expires); left > 0 {
		return min(left, s.options.interval)
	}
	return s.options.interval
}

// listen has the source tell of changes.
func (s *LiveSet) listen(ctx context.Context, source Notifier, changed chan<- struct{}) {
	err := notify(ctx, source, func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = errors.New("the source stopped telling of changes")
	}
	s.note(func(status *Status) { status.Notify = err })
}

// notify is Notify of a source, whose panic ends no program.
func notify(ctx context.Context, source Notifier, changed func()) (err error) {
	defer contain(&err)
	return source.Notify(ctx, changed)
}

// read is Read of the source, whose panic ends no program.
func (s *LiveSet) read(ctx context.Context) (snapshot Snapshot, err error) {
	defer contain(&err)
	return s.source.Read(ctx)
}

// contain makes an error of a panic. It is to be deferred.
func contain(err *error) {
	if v := recover(); v != nil {
		*err = fmt.Errorf("the source panicked: %v", v)
	}
}

// refresh reads the source and takes what it has if that is good. The events are to be
// told; there are none if there is nothing new.
func (s *LiveSet) refresh(ctx context.Context) (events []*Event, err error) {
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
	if s.accepted.over(now) { // whatever the source has now
		events, _ = s.take(s.accepted.snapshot, nil, now) // a failure is told; the source may have better
	}
	told, err := s.take(snapshot, err, now)
	return append(events, told...), err
}

// take takes what the source had, unless that is nothing new.
func (s *LiveSet) take(snapshot Snapshot, err error, now time.Time) (told []*Event, _ error) {
	what := said(snapshot, err)
	switch {
	case err != nil:
		return s.refuse(snapshot, refused{said: what}, err, now)
	case what == s.accepted.digest && !s.accepted.over(now):
		s.refused = refused{}
		s.note(func(status *Status) { status.Err = nil })
		return nil, nil
	case what == s.refused.said && !s.refused.over(now):
		return nil, s.Status().Err
	}
	event, until, err := s.accept(snapshot, what, now)
	if err != nil {
		return s.refuse(snapshot, refused{what, until}, err, now)
	}
	if event != nil {
		told = append(told, event)
	}
	return told, nil
}

// refuse notes that the source has something that the set cannot take.
func (s *LiveSet) refuse(snapshot Snapshot, what refused, err error, now time.Time) ([]*Event, error) {
	again := s.refused.said == what.said
	s.refused = what
	s.note(func(status *Status) { status.Err = err })
	if again {
		return nil, err
	}
	told := &engine.Reload{OldRevision: s.accepted.digest, From: snapshot.From, Version: snapshot.Version, By: snapshot.By}
	if len(snapshot.Files) > 0 {
		told.NewRevision = snapshot.digest()
	}
	return []*Event{{Kind: engine.EventPolicyReloadFailed, Time: now, Revision: s.accepted.digest, Note: "the set stays as it was", Err: err, Reload: told}}, err
}

// accept makes the set of the snapshot. Of one that cannot be, until is when that may
// change by itself.
func (s *LiveSet) accept(snapshot Snapshot, digest string, now time.Time) (event *Event, until time.Time, err error) {
	options := s.options.load
	options.Now = now
	next, until, err := compose(snapshot, options)
	if err != nil {
		return nil, until, err
	}
	fallback, err := s.fallback(next)
	if err != nil {
		return nil, until, err
	}
	carried, err := s.live.Reload(next.policies, fallback)
	if err != nil {
		return nil, until, err
	}
	var handles []*Policy
	for _, name := range s.live.Names() {
		p, _ := s.live.Policy(name)
		handles = append(handles, p)
	}
	s.Set.view.Store(&view{catalog.New(handles), next.warnings, fallback})
	before := s.accepted
	s.accepted, s.refused = accepted{snapshot, digest, next.documents, until}, refused{}
	s.note(func(status *Status) {
		status.Revision, status.Loaded, status.Err = digest, now, nil
		status.From, status.Version, status.By = snapshot.From, snapshot.Version, snapshot.By
		s.origins, s.expires = next.origins, until
	})
	if before.digest == "" {
		return nil, until, nil // the first load is no reload
	}
	told := &engine.Reload{
		OldRevision: before.digest, NewRevision: digest, From: snapshot.From, Version: snapshot.Version, By: snapshot.By,
		FallbackPolicy: fallback, Changes: before.documents.changes(s.accepted.documents), Carried: carried,
	}
	return &Event{Kind: engine.EventPolicyReloaded, Time: now, Revision: digest, Note: told.Summary(), Reload: told}, until, nil
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

// maxReads is how often a source may say something else before that is an error.
const maxReads = 50

// settled reads the source until it has said the same twice, or says nothing new. That it
// cannot be read twice is the same, whatever it says of it.
func (s *LiveSet) settled(ctx context.Context) (Snapshot, error) {
	last, err := s.read(ctx)
	for range maxReads {
		what := said(last, err)
		if last.Whole || what == s.accepted.digest || what == s.refused.said || s.accepted.digest == "" && err == nil {
			return last, err
		}
		select {
		case <-ctx.Done():
			return last, err
		case <-time.After(s.options.settle):
		}
		next, failed := s.read(ctx)
		if err != nil && failed != nil || said(next, failed) == what {
			return next, failed
		}
		last, err = next, failed
	}
	return Snapshot{From: last.From}, fmt.Errorf("the source does not settle: in %d reads it never said the same twice", maxReads)
}

// said tells apart what a source has. Of an error the words count and no numbers: ports
// and times differ with each failure.
func said(s Snapshot, err error) string {
	if err == nil {
		return s.digest()
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}

func (s *LiveSet) note(f func(*Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// tell tells the set's observer.
func (s *LiveSet) tell(ctx context.Context, events []*Event) {
	if o := s.options.load.Observer; o != nil {
		for _, e := range events {
			tellOf(ctx, o, e)
		}
	}
}

// tellOf tells an observer of one event. Its panic changes nothing.
func tellOf(ctx context.Context, o Observer, e *Event) {
	defer func() { _ = recover() }()
	Observers(o).Observe(ctx, *e) // if it wants it
}
