package proof

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/redress-policy/redress"
)

// A Follower is a live set over a source under test. It looks at the source once an
// hour, so that it learns of changes in no other way than by being told.
type Follower struct {
	*redress.LiveSet
	t       testing.TB
	put     func(name, text string)
	stopped chan struct{} // closed when the source tells no more

	mu      sync.Mutex
	refused int // guarded by mu
}

// Follow puts a first policy into the source's place and watches the source until the
// test ends. The source must be a [redress.Notifier].
func Follow(t testing.TB, source redress.Source, put func(name, text string), opts ...redress.WatchOption) *Follower {
	t.Helper()
	f := &Follower{t: t, put: put, stopped: make(chan struct{})}
	put("p.yaml", attemptsPolicy(1))
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	all := append([]redress.WatchOption{redress.Every(time.Hour), redress.Settle(10 * time.Millisecond), redress.WithPolicyObserver(f)}, opts...)
	set, err := redress.Watch(ctx, followed{source, f.stopped}, all...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); <-f.stopped })
	f.LiveSet = set
	return f
}

// followed is a source of which one can tell when it has stopped telling.
type followed struct {
	redress.Source
	stopped chan struct{}
}

// Notify implements redress.Notifier.
func (f followed) Notify(ctx context.Context, changed func()) error {
	defer close(f.stopped)
	return f.Source.(redress.Notifier).Notify(ctx, changed)
}

// Observe implements redress.Observer.
func (f *Follower) Observe(_ context.Context, e redress.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Kind.String() == "policy_reload_failed" {
		f.refused++
	}
}

// Refused is how many reloads have been reported as failed.
func (f *Follower) Refused() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

func attemptsPolicy(attempts int) string {
	return fmt.Sprintf("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify: [{use: std.marker}]\nretry: {max_attempts: %d, strategy: immediate}\n", attempts)
}

// Attempts is how often the policy tries what fails for a while.
func (f *Follower) Attempts() int {
	p := f.MustPolicy("p")
	return redress.Execute(context.Background(), p, func(context.Context) (int, error) { return 0, redress.Transient(errors.New("down")) }).Attempts
}

// Put edits the policy, for it to make so many attempts.
func (f *Follower) Put(attempts int) { f.put("p.yaml", attemptsPolicy(attempts)) }

// Edit edits the policy and waits until calls obey.
func (f *Follower) Edit(attempts int) {
	f.t.Helper()
	f.Put(attempts)
	f.Await(fmt.Sprintf("%d attempts", attempts), func() bool { return f.Attempts() == attempts && f.Status().Err == nil })
}

// BreakAndMend makes an edit that does not load, and one that does.
func (f *Follower) BreakAndMend() {
	f.t.Helper()
	f.Edit(3)
	before := f.Refused()
	f.put("p.yaml", "apiVersion: redress/v1\nkind: Policy\nname: p\nclassify: [{use: std.nothing}]\n")
	f.Await("the bad edit is reported", func() bool { return f.Refused() > before && f.Status().Err != nil })
	if got := f.Attempts(); got != 3 {
		f.t.Errorf("%d attempts after a bad edit, want 3 as before", got)
	}
	f.Edit(2)
}

// Await waits until a condition of something outside of this process holds.
func (f *Follower) Await(what string, holds func() bool) {
	f.t.Helper()
	Await(f.t, what, holds)
}

// Await waits until a condition of something outside of this process holds.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.NewTimer(30*time.Second)
	defer tick.Stop()
	defer late.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("in vain: %s", what)
		}
	}
}
