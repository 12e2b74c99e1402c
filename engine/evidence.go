package engine

import "errors"

// Evidence is what the rules were told of an attempt that failed: enough to ask the rules
// of another policy about it.
type Evidence struct {
	// Input holds the complete record and what rules could know of the call; nothing of
	// what only select sees.
	Input Input
	// Cause says whether it was an error or a result that failed.
	Cause Cause
	// Failed says of a result that it is a failure even if no rule for results knows it
	// ([WithResultError]), so that the rules for errors are asked too.
	Failed bool
}

// Evidence returns what the rules were told of the failure of an attempt_end event. There
// is none if the attempt succeeded, or was not classified, or the event is of another kind.
// Ask while Observe runs: the record is that of the next attempt afterwards. What it
// returns may be kept, and must not be changed.
func (e *Event) Evidence() (Evidence, bool) {
	if e.evidence == nil || e.Class == NoClass {
		return Evidence{}, false
	}
	seen := e.evidence.input
	record := e.evidence.failure
	record.Need(ReadAll)
	record.source = nil
	seen.Failure, seen.Scratch = &record, Scratch{}
	seen.Class, seen.ClassAttempt, seen.RetryAfter, seen.HasRetryAfter = NoClass, 0, 0, false
	return Evidence{Input: seen, Cause: e.Cause, Failed: e.evidence.failed}, true
}

// Classify says which class the policy's rules give a failure, and by which rule, and does
// nothing else: no call is made, nothing is learned, breaker and budget are not asked. The
// mode does not matter. A result that is none of a failure has [NoClass]. err joins what
// rules erred with; the answer is then the one that a call would go on with.
func (p *Policy) Classify(e Evidence) (class Class, rule string, err error) {
	r := p.current.Load()
	in := e.Input // rules write to it
	if in.Failure == nil {
		in.Failure = &Failure{Kind: UnknownKind, Phase: PhaseUnknown}
	}
	record := in.Failure
	var j judgement
	if e.Cause == CauseResult && r.spec.ClassifyResult != nil {
		r.judgeResult(&in, record, &j)
	}
	if j.class == NoClass && (e.Cause != CauseResult || e.Failed) {
		r.judgeError(&in, record, &j)
	}
	var all []error
	for _, f := range j.faults {
		all = append(all, f.err)
	}
	return j.class, j.rule, errors.Join(all...)
}
