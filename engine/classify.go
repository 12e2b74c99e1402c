package engine

import (
	"errors"
	"fmt"
	"time"
)

// Rules that outcomes name when none of the policy's own held.
const (
	RuleDefault = "default" // the policy's default class
	RuleMarker  = "marker"  // a marker in the error, such as MarkPermanent
)

// A judgement is what classification said of one failure.
type judgement struct {
	record  *Failure // on which the rule held; of errors of inner calls, perhaps the inner one
	class   Class    // NoClass only of results that no rule recognised
	rule    string
	hint    time.Duration
	hasHint bool
	faults  []fault // contained on the way, in order
}

// A Recorded error or result is nothing but its record, which stands in for what
// [FailureOf] or [ResultOf] would find out: scripted dependencies are made of them.
// The record must not change any more.
type Recorded interface{ FailureRecord() *Failure }

// recordGiven is the record that an error of the chain brings itself, nil if none
// does.
func (c chain) recordGiven() *Failure {
	for i := range c {
		if r, ok := c[i].err.(Recorded); ok {
			if given := recordFrom(r); given != nil {
				return given
			}
		}
	}
	return nil
}

// recordFrom copies what r says, and is nil if that is nothing.
func recordFrom(r Recorded) (f *Failure) {
	defer contain()
	if given := r.FailureRecord(); given != nil {
		own := *given
		f = &own
	}
	return f
}

// judgeError classifies a failed attempt. Rules are tried on the record, then on
// those of the inner calls it came from; then a marker decides, then the default.
func (p *revision) judgeError(in *Input, record *Failure, j *judgement) {
	if p.spec.Classify != nil {
		for r := record; r != nil && j.class == NoClass; r = r.Inner {
			in.Failure = r
			p.ask(p.spec.Classify, in, j)
		}
	}
	if j.class == NoClass {
		p.judgeWithoutRules(record, j)
	}
	j.mustBeWhole("the record of the failure is incomplete", record)
}

// judgeWithoutRules is what holds when no rule does.
func (p *revision) judgeWithoutRules(record *Failure, j *judgement) {
	for r := record; r != nil; r = r.Inner {
		if r.Need(ReadMarker); r.Marker.valid() {
			r.Need(ReadHeaders)
			j.record, j.class, j.rule, j.hint, j.hasHint = r, r.Marker, RuleMarker, r.RetryAfter, r.HasRetryAfter
			return
		}
	}
	j.record, j.class, j.rule = record, p.spec.DefaultClass, RuleDefault
}

// judgeResult classifies the result of an attempt that returned no error: without a
// rule that holds it is a success.
func (p *revision) judgeResult(in *Input, record *Failure, j *judgement) {
	in.Failure = record
	p.ask(p.spec.ClassifyResult, in, j)
	j.mustBeWhole("the record of the result is incomplete", record)
}

// mustBeWhole puts what could not be read while the record was built before other faults.
func (j *judgement) mustBeWhole(note string, record *Failure) {
	if record.fault != nil {
		j.faults = append([]fault{{note: note, err: record.fault}}, j.faults...)
	}
}

// ask runs a list of rules, and sets j if one of them holds. A list that panics, or
// answers with what is no class, is one of which no rule held.
func (p *revision) ask(rules ClassifyFunc, in *Input, j *judgement) {
	defer func() {
		if v := recover(); v != nil {
			p.counters.rulePanics.Add(1)
			j.faults = append(j.faults, fault{note: "a classify function panicked", err: &panicError{v}})
		}
	}()
	if !p.spec.Lazy {
		in.Failure.Need(ReadAll)
	}
	v := rules(in)
	for _, e := range v.Errors {
		j.faults = append(j.faults, fault{rule: e.Rule, err: e.Err})
	}
	switch {
	case v.Class == NoClass:
		return
	case !v.Class.valid():
		j.faults = append(j.faults, fault{rule: v.Rule, err: fmt.Errorf("engine: %v is not a class", v.Class)})
		return
	case v.HasRetryAfter && v.RetryAfter < 0:
		j.faults = append(j.faults, fault{rule: v.Rule, err: fmt.Errorf("engine: retry_after is %v, must not be negative", v.RetryAfter)})
		v.RetryAfter, v.HasRetryAfter = 0, false
	}
	j.record, j.class, j.rule, j.hint, j.hasHint = in.Failure, v.Class, v.Rule, v.RetryAfter, v.HasRetryAfter
}

// A choice is the strategy that was looked up for a failure.
type choice struct {
	strategy Strategy // nil if there is none
	selector string   // id of the select rule that chose it
}

// choose looks a strategy up: select rules, then that of the class, then the default.
func (p *revision) choose(in *Input, class Class) (choice, []fault) {
	var faults []fault
	if p.spec.Select != nil {
		if !p.spec.Lazy {
			in.Failure.Need(ReadAll)
		}
		selected, wrong := p.selectStrategy(in)
		faults = wrong
		if selected.strategy != nil {
			return selected, faults
		}
	}
	return choice{strategy: p.strategies[class]}, faults
}

func (p *revision) selectStrategy(in *Input) (c choice, faults []fault) {
	defer func() {
		if v := recover(); v != nil {
			p.counters.rulePanics.Add(1)
			c, faults = choice{}, append(faults, fault{note: "a select function panicked", err: &panicError{v}})
		}
	}()
	s := p.spec.Select(in)
	for _, e := range s.Errors {
		faults = append(faults, fault{selector: e.Rule, err: e.Err})
	}
	return choice{strategy: s.Strategy, selector: s.Rule}, faults
}

// delay asks a strategy, or the default one in its place if it panics, and decides as
// that answers.
func (p *revision) delay(s Strategy, in *DelayInput, d *decision) {
	if err := d.ask(s, in); err != nil {
		p.counters.strategyFaults.Add(1)
		d.faults = append(d.faults, fault{strategy: d.strategy, note: "a strategy panicked; decorrelated_jitter took its place", err: err})
		d.ask(defaultStrategy, in)
	}
	switch d.reason {
	case NotStopped:
		d.sleep, d.note = max(d.sleep, 0), ""
	case NonRetryableClass, DeadlineExceeded, BudgetExhausted:
	default:
		p.counters.strategyFaults.Add(1)
		d.faults = append(d.faults, fault{strategy: d.strategy, err: fmt.Errorf("engine: a strategy cannot stop a call with %v", d.reason)})
		d.reason = NonRetryableClass
	}
}

// ask takes over what a strategy answers. It returns an error if that panics.
func (d *decision) ask(s Strategy, in *DelayInput) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	d.strategy = s.Name()
	answer := s.Delay(*in)
	d.reason, d.sleep, d.note = answer.Stop, answer.Sleep, answer.Note
	return nil
}

// learn tells the policy's learners how an attempt ended.
func (p *revision) learn(s *session, ok bool) []fault {
	if len(p.learners) == 0 {
		return nil
	}
	var faults []fault
	for _, l := range p.learners {
		if err := teach(l, s.now(), ok); err != nil {
			p.counters.hookPanics.Add(1)
			faults = append(faults, fault{note: "a strategy panicked while learning", err: err})
		}
	}
	return faults
}

func teach(l Learner, now time.Time, ok bool) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{v}
		}
	}()
	l.Learn(now, ok)
	return nil
}

var errSleepAction = errors.New("engine: a sleep handler answered with an action that is none")
