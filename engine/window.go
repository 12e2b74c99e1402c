package engine

import "time"

// The types of this file remember what happened lately. They know no clock and have
// no lock. Time given to them never runs backwards: an earlier time counts as the
// latest seen, which keeps their order true on clocks that step.

// A timeline of moments is kept as offsets from the first, eight bytes each.
type epoch struct {
	zero   time.Time
	latest time.Duration
	began  bool
}

// at places now after everything seen before.
func (e *epoch) at(now time.Time) time.Duration {
	if !e.began {
		e.began, e.zero = true, now
	}
	e.latest = max(e.latest, now.Sub(e.zero))
	return e.latest
}

// A ring holds the last size moments, oldest first. That is all it takes to tell
// whether size of them lie within a window. It grows as needed.
type ring struct {
	moments []time.Duration
	oldest  int // index, once the ring is full
	size    int
}

func (r *ring) add(at time.Duration) {
	if len(r.moments) < r.size {
		r.moments = append(r.moments, at)
		return
	}
	r.moments[r.oldest] = at
	r.oldest = (r.oldest + 1) % r.size
}

// full reports whether size moments are less than window old.
func (r *ring) full(at, window time.Duration) bool {
	return len(r.moments) == r.size && (r.size == 0 || at-r.moments[r.oldest] < window)
}

// count returns how many moments are less than window old.
func (r *ring) count(at, window time.Duration) int {
	n := 0
	for _, m := range r.moments {
		if at-m < window {
			n++
		}
	}
	return n
}

func (r *ring) clear() { r.moments, r.oldest = r.moments[:0], 0 }

// tallyParts is into how many parts a tally divides its window.
const tallyParts = 60

// A tally counts good and bad over a window that it divides into parts: its size
// does not depend on how much happens.
type tally struct {
	epoch  epoch
	latest int64 // number of the newest part
	parts  [tallyParts]struct{ good, bad uint32 }
}

func (t *tally) add(now time.Time, part time.Duration, good bool) {
	t.advance(now, part)
	p := &t.parts[t.latest%tallyParts]
	if good {
		p.good++
	} else {
		p.bad++
	}
}

// failureRate is in [0, 1], and 0 when nothing happened.
func (t *tally) failureRate(now time.Time, part time.Duration) float64 {
	t.advance(now, part)
	var good, bad uint64
	for _, p := range t.parts {
		good += uint64(p.good)
		bad += uint64(p.bad)
	}
	if bad == 0 {
		return 0
	}
	return float64(bad) / float64(good+bad)
}

// advance empties the parts that lie between the newest and the one of now.
func (t *tally) advance(now time.Time, part time.Duration) {
	number := int64(t.epoch.at(now) / part)
	for i := max(t.latest, number-tallyParts) + 1; i <= number; i++ {
		t.parts[i%tallyParts] = struct{ good, bad uint32 }{}
	}
	t.latest = number
}
