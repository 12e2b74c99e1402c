package redress_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// soakFor is how long the soak test goes on: a few seconds, or what REDRESS_SOAK says
// ("5m").
func soakFor(t *testing.T) time.Duration {
	text := os.Getenv("REDRESS_SOAK")
	if text == "" {
		return 2 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A soaked folder is one to whose files everything is done that can be done to files.
type soaked struct {
	t      *testing.T
	folder string
	random *rand.Rand
	n      int
}

// text is a policy with numbers that change, none of which closes the breaker or refills
// the budget. No part of it is a policy.
func (s *soaked) text(name string) string {
	return fmt.Sprintf(`{apiVersion: redress/v1, kind: Policy, name: %s,
 classify: [{id: down, when: err.code == "DOWN" || err.code == "%d", class: SERVER_ERROR}, {use: std.default}],
 retry: {max_attempts: %d, strategy: %s, budget: {max_retries: %d, window: 24h}},
 circuit_breaker: {failure_threshold: %d, recovery_timeout: %dh, window: %dh}}
`, name, s.n, 2+s.random.IntN(4), []string{"immediate", "{adaptive: {immediate: {}}}"}[s.random.IntN(2)],
		40+s.random.IntN(20), 1+s.random.IntN(9), 10+s.random.IntN(5), 1+s.random.IntN(20))
}

func (s *soaked) must(err error) {
	if err != nil {
		s.t.Error(err)
	}
}

func (s *soaked) path(name string) string { return filepath.Join(s.folder, name) }

// step does one thing to one file.
func (s *soaked) step() {
	s.n++
	name := []string{"steady", "open", "spent"}[s.random.IntN(3)]
	path, text := s.path(name+".yaml"), []byte(s.text(name))
	over := func(text []byte) {
		s.must(os.WriteFile(s.path("new"), text, 0o644))
		s.must(os.Rename(s.path("new"), path))
	}
	switch s.random.IntN(16) {
	case 0: // written by halves, the first of which may be a whole document
		half := s.random.IntN(len(text))
		s.must(os.WriteFile(path, text[:half], 0o644))
		runtime.Gosched()
		s.must(os.WriteFile(path, text, 0o644))
	case 1:
		s.must(os.WriteFile(path, text[:s.random.IntN(len(text))], 0o644))
	case 2:
		over([]byte("kind: Polcy\n"))
	case 3:
		if name != "steady" {
			_ = os.Remove(path) // it may have gone before
		}
	case 4: // a link that is swapped
		target := fmt.Sprintf("..%s-%d", name, s.n%2)
		s.must(os.WriteFile(s.path(target), text, 0o644))
		_ = os.Remove(s.path("link"))
		s.must(os.Symlink(target, s.path("link")))
		s.must(os.Rename(s.path("link"), path))
	case 5: // calls of policies that are gone run under another
		s.must(os.WriteFile(s.path("set.yaml"), []byte(setOf("soaked", "steady")), 0o644))
	case 6:
		_ = os.Remove(s.path("set.yaml"))
	default:
		over(text)
	}
}

// fellBack reports whether a call ran under the fallback policy, of which the set says
// now and then that there is one.
func fellBack(o redress.Outcome[int]) bool { return strings.HasPrefix(o.Revision, "steady@") }

// TestSoakReloadsUnderLoadLoseNothing reloads hundreds of times, good and bad, while
// calls are made.
func TestSoakReloadsUnderLoadLoseNothing(t *testing.T) {
	s := &soaked{t: t, folder: t.TempDir(), random: rand.New(rand.NewPCG(1, 2))}
	for _, name := range []string{"steady", "open", "spent"} {
		s.must(os.WriteFile(s.path(name+".yaml"), []byte(s.text(name)), 0o644))
	}
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reloaded, refused atomic.Int64
	set, err := redress.Watch(ctx, redress.Dir(s.folder), redress.Every(time.Millisecond), redress.Settle(time.Millisecond), redress.WithPolicyObserver(redress.ObserverFunc(func(_ context.Context, e redress.Event) {
		switch e.Kind {
		case engine.EventPolicyReloaded:
			reloaded.Add(1)
		case engine.EventPolicyReloadFailed:
			refused.Add(1)
		}
	})))
	if err != nil {
		t.Fatal(err)
	}
	steady, open, spent := set.MustPolicy("steady"), set.MustPolicy("open"), set.MustPolicy("spent")
	busy := redress.RateLimited(errors.New("busy"), 0) // opens no breaker
	down := redress.ServerFault(errors.New("down"))
	for range 10 {
		redress.Execute(ctx, open, func(context.Context) (int, error) { return 0, down })
	}

	stop := make(chan struct{})
	var retries, calls, fallbacks atomic.Int64
	var group sync.WaitGroup
	load := func(call func()) {
		group.Go(func() {
			pace := time.NewTicker(time.Millisecond)
			defer pace.Stop()
			for {
				select {
				case <-stop:
					return
				case <-pace.C:
					for range 20 {
						call()
						calls.Add(1)
					}
				}
			}
		})
	}
	load(func() {
		o := redress.Execute(ctx, steady, func(context.Context) (int, error) { return 1, nil }, redress.WithTimeline())
		if !o.OK {
			t.Errorf("dropped: %s", o.Explain())
		}
		for _, e := range o.Timeline {
			if e.Revision != o.Revision {
				t.Errorf("a call of revisions %s and %s", o.Revision, e.Revision)
			}
		}
	})
	load(func() {
		o := redress.Execute(ctx, open, func(context.Context) (int, error) { return 1, nil })
		if fellBack(o) {
			fallbacks.Add(1)
		} else if o.Reason != redress.CircuitOpen && !errors.Is(o.LastErr, redress.ErrPolicyRemoved) {
			t.Errorf("the open breaker: %s", o.Explain())
		}
	})
	load(func() {
		o := redress.Execute(ctx, spent, func(context.Context) (int, error) { return 0, busy })
		if o.Attempts == 0 && !errors.Is(o.LastErr, redress.ErrPolicyRemoved) {
			t.Errorf("dropped: %s", o.Explain())
		}
		if !fellBack(o) {
			retries.Add(int64(max(o.Attempts-1, 0)))
		}
	})

	end := time.Now().Add(soakFor(t))
	late := end.Add(2 * time.Minute) // under the race detector, on a busy machine
	pace := time.NewTicker(2 * time.Millisecond)
	defer pace.Stop()
	for now := range pace.C {
		if enough := reloaded.Load() >= 100 && refused.Load() >= 20 && fallbacks.Load() > 0; now.After(end) && enough {
			break
		}
		if now.After(late) {
			t.Errorf("only %d reloads, %d refused, and %d calls under the fallback policy", reloaded.Load(), refused.Load(), fallbacks.Load())
			break
		}
		s.step()
	}
	for _, name := range []string{"steady", "open", "spent"} {
		s.must(os.WriteFile(s.path(name+".yaml"), []byte(s.text(name)), 0o644))
	}
	s.must(set.Reload(ctx))
	close(stop)
	group.Wait()
	if open.Breaker().State() != engine.Open {
		t.Error("a reload closed the open breaker")
	}
	if n := retries.Load(); n < 1 || n > 59 {
		t.Errorf("%d retries of a budget of at most 59", n)
	}
	t.Logf("%d calls, %d of them under the fallback policy, %d reloads, %d refused", calls.Load(), fallbacks.Load(), reloaded.Load(), refused.Load())
	cancel()
	await(t, "goroutines and descriptors are given back", func() bool {
		return runtime.NumGoroutine() <= goroutines && openDescriptors() <= descriptors
	})
}

// openDescriptors counts this process's files, where the system tells; else 0.
func openDescriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Errorf("not in time: %s", what)
			return
		}
	}
}
