package redressfleet

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/engine"
)

// This file looks at every state that a small fleet can come into around one breaker, if
// not more than a few things go wrong. All that decides is the code of production: the
// circuits of the engine, the quorums, the exchanges, the store in memory, of which
// TestTheScriptsDecideAsTheMemoryDoes shows that it decides as Redis does. Only the clock
// and the network are made up. From each state everything that can happen is done, and
// what follows is held against the promises of docs/fleet.md. States that differ only in
// what can no longer matter count as one, so that the search ends.
//
// A world cannot be copied, since calls are on their way in it: it is made anew from the
// deeds that led to it.

const beat = time.Second // between exchanges, and the step of time

// exploredSpecs are what a reload may change to. The last is no longer the fleet's.
var exploredSpecs = []engine.BreakerSpec{
	{Name: "c", FailureThreshold: 1, Window: 2 * beat, RecoveryTimeout: beat, ProbeTimeout: beat},
	{Name: "c", FailureThreshold: 2, Window: 2 * beat, RecoveryTimeout: 2 * beat, ProbeTimeout: beat},
	{Name: "c", FailureThreshold: 1, Window: 2 * beat, RecoveryTimeout: beat, ProbeTimeout: beat},
}

const localSpec = 2

// An explored is a world in one state.
type explored struct {
	now      time.Time
	memory   *Memory
	kinds    string // of troubles
	troubles int    // that may still come
	all      []*member
	trail    *deeds
	wrong    []string
}

// A member is an instance, and what must be true of it, kept by other means than its own.
type member struct {
	world   *explored
	name    string
	fleet   *Fleet
	breaker *engine.Breaker
	policy  *engine.Policy
	spec    int // of exploredSpecs
	link    link
	dead    bool
	probe   *flight
	lost    []*flight // that never return

	was      engine.State
	failures []time.Time // that its circuit has counted, as many as it has ever been asked for
	memory   int
	reported time.Time // when the store last heard of it, in this epoch
	answered time.Time // when it last heard of the store
	answer   BreakerAnswer
	tripped  time.Time // when its failures last reached the threshold, or it knew of an open circuit that the store forgot
	voted    bool      // as of reported
	lease    time.Time // until when the store has given it the probe
	won      bool      // a probe with the lease succeeded, and the store does not know
}

// A link is how a member is connected with the store.
type link string

const (
	connected link = "connected"
	cut       link = "cut"  // nothing gets through
	deaf      link = "deaf" // answers do not
)

// A flight is a probe on its way.
type flight struct {
	resume func() (struct{}, bool)
	stop   func()
	cancel func()
	err    error
	began  time.Time
	place  time.Duration // how long it keeps its place
	lease  time.Time     // until when the fleet sends no other; zero for a probe of the member's own
	epoch  string
}

// deeds are what was done, the last first.
type deeds struct {
	deed
	before *deeds
}

// A deed is something that can be done in a world.
type deed struct {
	what string
	do   func(e *explored)
}

func (d *deeds) list() (all []deed) {
	for ; d != nil; d = d.before {
		all = append(all, d.deed)
	}
	slices.Reverse(all)
	return all
}

func (d *deeds) String() string {
	var all []string
	for _, one := range d.list() {
		all = append(all, one.what)
	}
	return strings.Join(all, ", ")
}

// world is the one to which the deeds of trail led.
func (f fleetWorld) world(t *testing.T, trail *deeds) *explored {
	e := &explored{now: time.Unix(1_790_000_000, 0), kinds: f.kinds, troubles: f.troubles}
	e.memory = NewMemory(func() time.Time { return e.now })
	for k := range f.members {
		m := &member{world: e, name: string(rune('a' + k)), link: connected, memory: 1}
		var err error
		if m.fleet, err = join(m, Options{Instance: m.name, Interval: beat}, func() time.Time { return e.now }); err != nil {
			t.Fatal(err)
		}
		m.fleet.opts.Timeout = time.Hour // real time is none of this world
		spec := exploredSpecs[0]
		spec.Quorum = m.fleet.Quorum(spec)
		if m.breaker, err = engine.NewBreaker(spec); err != nil {
			t.Fatal(err)
		}
		if m.policy, err = engine.New(engine.Spec{Name: "p", MaxAttempts: 1, Deadline: 24 * time.Hour, Breaker: m.breaker}); err != nil {
			t.Fatal(err)
		}
		e.all = append(e.all, m)
	}
	order := slices.Collect(permutations(f.members))[0]
	e.tick(order)
	e.memory.breakers["c"].since -= quietBeats * beat.Milliseconds() // so long ago
	e.tick(order)                                                    // they know of each other
	for _, d := range trail.list() {
		e.do(d)
	}
	e.wrong = nil // it was told when it was done first
	return e
}

// end has all calls return, so that nothing is left of the world.
func (e *explored) end() {
	for _, m := range e.all {
		m.lose()
		for _, f := range m.lost {
			f.stop()
			f.cancel()
		}
	}
}

func (e *explored) do(d deed) {
	e.trail = &deeds{d, e.trail}
	d.do(e)
	e.check()
}

func (e *explored) fail(format string, args ...any) {
	e.wrong = append(e.wrong, fmt.Sprintf(format, args...))
}

// Now and Sleep make the world a clock of calls.
func (e *explored) Now() time.Time { return e.now }

func (e *explored) Sleep(context.Context, time.Duration) error { return nil }

// possible returns what can be done now.
func (e *explored) possible() (all []deed) {
	add := func(what string, do func(e *explored)) { all = append(all, deed{what, do}) }
	for order := range permutations(len(e.all)) {
		add(fmt.Sprint("time passes ", order), func(e *explored) { e.tick(order) })
	}
	may := func(kind string) bool { return e.troubles > 0 && strings.Contains(e.kinds, kind) }
	if may("forget") {
		add("the store forgets", func(e *explored) { e.troubles--; e.forget() })
	}
	for k, m := range e.all {
		about := func(what string, do func(m *member)) {
			add(m.name+" "+what, func(e *explored) { do(e.all[k]) })
		}
		trouble := func(kind, what string, do func(m *member)) {
			if may(kind) {
				about(what, func(m *member) { e := m.world; e.troubles--; do(m) })
			}
		}
		if m.dead {
			continue
		}
		if m.breaker.State() == engine.Closed {
			about("fails", (*member).fails)
		} else if !m.probing() && m.breaker.RetryIn(e.now) == 0 {
			about("calls", (*member).calls)
		}
		if m.probe != nil {
			about("succeeds", func(m *member) { m.returns(nil) })
			about("fails its probe", func(m *member) { m.returns(errBroken) })
			about("cancels", func(m *member) { m.returns(context.Canceled) })
		}
		if len(m.fleet.woken) > 0 {
			about("exchanges", (*member).exchanges)
		}
		if m.link == connected {
			trouble("cut", "is cut off", func(m *member) { m.link = cut })
			trouble("deaf", "gets no answers", func(m *member) { m.link = deaf })
		} else {
			about("is connected again", func(m *member) { m.link = connected })
		}
		for spec := range exploredSpecs {
			what, reload := fmt.Sprint("reloads ", spec), func(m *member) { m.reloads(spec) }
			switch {
			case spec == m.spec:
			case spec == localSpec:
				trouble("scope", what, reload)
			case m.spec == localSpec:
				about(what, reload) // the fleet's again
			default:
				trouble("thresholds", what, reload)
			}
		}
		trouble("die", "dies", func(m *member) { m.dead = true })
	}
	return all
}

func permutations(n int) iter.Seq[[]int] {
	return func(yield func([]int) bool) {
		var grow func(of []int) bool
		grow = func(of []int) bool {
			if len(of) == n {
				return yield(of)
			}
			for k := range n {
				if !slices.Contains(of, k) && !grow(append(slices.Clone(of), k)) {
					return false
				}
			}
			return true
		}
		grow(nil)
	}
}

// tick lets time pass, after which all exchange.
func (e *explored) tick(order []int) {
	e.now = e.now.Add(beat)
	for _, k := range order {
		if m := e.all[k]; !m.dead {
			m.exchanges()
		}
	}
}

// forget is what a FLUSHALL does.
func (e *explored) forget() {
	e.memory.Flush()
	for _, m := range e.all {
		m.reported, m.voted = time.Time{}, false
	}
}

// unreachable reports whether the member goes by the local behaviour.
func (m *member) unreachable() bool {
	return m.spec == localSpec || m.answered.IsZero() || m.world.now.Sub(m.answered) >= staleBeats*beat
}

// votes reports whether the member's word for opening counts.
func (m *member) votes() bool {
	now := m.world.now
	return !m.tripped.IsZero() && now.Sub(m.tripped) < exploredSpecs[m.spec].Window || !m.answer.Open && m.breaker.RetryIn(now) > 0
}

// fails makes a call that fails, of a circuit that is closed.
func (m *member) fails() {
	e, spec := m.world, exploredSpecs[m.spec]
	m.failures = append(m.failures, e.now)
	m.failures = m.failures[max(len(m.failures)-m.memory, 0):]
	young := 0
	for _, at := range m.failures {
		if e.now.Sub(at) < spec.Window {
			young++
		}
	}
	reached := young >= spec.FailureThreshold
	if reached {
		m.tripped = e.now
	}
	outcome := engine.Execute(context.Background(), m.policy, func(context.Context) (int, error) { return 0, errBroken }, engine.WithClock(e))
	if outcome.Attempts != 1 {
		e.fail("%s: a call of a closed circuit: %v", m.name, outcome.Reason)
	}
	alone := m.answer.Instances <= 1 && !m.answer.Quiet
	want := reached && (m.unreachable() || alone)
	if opened := m.breaker.State() == engine.Open; opened != want {
		e.fail("%s opened by its own word: %v, want %v", m.name, opened, want)
	}
}

// calls makes a call of a circuit that is not closed; it may become a probe.
func (m *member) calls() {
	e := m.world
	m.lose()
	was, left := m.breaker.State(), m.breaker.RetryIn(e.now)
	own := m.unreachable() || !m.answer.Open
	f := &flight{began: e.now, place: exploredSpecs[m.spec].ProbeTimeout, epoch: m.answer.Epoch}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.resume, f.stop = iter.Pull(func(yield func(struct{}) bool) {
		engine.Execute(ctx, m.policy, func(context.Context) (int, error) {
			yield(struct{}{})
			return 0, f.err
		}, engine.WithClock(e))
	})
	_, passed := f.resume()
	if !passed {
		cancel()
	} else {
		m.probe = f
	}
	switch {
	case was == engine.Open && left > 0:
		if passed {
			e.fail("%s: a call passed an open circuit", m.name)
		}
	case own && !passed:
		e.fail("%s: it waits for a lease, and nobody gives any", m.name)
	case !own && passed != e.now.Before(m.lease):
		e.fail("%s: a probe of the fleet: %v, and the lease lasts for %v", m.name, passed, m.lease.Sub(e.now))
	}
	if passed && !own {
		f.lease = m.lease
	}
}

// lose has a probe never return.
func (m *member) lose() {
	if m.probe != nil {
		m.lost, m.probe = append(m.lost, m.probe), nil
	}
}

// returns ends the probe.
func (m *member) returns(err error) {
	e, f := m.world, m.probe
	m.probe = nil
	was := m.breaker.State()
	counts := f.holds(e.now) && !errors.Is(err, context.Canceled)
	if f.err = err; errors.Is(err, context.Canceled) {
		f.cancel()
	}
	f.resume()
	f.cancel()
	want := was
	switch {
	case counts && err == nil:
		want = engine.Closed
	case counts:
		want = engine.Open
		if !m.answer.Open {
			m.tripped = e.now
		}
	}
	if now := m.breaker.State(); now != want {
		e.fail("%s: after its probe it is %v, want %v", m.name, now, want)
	}
	if !counts || m.spec == localSpec {
		return
	}
	if err == nil {
		m.tripped = time.Time{}
	}
	if m.answer.Open && e.now.Before(m.lease) { // it has the lease, also if the probe began while it was local
		m.won, m.lease = err == nil, time.Time{}
	}
}

// holds reports whether what becomes of the probe counts.
func (f *flight) holds(now time.Time) bool { return now.Sub(f.began) < f.place }

// probing reports whether a probe is on its way, and counts.
func (m *member) probing() bool { return m.probe != nil && m.probe.holds(m.world.now) }

func (m *member) reloads(spec int) {
	e := m.world
	was, left := m.breaker.State(), m.breaker.RetryIn(e.now)
	next := exploredSpecs[spec]
	m.memory = max(m.memory, next.FailureThreshold)
	if m.probe != nil {
		m.probe.place = min(m.probe.place, next.ProbeTimeout)
	}
	if m.spec = spec; spec != localSpec {
		next.Quorum = m.fleet.Quorum(next)
	}
	if _, err := m.breaker.Reconfigure(next); err != nil {
		e.fail("%v", err)
	}
	if now := m.breaker.State(); now != was {
		e.fail("%s: a reload made %v %v", m.name, was, now)
	}
	if now := m.breaker.RetryIn(e.now); now > left {
		e.fail("%s: a reload has it refuse for %v instead of %v", m.name, now, left)
	}
}

// exchanges has the fleet's goroutine do its work once.
func (m *member) exchanges() {
	select {
	case <-m.fleet.woken:
	default:
	}
	e, known, was := m.world, m.answer, m.breaker.State()
	m.fleet.exchange(context.Background())
	told := m.link == connected && m.spec != localSpec
	switch now := m.breaker.State(); {
	case now != was && !told:
		e.fail("%s: an exchange that told it nothing made %v %v", m.name, was, now)
	case now == engine.Open && was != engine.Open && !m.answer.Open:
		e.fail("%s: %v became open, and the fleet's is not", m.name, was)
	case now == engine.Closed && was != engine.Closed && (m.answer.Open || !known.Open || known.Epoch != m.answer.Epoch):
		e.fail("%s: %v became closed, and the fleet has closed nothing", m.name, was)
	case now == engine.Closed && told && m.answer.Open:
		e.fail("%s is closed, and was told that the fleet's is open", m.name)
	}
}

// Exchange is the network between a member and the store.
func (m *member) Exchange(ctx context.Context, ask Ask) (Answer, error) {
	e := m.world
	if m.link == cut {
		return Answer{}, errCut
	}
	before := e.memory.breakers["c"]
	wasOpen, mine := before != nil && before.open, before != nil && before.holder == m.name
	m.reported, m.voted = e.now, m.votes()
	answer, err := e.memory.Exchange(ctx, ask)
	if err != nil {
		e.fail("%v", err)
		return answer, err
	}
	e.checkStore(m, wasOpen, m.won && mine, answer.Breakers[0])
	m.won = false
	if m.link == deaf {
		return Answer{}, errCut
	}
	m.hears(answer.Breakers[0])
	return answer, nil
}

// hears notes what a member is told.
func (m *member) hears(answer BreakerAnswer) {
	e, was := m.world, m.answer
	m.answered, m.answer = e.now, answer
	switch forgot := was.Epoch != answer.Epoch; {
	case answer.Open && !was.Open, answer.Open && (forgot || answer.Gen != was.Gen):
		m.tripped, m.lease = time.Time{}, time.Time{}
	case was.Open && !answer.Open && forgot:
		m.tripped = e.now
	case was.Open && !answer.Open:
		m.tripped, m.lease = time.Time{}, time.Time{}
	}
	if answer.Probe {
		m.lease = e.now.Add(answer.ProbeFor)
	}
}

// checkStore holds what the store did in an exchange of m against what it may.
func (e *explored) checkStore(m *member, wasOpen, won bool, answer BreakerAnswer) {
	there, votes := 0, 0
	for _, other := range e.all {
		if !other.reported.IsZero() && e.now.Sub(other.reported) < staleBeats*beat {
			there++
			if other.voted {
				votes++
			}
		}
	}
	if answer.Instances != there {
		e.fail("the store knows of %d instances, and there are %d", answer.Instances, there)
	}
	switch {
	case answer.Open && !wasOpen && (votes < 2 || 2*votes <= there):
		e.fail("the fleet opened by %d votes of %d", votes, there)
	case wasOpen && !answer.Open && !won:
		e.fail("%s closed the fleet's without the lease, or without success", m.name)
	}
	if answer.Open && !wasOpen || wasOpen && !answer.Open {
		for _, other := range e.all {
			other.voted = false
		}
	}
}

// check holds what is always true, after each deed.
func (e *explored) check() {
	probes := 0
	for _, m := range e.all {
		state := m.breaker.State()
		if state != engine.HalfOpen {
			m.lose() // what becomes of it says nothing any more, as the engine's explorer shows
		}
		if state == engine.Closed && m.was != engine.Closed {
			m.failures = nil
		}
		m.was = state
		if m.probing() && e.now.Before(m.probe.lease) && m.probe.epoch == e.epoch() {
			probes++
		}
	}
	if probes > 1 {
		e.fail("%d probes of the fleet at once", probes)
	}
}

func (e *explored) epoch() string {
	if b := e.memory.breakers["c"]; b != nil {
		return b.epoch
	}
	return ""
}

// key is the same for states that cannot be told apart by what happens from now on, but
// for which member is which.
func (e *explored) key() string {
	left := func(until time.Time) time.Duration { return max(until.Sub(e.now), 0) / beat }
	age := func(at time.Time, most time.Duration) int { // what is older than it can matter, or never was, is equally old
		if at.IsZero() {
			at = e.now.Add(-most)
		}
		return int(min(e.now.Sub(at), most) / beat)
	}
	const window, stale = 2 * beat, staleBeats * beat
	store := e.memory.breakers["c"]
	ms := e.now.UnixMilli()
	var members []string
	for _, m := range e.all {
		var b strings.Builder
		if m.dead {
			b.WriteString("dead ")
			if m.probing() {
				fmt.Fprint(&b, left(m.probe.lease), m.probe.place-e.now.Sub(m.probe.began))
			}
		} else {
			q := m.fleet.quorums["c"]
			fmt.Fprint(&b, m.link, m.memory, m.spec, m.breaker.State(), m.breaker.RetryIn(e.now)/beat, len(m.fleet.woken), " ")
			for _, at := range m.failures {
				if e.troubles > 0 || exploredSpecs[m.spec].FailureThreshold > 1 {
					fmt.Fprint(&b, age(at, window), ",")
				}
			}
			if f := m.probe; f != nil {
				fmt.Fprint(&b, "p", age(f.began, f.place), f.place, left(f.lease), f.epoch == q.epoch)
			}
			gen := int64(-9)
			if store != nil && q.epoch == store.epoch {
				gen = max(q.gen-store.gen, -3)
			}
			fmt.Fprint(&b, "q", age(q.suspicion, window), q.wants, q.result, age(q.heard, stale), q.epoch == "", gen, q.gen == noGen, q.open, q.quiet, q.instances, left(q.lease))
			fmt.Fprint(&b, "g", age(m.answered, stale), m.answer.Open, age(m.tripped, window), left(m.lease), m.won)
		}
		if store != nil {
			fmt.Fprint(&b, "s", max(store.alive.until[m.name]-ms, 0)/1000, max(store.suspects.until[m.name]-ms, 0)/1000, store.holder == m.name, age(m.reported, stale), m.voted)
		}
		members = append(members, b.String())
	}
	slices.Sort(members)
	world := fmt.Sprint(e.troubles, store == nil)
	if store != nil {
		world = fmt.Sprint(e.troubles, min(ms-store.since, 3000)/1000, store.open, max(store.until-ms, 0)/1000, max(store.holderUntil-ms, 0)/1000, store.holder == "")
	}
	return world + "|" + strings.Join(members, "|")
}

// settles has everything that went wrong be over, and reports whether the circuits of all
// members come to be closed if all their calls succeed, and to refuse if all fail.
func (e *explored) settles(err error) bool {
	order := make([]int, len(e.all))
	for k := range e.all {
		e.all[k].link, order[k] = connected, k
	}
	bad := func(m *member) bool { return !m.dead && (m.breaker.State() == engine.Closed) != (err == nil) }
	for range 20 {
		if !slices.ContainsFunc(e.all, bad) {
			return true
		}
		e.tick(order)
		for range 2 {
			for _, m := range e.all {
				switch {
				case m.dead:
				case m.breaker.State() != engine.Closed:
					if !m.probing() {
						m.calls()
					}
					if m.probe != nil && m.probe.began.Equal(e.now) { // older ones never return
						m.returns(err)
					}
				case err != nil:
					m.fails()
				}
			}
		}
	}
	return false
}

// A fleetWorld says what is explored.
type fleetWorld struct {
	members  int
	troubles int    // how many come at most
	kinds    string // of troubles: cut, deaf, forget, die, thresholds (reloaded), scope (reloaded)
	atLeast  int    // states
	first    int    // where there are many, as many are looked at, by the number of deeds to them; 0 for all
}

// exploreVariable has all states looked at, which takes minutes.
const exploreVariable = "REDRESS_EXPLORE"

func TestEveryStateOfASmallFleetKeepsThePromises(t *testing.T) {
	for _, row := range []fleetWorld{
		{members: 3, atLeast: 800},
		{members: 2, troubles: 1, kinds: "forget", atLeast: 2000},
		{members: 2, troubles: 1, kinds: "die", atLeast: 900},
		{members: 2, troubles: 1, kinds: "thresholds", atLeast: 2000},
		{members: 2, troubles: 1, kinds: "scope", atLeast: 20000, first: 2000},
		{members: 2, troubles: 1, kinds: "cut", atLeast: 20000, first: 2000},
		{members: 2, troubles: 1, kinds: "deaf", atLeast: 18000, first: 2000},
	} {
		t.Run(fmt.Sprintf("%d instances, %d troubles %s", row.members, row.troubles, row.kinds), func(t *testing.T) {
			t.Parallel()
			row.explore(t)
		})
	}
}

func (f fleetWorld) explore(t *testing.T) {
	most := f.first
	if most == 0 || os.Getenv(exploreVariable) != "" {
		most = math.MaxInt
	}
	most = min(most, exploredUnderRace)
	first := f.world(t, nil)
	seen := map[string]bool{first.key(): true}
	first.end()
	looked, done := 0, 0
	queue := []*deeds{nil}
	for ; len(queue) > 0 && looked < most && !t.Failed(); queue = queue[1:] {
		looked++
		e := f.world(t, queue[0])
		all := e.possible()
		if !e.settles(nil) || len(e.wrong) > 0 {
			t.Errorf("all that succeed do not close it: %q after: %v", e.wrong, queue[0])
		}
		e.end()
		if e = f.world(t, queue[0]); !e.settles(errBroken) || len(e.wrong) > 0 {
			t.Errorf("all that fail do not open it: %q after: %v", e.wrong, queue[0])
		}
		e.end()
		for _, d := range all {
			e := f.world(t, queue[0])
			e.do(d)
			for _, wrong := range e.wrong {
				t.Errorf("%s after: %v", wrong, e.trail)
			}
			if key := e.key(); !seen[key] {
				seen[key] = true
				queue = append(queue, e.trail)
			}
			e.end()
			done++
		}
	}
	t.Logf("%d states, %d deeds; %d states are left", looked, done, len(queue))
	if !t.Failed() && looked < min(f.atLeast, most) {
		t.Errorf("only %d states: the search did not go far", looked)
	}
}
