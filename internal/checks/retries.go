package checks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// permanent are statuses and codes that say that the same request will fail again,
// by the kind of the failure. Statuses: RFC 9110, section 15.5; 404, 409 and 429 are
// left out, which can change by themselves. gRPC: the codes' documentation, which
// calls these not retryable. SQLSTATE: the classes of PostgreSQL, appendix A.
var permanentStatus = []int64{400, 401, 403, 405, 406, 410, 411, 413, 414, 415, 416, 417, 422, 426, 431, 451, 501, 505}

var permanentCodes = map[string]string{
	"INVALID_ARGUMENT": "gRPC", "UNAUTHENTICATED": "gRPC", "PERMISSION_DENIED": "gRPC", "ALREADY_EXISTS": "gRPC", "OUT_OF_RANGE": "gRPC", "UNIMPLEMENTED": "gRPC",
	"23505": "SQLSTATE", "23503": "SQLSTATE", "23502": "SQLSTATE", "42601": "SQLSTATE", "42P01": "SQLSTATE", "28P01": "SQLSTATE", "22001": "SQLSTATE",
	"NOAUTH": "Redis", "WRONGPASS": "Redis", "NOPERM": "Redis", "WRONGTYPE": "Redis",
}

// permanentFailures reports rules that have failures retried which cannot succeed.
func (p *policy) permanentFailures() {
	for _, r := range slices.Concat(p.Classify(), p.ClassifyResult()) {
		if r.Pack != "" || !r.Class.Retryable() || r.Class == engine.Unknown || p.attemptsOf(r.Class) < 2 {
			continue
		}
		r.When.Walk(func(n *interp.Node) {
			field, literals := equalities(n)
			for _, lit := range literals {
				switch v := lit.Value.(type) {
				case int64:
					if strings.HasSuffix(field, ".status") && slices.Contains(permanentStatus, v) && p.decides(r, v) {
						p.report(dsl.CodePermanent, lit.Range, p.classFor(v), "rule %s has status %d retried as %s, and the same request will fail the same way", r.ID, v, r.Class)
					}
				case string:
					if from := permanentCodes[v]; from != "" && strings.HasSuffix(field, ".code") {
						p.report(dsl.CodePermanent, lit.Range, "give it the class PERMANENT, AUTH or PERMISSION", "rule %s has %s code %s retried as %s, and the same request will fail the same way", r.ID, from, v, r.Class)
					}
					if v == "CANCELED" && strings.HasSuffix(field, ".code") {
						p.report(dsl.CodePermanent, lit.Range, "leave it out: a call whose caller has gone stops by itself", "rule %s has a cancelled call retried as %s, though its caller has gone", r.ID, r.Class)
					}
				}
			}
		})
	}
}

// decides reports whether a rule really matches a plain failure of that status.
func (p *policy) decides(r interp.Condition, status int64) bool {
	f := &engine.Failure{Status: int(status), Kind: engine.KindHTTP, Phase: engine.Sent}
	holds, _ := r.Test(&engine.Input{Failure: f, Attempt: 1, Remaining: p.spec.Deadline, Idempotent: true})
	return holds
}

func (p *policy) classFor(status int64) string {
	switch status {
	case 401:
		return "give it the class AUTH"
	case 403:
		return "give it the class PERMISSION"
	}
	return "give it the class PERMANENT"
}

// equalities reads field == literal and field in [literals].
func equalities(n *interp.Node) (field string, literals []*interp.Node) {
	if n.Op != interp.OpCall || len(n.Args) != 2 {
		return "", nil
	}
	a, b := n.Args[0], n.Args[1]
	if n.Name == "==" && a.Op == interp.OpLiteral {
		a, b = b, a
	}
	switch {
	case a.Op != interp.OpField:
	case n.Name == "==" && b.Op == interp.OpLiteral:
		return a.Name, []*interp.Node{b}
	case n.Name == "in" && b.Op == interp.OpList:
		return a.Name, b.Args
	}
	return "", nil
}

func (p *policy) attemptsOf(class engine.Class) int {
	for _, c := range p.envelope.Classes {
		if c.Class == class {
			return c.Attempts
		}
	}
	return 1
}

// retries looks at caps and at time.
func (p *policy) retries() {
	p.permanentFailures()
	p.caps()
	p.deadline()
	r := &p.body.Retry
	if r.AttemptTimeout.Set && r.AttemptTimeout.V > p.spec.Deadline {
		p.report(dsl.CodeAttemptTimeout, r.AttemptTimeout.Range, fmt.Sprintf("make it less than the deadline, %v", p.spec.Deadline), "attempt_timeout %v never ends an attempt: the deadline of %v comes first", r.AttemptTimeout.V, p.spec.Deadline)
	}
	p.load()
}

// caps reports settings that can never matter.
func (p *policy) caps() {
	r := &p.body.Retry
	for _, c := range r.Classes {
		class, ok := engine.ParseClass(c.Class.V)
		if !ok {
			continue
		}
		if c.MaxAttempts.Set && c.MaxAttempts.V > p.spec.MaxAttempts {
			p.report(dsl.CodeCapAbove, c.MaxAttempts.Range, fmt.Sprintf("raise max_attempts, or cap %s at %d or less", class, p.spec.MaxAttempts), "the cap of %d for %s never acts: a call makes at most %d attempts", c.MaxAttempts.V, class, p.spec.MaxAttempts)
		}
		if !class.Retryable() {
			p.report(dsl.CodeNeverRetried, c.Class.Range, "remove it", "%s is never retried: what is written here does nothing", class)
		} else if c.Strategy != nil && c.MaxAttempts.Set && c.MaxAttempts.V <= 1 {
			p.report(dsl.CodeNeverRetried, c.Strategy.Range, "remove the strategy, or raise the cap", "%s stops with its first failure: its strategy is never asked", class)
		}
		if class == engine.Unknown && c.MaxAttempts.Set && c.MaxAttempts.V > p.spec.MaxUnknownAttempts && c.MaxAttempts.V <= p.spec.MaxAttempts {
			p.report(dsl.CodeCapAbove, c.MaxAttempts.Range, fmt.Sprintf("raise max_unknown_attempts, which is %d", p.spec.MaxUnknownAttempts), "the cap of %d for UNKNOWN never acts: max_unknown_attempts stops it at %d", c.MaxAttempts.V, p.spec.MaxUnknownAttempts)
		}
	}
	if r.MaxUnknownAttempts.Set && r.MaxUnknownAttempts.V > p.spec.MaxAttempts {
		p.report(dsl.CodeCapAbove, r.MaxUnknownAttempts.Range, fmt.Sprintf("make it %d or less", p.spec.MaxAttempts), "max_unknown_attempts %d never acts: a call makes at most %d attempts", r.MaxUnknownAttempts.V, p.spec.MaxAttempts)
	}
	if r.MaxAttempts.Set && r.MaxAttempts.V == 1 {
		for _, s := range []struct {
			what  string
			there bool
			at    dsl.Range
		}{
			{"strategy", r.Strategy != nil, rangeOf(r.Strategy)}, {"select", len(r.Select) > 0, firstSelect(r.Select)}, {"budget", r.Budget.Set, r.Budget.Range},
		} {
			if s.there {
				p.report(dsl.CodeNoRetries, s.at, "remove it, or raise max_attempts", "with max_attempts 1 nothing is retried: %s does nothing", s.what)
			}
		}
	}
}

func rangeOf(s *dsl.Strategy) dsl.Range {
	if s == nil {
		return dsl.Range{}
	}
	return s.Range
}

func firstSelect(list []dsl.Selection) dsl.Range {
	if len(list) == 0 {
		return dsl.Range{}
	}
	return list[0].Range
}

// deadline reports attempts for which there is no time.
func (p *policy) deadline() {
	said := false
	for _, never := range []bool{true, false} {
		for _, c := range p.envelope.Classes {
			if !c.Given || said {
				continue
			}
			first := c.NeverStart
			if !never {
				first = c.CutOff
			}
			if first == 0 {
				continue
			}
			said = true
			p.cannotFit(c, first, never)
		}
	}
}

func (p *policy) cannotFit(c analysis.ClassBounds, first int, never bool) {
	at, r := p.doc.Name.Range, &p.body.Retry
	switch {
	case r.MaxAttempts.Set && c.Stop == engine.MaxAttemptsGlobal:
		at = r.MaxAttempts.Range
	case r.Deadline.Set:
		at = r.Deadline.Range
	case r.AttemptTimeout.Set:
		at = r.AttemptTimeout.Range
	}
	var slept time.Duration
	for _, s := range c.Sleeps[:first-1] {
		slept += s.Least
	}
	if never {
		d := p.report(dsl.CodeDeadline, at, fmt.Sprintf("raise the deadline, sleep shorter, or make %s", count(first-1, "attempt")), "attempt %d of %d can never start: the sleeps before it take at least %v, and the deadline is %v", first, c.Attempts, slept, p.spec.Deadline)
		d.Notes = append(d.Notes, fmt.Sprintf("sleeps after failures of class %s: %s", c.Class, leastSleeps(c.Sleeps[:first-1])))
		return
	}
	timeout := p.spec.AttemptTimeout
	d := p.report(dsl.CodeDeadline, at, fmt.Sprintf("raise the deadline, shorten attempt_timeout, or make %s", count(first-1, "attempt")), "attempt %d of %d cannot start when attempts time out: %d × %v and at least %v of sleeps are %v, and the deadline is %v",
		first, c.Attempts, first-1, timeout, slept, time.Duration(first-1)*timeout+slept, p.spec.Deadline)
	d.Severity = dsl.Warning
	d.Notes = append(d.Notes, fmt.Sprintf("sleeps after failures of class %s: %s", c.Class, leastSleeps(c.Sleeps[:first-1])))
}

func leastSleeps(sleeps []analysis.Bounds) string {
	var parts []string
	for i, s := range sleeps {
		if i == 8 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, s.Least.String())
	}
	return "at least " + strings.Join(parts, " + ")
}

// strategies looks at each strategy that is written.
func (p *policy) strategies() {
	r := &p.body.Retry
	if p.spec.MaxAttempts == 1 {
		return
	}
	p.strategy(r.Strategy, "failures", false)
	for _, s := range r.Select {
		p.strategy(s.Strategy, "failures", false)
	}
	for _, c := range r.Classes {
		class, _ := engine.ParseClass(c.Class.V)
		if class.Retryable() && !(c.MaxAttempts.Set && c.MaxAttempts.V <= 1) {
			p.strategy(c.Strategy, "failures of class "+class.String(), class == engine.RateLimit || class == engine.ServerError)
		}
	}
}

func (p *policy) strategy(s *dsl.Strategy, what string, overloaded bool) {
	if s == nil {
		return
	}
	deadline := p.spec.Deadline
	switch s.Name.V {
	case "exponential", "linear", "constant":
		if s.Name.V == "constant" && s.Delay.V == 0 && s.Delay.Set {
			break
		}
		p.report(dsl.CodeNoJitter, s.Name.Range, "use "+jittered[s.Name.V]+", which spreads them", "%s sleeps the same for every client: those that fail together come back together", s.Name.V)
	case "immediate":
		if overloaded {
			p.report(dsl.CodeImmediate, s.Name.Range, "use decorrelated_jitter", "%s are retried at once, which adds load where there is too much already", what)
		}
	}
	for _, v := range []struct {
		name string
		v    dsl.Value[time.Duration]
	}{{"base", s.Base}, {"max", s.Max}, {"delay", s.Delay}, {"cap", s.Cap}, {"step", s.Step}} {
		if v.v.Set && v.v.V > deadline {
			p.report(dsl.CodeWaitTooLong, v.v.Range, fmt.Sprintf("make it less than the deadline, %v", deadline), "%s %v is above the deadline of %v: no sleep can be that long", v.name, v.v.V, deadline)
		}
	}
	p.strategy(s.Fallback, what, overloaded)
}

var jittered = map[string]string{"exponential": "decorrelated_jitter or full_jitter", "linear": "equal_jitter", "constant": "full_jitter or decorrelated_jitter"}

// hints reports rules whose retry_after nothing follows.
func (p *policy) hints() {
	for _, r := range slices.Concat(p.Classify(), p.ClassifyResult()) {
		if r.Pack != "" || r.RetryAfter == nil {
			continue
		}
		w := p.written[r.Range]
		for _, c := range p.envelope.Classes {
			if c.Class != r.Class || c.Hint > 0 || w == nil || slices.ContainsFunc(c.Strategies, p.isFunction) {
				continue
			}
			help := fmt.Sprintf("classes: {%s: {strategy: retry_after_or}}", r.Class)
			switch {
			case !r.Class.Retryable() || c.Attempts == 1:
				p.report(dsl.CodeIgnoresHint, w.RetryAfter.Range, "remove retry_after", "rule %s reads a hint that nothing follows: %s is not retried", r.ID, r.Class)
			default:
				p.report(dsl.CodeIgnoresHint, w.RetryAfter.Range, help, "rule %s reads a hint that nothing follows: the strategy of %s is %s", r.ID, r.Class, enumerate(c.Strategies))
			}
		}
	}
}

func (p *policy) isFunction(name string) bool { return !slices.Contains(dsl.StrategyNames(), name) }

// idempotency reports rules that have failures retried of requests that may have
// been sent, where the operations must not be made twice.
func (p *policy) idempotency(l *list) {
	for _, o := range p.outlooks {
		a := o.Assumed
		if !a.Idempotent.Set || a.Idempotent.V {
			continue
		}
		for i, r := range l.Rules {
			if r.Pack != "" || !r.Class.Retryable() || p.attemptsOf(r.Class) < 2 {
				continue
			}
			d := l.Decides(i)
			if d.Witness == nil || d.Witness.Input.Failure.Phase == engine.NotSent || readsPhase(r.When) {
				continue
			}
			f := p.report(dsl.CodeNotIdempotent, r.When.Range, `add err.phase == "not_sent"`, "rule %s has failures retried as %s whose request may have been sent, and the operations must not be made twice", r.ID, r.Class)
			f.Notes = append(f.Notes, "for example "+d.Witness.String())
			f.Related = []dsl.Related{{Range: a.Idempotent.Range, Message: "it says so here"}}
		}
		return
	}
}

func readsPhase(n *interp.Node) bool {
	reads := false
	n.Walk(func(n *interp.Node) {
		reads = reads || n.Op == interp.OpField && (n.Name == "err.phase" || n.Name == "idempotent") || n.Op == interp.OpOther
	})
	return reads
}
