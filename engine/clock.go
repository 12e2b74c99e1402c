package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// A Clock is where a call gets its time. Calls read the system's clock unless
// [WithClock] says otherwise; tests and simulators bring a virtual one. A Clock must
// be safe for use by many goroutines, and must not panic. It may run backwards: the
// time of a call then stands still, and what it was set back by is made good.
type Clock interface {
	Now() time.Time
	// Sleep waits for d, or until ctx ends; then it returns ctx's error. If it returns
	// nil, d counts as passed, whatever Now says. It is not called with a d of zero or
	// less.
	Sleep(ctx context.Context, d time.Duration) error
}

// systemClock is the real time.
type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func systemRand() float64 { return rand.Float64() }
