package redressfleet

import (
	"context"
	"sync"
	"time"
)

// A Memory is a store within one process, for tests and simulations. It decides as the
// scripts for Redis do.
type Memory struct {
	now func() time.Time

	mu       sync.Mutex
	budgets  map[string]*memoryBudget  // guarded by mu
	breakers map[string]*memoryBreaker // guarded by mu
}

// NewMemory returns an empty store whose clock is now.
func NewMemory(now func() time.Time) *Memory {
	m := &Memory{now: now}
	m.Flush()
	return m
}

// Flush forgets everything.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budgets, m.breakers = map[string]*memoryBudget{}, map[string]*memoryBreaker{}
}

// Exchange answers at once, and never fails unless ctx has ended.
func (m *Memory) Exchange(ctx context.Context, ask Ask) (Answer, error) {
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now().UnixMilli()
	var answer Answer
	for _, b := range ask.Budgets {
		name := b.Name + span(b)
		key := m.budgets[name]
		if key == nil || now < key.last-stepBack || b.Stepped && b.Epoch == key.epoch {
			key = &memoryBudget{meeting: newMeeting(ask.Fresh, now), granted: map[int64]int{}}
			m.budgets[name] = key
		}
		answer.Budgets = append(answer.Budgets, key.exchange(ask, b, now))
	}
	for _, b := range ask.Breakers {
		key := m.breakers[b.Name]
		if key == nil || now < key.last-stepBack {
			key = &memoryBreaker{meeting: newMeeting(ask.Fresh, now), suspects: newCensus()}
			m.breakers[b.Name] = key
		}
		answer.Breakers = append(answer.Breakers, key.exchange(ask, b, now))
	}
	return answer, nil
}

// stepBack is how many milliseconds a clock may go back and be taken for the same.
const stepBack = 1000

// A meeting is what budgets and breakers have in common. Times are milliseconds.
type meeting struct {
	epoch string
	since int64
	last  int64
	alive census
}

func newMeeting(epoch string, now int64) meeting {
	return meeting{epoch: epoch, since: now, alive: newCensus()}
}

// join notes that an instance is there and returns how many are.
func (m *meeting) join(ask Ask, now int64) int {
	m.last = now
	m.alive.add(ask.Instance, now+ask.Alive.Milliseconds())
	return m.alive.count(now)
}

func (m *meeting) quiet(ask Ask, now int64) bool { return now-m.since < ask.Quiet.Milliseconds() }

// A census is who is there, and until when.
type census struct {
	until map[string]int64
	next  int64 // nobody leaves before
}

func newCensus() census { return census{until: map[string]int64{}} }

func (c *census) add(name string, until int64) {
	c.until[name] = until
	c.next = min(c.next, until)
}

func (c *census) count(now int64) int {
	if now < c.next {
		return len(c.until)
	}
	c.next = 1<<63 - 1
	for name, end := range c.until {
		if end <= now {
			delete(c.until, name)
		} else {
			c.next = min(c.next, end)
		}
	}
	return len(c.until)
}

type memoryBudget struct {
	meeting
	granted map[int64]int // by slot
}

func (m *memoryBudget) exchange(ask Ask, b BudgetAsk, now int64) BudgetAnswer {
	size := max(b.Span.Milliseconds()/slots, 1)
	answer := BudgetAnswer{Epoch: m.epoch, Instances: m.join(ask, now), Slot: now / size, Now: time.Duration(now) * time.Millisecond, Quiet: m.quiet(ask, now)}
	if b.Epoch != m.epoch {
		return answer
	}
	for _, back := range b.Back {
		if n := m.granted[back.ID]; n > 0 {
			m.granted[back.ID] = max(n-back.N, 0)
		}
	}
	for _, past := range b.Told {
		m.granted[(now-past.Age.Milliseconds())/size] += past.N
	}
	sum := 0
	for slot, n := range m.granted {
		if slot < (now-b.Span.Milliseconds())/size {
			delete(m.granted, slot)
			continue
		}
		sum += n
	}
	if !answer.Quiet {
		answer.Granted = max(min(b.Want, b.Limit-sum), 0)
	}
	if answer.Granted > 0 {
		m.granted[answer.Slot] += answer.Granted
	}
	return answer
}

type memoryBreaker struct {
	meeting
	suspects    census
	gen         int64
	open        bool
	until       int64
	holder      string
	holderUntil int64
}

func (m *memoryBreaker) exchange(ask Ask, b BreakerAsk, now int64) BreakerAnswer {
	answer := BreakerAnswer{Epoch: m.epoch, Instances: m.join(ask, now), Quiet: m.quiet(ask, now)}
	delete(m.suspects.until, ask.Instance)
	if b.Suspect {
		m.suspects.add(ask.Instance, now+ask.Alive.Milliseconds())
	}
	answer.Suspects = m.suspects.count(now)
	if b.Result != NoResult && m.open && b.Epoch == m.epoch && b.Gen == m.gen && m.holder == ask.Instance {
		m.gen++
		m.holder, m.open = "", b.Result == Lost
		m.until = now + b.Recovery.Milliseconds()
		m.suspects = newCensus()
		answer.Suspects = 0
	}
	if !m.open && !answer.Quiet && answer.Suspects >= quorumOf(answer.Instances) {
		m.gen++
		m.open, m.holder = true, ""
		m.until = now + b.Recovery.Milliseconds()
		m.suspects = newCensus()
		answer.Suspects = 0
	}
	if m.open && now >= m.until {
		if b.Probe && (m.holder == "" || m.holderUntil <= now) {
			m.holder, m.holderUntil = ask.Instance, now+b.Lease.Milliseconds()
		}
		if answer.Probe = m.holder == ask.Instance && m.holderUntil > now; answer.Probe {
			answer.ProbeFor = time.Duration(m.holderUntil-now) * time.Millisecond
		}
	}
	answer.Gen, answer.Open = m.gen, m.open
	if m.open {
		answer.OpenFor = time.Duration(max(m.until-now, 0)) * time.Millisecond
	}
	return answer
}
