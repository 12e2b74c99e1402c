package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// stateVersion is the version of StepState that this package writes.
const stateVersion = 1

// A StepState is where a call stands between two attempts: what a worker stores with
// a job that it will retry later, in this process or another. It is plain data and
// keeps its meaning as JSON. The zero StepState is that of a call not yet begun.
type StepState struct {
	Version   int           `json:"version"` // 1; 0 only of the zero state
	Policy    string        `json:"policy"`  // name of the policy it belongs to
	Operation string        `json:"operation,omitempty"`
	Attempts  int           `json:"attempts"`           // made so far
	Failures  map[Class]int `json:"failures,omitempty"` // of each class so far: what the caps count
	PrevSleep time.Duration `json:"prev_sleep_ns"`      // the sleep that this state waits for
	Started   time.Time     `json:"started"`            // when the call began
	Deadline  time.Time     `json:"deadline"`           // when it must have ended
	Due       time.Time     `json:"due"`                // when the next attempt should be made
	Class     Class         `json:"class,omitempty"`    // of the last failure, like Rule and Cause
	Rule      string        `json:"rule,omitempty"`
	Cause     string        `json:"cause,omitempty"`
}

// Step makes one attempt of a call that began earlier, or now if state is zero. If
// the call has ended, the outcome says how, and the returned state is zero. If there
// is to be another attempt, the outcome's reason is SCHEDULED, its NextDelay says
// when, and the returned state is what the next Step takes; time spent waiting
// counts against the policy's deadline. Whoever steps through a call in time gets
// the decisions that Call would have made.
//
// ctx bounds this attempt alone. Should it end, so does the call; a worker that is
// shut down can take the same state up again. The breaker is asked at every step, and
// told of the last one. Step returns an error, and makes no attempt, only if state
// was not made for this policy or is damaged.
func Step[T any](ctx context.Context, p *Policy, state StepState, fn func(context.Context) (T, error), opts ...Option) (Outcome[T], StepState, error) {
	var c call
	if err := c.beginStep(ctx, p, state, opts); err != nil {
		return Outcome[T]{}, StepState{}, err
	}
	outcome := outcomeOf(&c, run(&c, fn))
	if c.reason != Scheduled {
		return outcome, StepState{}, nil
	}
	return outcome, c.session.state(c.nextDelay), nil
}

// state is where the call stands, if it waits for sleep from now.
func (s *session) state(sleep time.Duration) StepState {
	failures := map[Class]int{}
	for class, n := range s.failures {
		if n > 0 {
			failures[Class(class)] = int(n)
		}
	}
	started, deadline := s.zero.Add(s.start), s.zero.Add(s.deadline)
	if s.resumed != nil {
		started, deadline = s.resumed.Started, s.resumed.Deadline
	}
	return StepState{
		Version: stateVersion, Policy: s.policy.spec.Name, Operation: s.operation,
		Attempts: s.attempts, Failures: failures, PrevSleep: sleep,
		// Without monotonic readings, which mean nothing elsewhere.
		Started: started.Round(0), Deadline: deadline.Round(0), Due: s.now().Add(sleep).Round(0),
		Class: s.last.class, Rule: s.last.rule, Cause: s.last.cause.String(),
	}
}

// resume takes the call up where the state left it.
func (s *session) resume(state *StepState) error {
	if err := state.check(s.policy.spec.Name); err != nil {
		return fmt.Errorf("engine: call state: %w", err)
	}
	s.attempts = state.Attempts
	for class, n := range state.Failures {
		s.failures[class] = int32(n)
	}
	s.prev, s.hasPrev = state.PrevSleep, true
	if state.Started.After(s.zero) { // the clocks of two machines disagree
		state.Started = s.zero
	}
	s.resumed, s.start, s.deadline = state, s.place(state.Started), s.place(state.Deadline)
	if s.operation == "" {
		s.operation = state.Operation
	}
	s.last = failureNote{class: state.Class, rule: state.Rule, cause: parseCause(state.Cause)}
	return nil
}

func (s StepState) check(policy string) error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if s.Version != stateVersion {
		return fmt.Errorf("version is %d; this version of the library reads %d", s.Version, stateVersion)
	}
	if s.Policy != policy {
		add("policy is %q, not %q", s.Policy, policy)
	}
	if s.Attempts < 1 || s.Attempts > maxCount {
		add("attempts is %d, must be at least 1", s.Attempts)
	}
	if s.PrevSleep < 0 {
		add("prev_sleep_ns is %d, must not be negative", s.PrevSleep)
	}
	if s.Started.IsZero() || s.Deadline.IsZero() {
		add("started and deadline must be set")
	}
	for _, class := range slices.Sorted(maps.Keys(s.Failures)) {
		if !class.valid() {
			add("failures holds %v, which is not a class", class)
		}
		if n := s.Failures[class]; n < 0 || n > maxCount {
			add("failures of %v is %d, must not be negative", class, n)
		}
	}
	if s.Class != NoClass && !s.Class.valid() {
		add("class is %v, which is not a class", s.Class)
	}
	return errors.Join(wrong...)
}

// maxCount is more attempts than any call makes.
const maxCount = 1 << 30

func parseCause(name string) Cause {
	if i := slices.Index(causeNames[:], name); i > 0 {
		return Cause(i)
	}
	return NoCause
}
