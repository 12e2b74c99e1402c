package engine

import (
	"slices"
	"time"
)

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

// adopt makes room for offsets of another epoch, and returns what must be added to
// them. An epoch that has not begun begins as the other did.
func (e *epoch) adopt(other *epoch) (shift time.Duration) {
	if !e.began {
		*e = *other
		return 0
	}
	shift = other.zero.Sub(e.zero)
	e.latest = max(e.latest, other.latest+shift)
	return shift
}

// A ring holds the last moments, oldest first: as many as it has ever been asked for.
// That is all it takes to tell whether so many of them lie within a window, also after
// the number has been lowered and raised again. It grows as needed.
type ring struct {
	moments  []time.Duration
	oldest   int // index, once capacity is reached
	capacity int
}

func (r *ring) add(at time.Duration) {
	if len(r.moments) < r.capacity {
		r.moments = append(r.moments, at)
		return
	}
	if r.capacity > 0 {
		r.moments[r.oldest] = at
		r.oldest = r.around(r.oldest + 1)
	}
}

// around is the index that follows the last one by as much as i does. A division takes
// longer than all else that is done here.
func (r *ring) around(i int) int {
	if held := len(r.moments); i >= held {
		return i - held
	}
	return i
}

// full reports whether the last n moments are all less than window old.
func (r *ring) full(n int, at, window time.Duration) bool {
	held := len(r.moments)
	return n == 0 || held >= n && at-r.moments[r.around(r.oldest+held-n)] < window
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

// grow has the ring keep n moments at least. Those that it holds stay.
func (r *ring) grow(n int) {
	if n > r.capacity {
		r.moments, r.oldest, r.capacity = r.sorted(), 0, n
	}
}

// sorted returns the moments in a slice of their own, oldest first.
func (r *ring) sorted() []time.Duration {
	return slices.Concat(r.moments[r.oldest:], r.moments[:r.oldest])
}

// clone returns a ring of its own that holds the same.
func (r *ring) clone() ring { return ring{moments: r.sorted(), capacity: r.capacity} }

// merge adds the moments of another ring, to whose offsets shift is added. If there are
// more than there is room for, the newest stay.
func (r *ring) merge(other *ring, shift time.Duration) {
	r.grow(other.capacity)
	all := r.sorted()
	for _, m := range other.moments {
		all = append(all, m+shift)
	}
	slices.Sort(all)
	r.moments, r.oldest = all[max(len(all)-r.capacity, 0):], 0
}

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

// resize divides the same time anew. What a part counted goes to where the part ended,
// so that nothing leaves earlier than it would have.
func (t *tally) resize(from, to time.Duration) {
	old := *t
	t.parts, t.latest = [tallyParts]struct{ good, bad uint32 }{}, int64(t.epoch.latest/to)
	for number := max(old.latest-tallyParts+1, 0); number <= old.latest; number++ {
		ended := min(time.Duration(number+1)*from-1, t.epoch.latest)
		if into := int64(ended / to); into > t.latest-tallyParts {
			was, p := old.parts[number%tallyParts], &t.parts[into%tallyParts]
			p.good += was.good
			p.bad += was.bad
		}
	}
}
