package engine

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
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

// started is some moment of this process.
var started = time.Now()

// A reading is of both clocks of the system, the wall's and the monotonic one.
type reading struct {
	time time.Time
	at   time.Duration // since the process started
}

var lastReading atomic.Pointer[reading]

// lately returns a reading that is less than a second old, and how old it is. Reading the
// monotonic clock alone takes half as long, and is all that durations need. What the wall
// clock is set by is missed for that second.
func lately() (r *reading, age time.Duration) {
	if r = lastReading.Load(); r != nil {
		if age = time.Since(r.time); 0 <= age && age < time.Second {
			return r, age
		}
	}
	now := time.Now()
	r = &reading{now, now.Sub(started)}
	lastReading.Store(r)
	return r, 0
}

// A moment is a time of a call: the time of its beginning, and what has passed since.
type moment struct {
	zero time.Time
	at   time.Duration
}

// now is the moment as a time. It is not known if zero is not.
func (m *moment) now() time.Time { return m.zero.Add(m.at) }

func systemRand() float64 { return rand.Float64() }
