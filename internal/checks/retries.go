package checks

import (
	"fmt"
	"math"
	"slices"
	"strconv"
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
	for _, rules := range [][]interp.Condition{p.Classify(), p.ClassifyResult()} {
		list := newPlainFailures(rules, p.spec.Deadline)
		for i := range rules {
			if r := &rules[i]; r.Pack == "" && p.retried(r.Class) && !p.permanentLiterals(list, i) {
				p.permanentStatuses(list, i)
			}
		}
	}
	p.permanentByDefault()
}

// retried reports whether failures of a class are retried other than once for not
// knowing better.
func (p *policy) retried(class engine.Class) bool {
	return class.Retryable() && class != engine.Unknown && p.attemptsOf(class) > 1
}

// permanentLiterals looks at the statuses and codes that a condition names.
func (p *policy) permanentLiterals(list *plainFailures, i int) (said bool) {
	r, before := &list.rules[i], len(p.found)
	r.When.Walk(func(n *interp.Node) {
		field, literals := equalities(n)
		for _, lit := range literals {
			switch v := lit.Value.(type) {
			case int64:
				if strings.HasSuffix(field, ".status") && slices.Contains(permanentStatus, v) && list.first(v) == i {
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
	return len(p.found) > before
}

// permanentStatuses looks at the statuses of client errors that a condition matches
// without naming them. Conditions such as err.status >= 500 match 501 and 505 too, which
// hardly ever come.
func (p *policy) permanentStatuses(list *plainFailures, i int) {
	r := &list.rules[i]
	if !readsStatus(r.When) {
		return
	}
	var decided []string
	for _, status := range permanentStatus {
		if status < 500 && list.first(status) == i {
			decided = append(decided, strconv.FormatInt(status, 10))
		}
	}
	if len(decided) > 0 {
		p.report(dsl.CodePermanent, r.When.Range, "narrow the condition, or have a rule before it give them PERMANENT", "rule %s has status %s retried as %s, and the same request will fail the same way", r.ID, someOf(decided), r.Class)
	}
}

// someOf lists words, of many only the first.
func someOf(words []string) string {
	const shown = 4
	if len(words) > shown+1 {
		words = append(slices.Clone(words[:shown]), fmt.Sprintf("%d more", len(words)-shown))
	}
	return enumerate(words)
}

// permanentByDefault reports a default class that is retried, where rules go by the
// status and leave requests to it that cannot succeed.
func (p *policy) permanentByDefault() {
	rules := p.Classify()
	if !p.body.DefaultClass.Set || !p.retried(p.spec.DefaultClass) || !slices.ContainsFunc(rules, func(r interp.Condition) bool { return r.Pack == "" && readsStatus(r.When) }) {
		return
	}
	list := newPlainFailures(rules, p.spec.Deadline)
	var left []string
	for _, status := range []int64{400, 401, 403, 422} {
		if list.first(status) < 0 {
			left = append(left, strconv.FormatInt(status, 10))
		}
	}
	if len(left) > 0 {
		p.report(dsl.CodePermanent, p.body.DefaultClass.Range, "add rules that give them PERMANENT, AUTH or PERMISSION", "no rule matches status %s, retried as %s by default, and the same request will fail the same way", enumerate(left), p.spec.DefaultClass)
	}
}

func readsStatus(n *interp.Node) (reads bool) {
	n.Walk(func(n *interp.Node) {
		reads = reads || n.Op == interp.OpField && (n.Name == "err.status" || n.Name == "result.status")
	})
	return reads
}

// plainFailures are rules that are asked about failures of which only the status is known.
type plainFailures struct {
	rules   []interp.Condition
	input   engine.Input
	decides map[int64]int // by status; what was asked already
}

func newPlainFailures(rules []interp.Condition, remaining time.Duration) *plainFailures {
	in := engine.Input{Failure: &engine.Failure{Kind: engine.KindHTTP, Phase: engine.Sent}, Attempt: 1, Remaining: remaining, Idempotent: true}
	return &plainFailures{rules, in, map[int64]int{}}
}

// first returns the rule that decides the failure of a status, -1 if none does.
func (l *plainFailures) first(status int64) int {
	first, known := l.decides[status]
	if !known {
		l.input.Failure.Status = int(status)
		first = l.ask()
		l.decides[status] = first
	}
	return first
}

func (l *plainFailures) ask() int {
	for i := range l.rules {
		if holds, _ := l.rules[i].Test(&l.input); holds {
			return i
		}
	}
	return -1
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
		for _, c := range r.Classes {
			if class, ok := engine.ParseClass(c.Class.V); ok && class.Retryable() && c.Strategy != nil {
				p.report(dsl.CodeNoRetries, c.Strategy.Range, "remove it, or raise max_attempts", "with max_attempts 1 nothing is retried: the strategy of %s does nothing", class)
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

// deadline reports attempts for which there is no time: whatever the failures are, else
// if all are of one class.
func (p *policy) deadline() {
	m := &p.envelope.Mixed
	if m.NeverStart > 0 {
		first, slept := m.NeverStart, sum(m.Sleeps[:m.NeverStart-1])
		d := p.report(dsl.CodeDeadline, p.attemptsPlace(), fmt.Sprintf("raise the deadline, sleep shorter, or make %s", count(first-1, "attempt")), "attempt %d of %d can never start: the sleeps before it take at least %v, and the deadline is %v", first, m.Attempts, slept, p.spec.Deadline)
		d.Notes = append(d.Notes, "sleeps: "+leastSleeps(m.Sleeps[:first-1]))
		return
	}
	said := map[dsl.Range]bool{} // one strategy may serve several classes
	for _, c := range p.envelope.Classes {
		if at := p.strategyPlace(c.Class); c.Given && c.NeverStart > 0 && !said[at] {
			said[at] = true
			p.lateIfAll(c, at)
		}
	}
	if first := m.CutOff; first > 0 && len(said) == 0 && p.spec.AttemptTimeout <= p.spec.Deadline {
		slept, timeouts := sum(m.Sleeps[:first-1]), time.Duration(first-1)*p.spec.AttemptTimeout
		d := p.report(dsl.CodeDeadline, p.attemptsPlace(), fmt.Sprintf("raise the deadline, shorten attempt_timeout, or make %s", count(first-1, "attempt")), "attempt %d of %d cannot start when attempts time out: %d × %v and at least %v of sleeps are %v, and the deadline is %v",
			first, m.Attempts, first-1, p.spec.AttemptTimeout, slept, timeouts+slept, p.spec.Deadline)
		d.Severity = dsl.Warning
		d.Notes = append(d.Notes, "sleeps: "+leastSleeps(m.Sleeps[:first-1]))
	}
}

// lateIfAll reports an attempt that can never start if all failures are of one class.
func (p *policy) lateIfAll(c analysis.ClassBounds, at dsl.Range) {
	first := c.NeverStart
	least := make([]time.Duration, first-1)
	for i := range least {
		least[i] = c.Sleeps[i].Least
	}
	unless := ""
	if c.Hinted && c.Hint > 0 {
		unless = " and the server asks for no shorter waits"
	}
	d := p.report(dsl.CodeDeadline, at, fmt.Sprintf("raise the deadline, sleep shorter, or write max_attempts: %d for %s", first-1, c.Class), "attempt %d of %d can never start if all failures are %s%s: the sleeps before it take at least %v, and the deadline is %v",
		first, c.Attempts, c.Class, unless, sum(least), p.spec.Deadline)
	d.Severity = dsl.Warning
	d.Notes = append(d.Notes, "sleeps: "+leastSleeps(least))
}

// attemptsPlace is where the number of attempts is written, else what bounds their time.
func (p *policy) attemptsPlace() dsl.Range {
	switch r := &p.body.Retry; {
	case r.MaxAttempts.Set:
		return r.MaxAttempts.Range
	case r.Deadline.Set:
		return r.Deadline.Range
	case r.AttemptTimeout.Set:
		return r.AttemptTimeout.Range
	}
	return p.doc.Name.Range
}

// strategyPlace is where the strategy of a class is written.
func (p *policy) strategyPlace(class engine.Class) dsl.Range {
	for _, c := range p.body.Retry.Classes {
		if c.Class.V == class.String() && c.Strategy != nil {
			return c.Strategy.Name.Range
		}
	}
	if s := p.body.Retry.Strategy; s != nil {
		return s.Name.Range
	}
	return p.attemptsPlace()
}

func sum(durations []time.Duration) (total time.Duration) {
	for _, d := range durations {
		if total > math.MaxInt64-d {
			return math.MaxInt64
		}
		total += d
	}
	return total
}

func leastSleeps(sleeps []time.Duration) string {
	var parts []string
	for i, s := range sleeps {
		if i == 8 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, s.String())
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
	for _, rules := range [][]interp.Condition{p.Classify(), p.ClassifyResult()} {
		for i := range rules {
			if r := &rules[i]; r.Pack == "" && r.RetryAfter != nil {
				p.hint(r)
			}
		}
	}
}

// hint reports a retry_after that nothing follows.
func (p *policy) hint(r *interp.Condition) {
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

func (p *policy) isFunction(name string) bool { return !slices.Contains(dsl.StrategyNames(), name) }

// idempotency reports rules that have failures retried of requests that may have
// been sent, where the operations must not be made twice: own ones, and of those that
// are spliced the first.
func (p *policy) idempotency(scope analysis.Scope) {
	i := slices.IndexFunc(p.outlooks, func(o analysis.Outlook) bool { return o.Assumed.Idempotent.Set && !o.Assumed.Idempotent.V })
	if i < 0 || p.stopsWhatWasSent() {
		return
	}
	assumed := p.outlooks[i].Assumed.Idempotent
	l := analysis.NewList(scope, p.Classify())
	spliced := false
	for i, r := range l.Rules {
		if spliced && r.Pack != "" || r.Pack == "std.marker" || !r.Class.Retryable() || p.attemptsOf(r.Class) < 2 || readsPhase(r.When) {
			continue
		}
		w := l.Decides(i).Witness()
		if w == nil || w.Input.Failure.Phase == engine.NotSent {
			continue
		}
		at, help := r.When.Range, `add err.phase == "not_sent"`
		if r.Pack != "" {
			spliced = true
			at, help = p.splicePlace(r.Pack), `add to retry.select: {id: sent, when: 'err.phase != "not_sent"', strategy: stop}`
		}
		f := p.report(dsl.CodeNotIdempotent, at, help, "rule %s has failures retried as %s whose request may have been sent, and the operations must not be made twice", r.ID, r.Class)
		f.Notes = append(f.Notes, "for example "+w.String())
		f.Related = []dsl.Related{{Range: assumed.Range, Message: "it says so here"}}
	}
}

// stopsWhatWasSent reports whether a rule of select stops by the phase, or by whether
// the call may be made twice.
func (p *policy) stopsWhatWasSent() bool {
	return slices.ContainsFunc(p.Select(), func(r interp.Condition) bool { return r.Strategy.Name.V == "stop" && readsPhase(r.When) })
}

// splicePlace is where a pack is spliced, itself or by the first that is.
func (p *policy) splicePlace(pack string) dsl.Range {
	at := p.doc.Name.Range
	for i := len(p.body.Classify) - 1; i >= 0; i-- {
		if use := p.body.Classify[i].Use; use.Set {
			if at = use.Range; use.V == pack {
				break
			}
		}
	}
	return at
}

func readsPhase(n *interp.Node) bool {
	reads := false
	n.Walk(func(n *interp.Node) {
		reads = reads || n.Op == interp.OpField && (n.Name == "err.phase" || n.Name == "idempotent") || n.Op == interp.OpOther
	})
	return reads
}

// unusedStrategies reports strategies that no failure is met with, and classes that
// have none.
func (p *policy) unusedStrategies() {
	r := &p.body.Retry
	if p.spec.MaxAttempts == 1 {
		return
	}
	policyWide, always := false, p.alwaysSelected()
	var without []string
	for _, c := range p.envelope.Classes {
		if !c.Given || !c.Class.Retryable() || c.Stop == engine.MaxAttemptsPerClass && c.Attempts == 1 {
			continue
		}
		own := p.spec.Classes[c.Class].Strategy != nil
		policyWide = policyWide || !own
		if c.Stop == engine.NoStrategy && c.Class != engine.Unknown {
			without = append(without, c.Class.String())
		}
	}
	for _, c := range r.Classes {
		class, ok := engine.ParseClass(c.Class.V)
		switch {
		case !ok || !class.Retryable() || c.Strategy == nil:
		case always != "":
			p.report(dsl.CodeUnusedStrategy, c.Strategy.Range, "remove it, or narrow the condition of "+always, "the strategy of %s is never asked: select rule %s always chooses", class, always)
		case !p.gives(class):
			p.report(dsl.CodeUnusedStrategy, c.Class.Range, "remove it, or add a rule that gives it", "no rule of %s gives %s, so its strategy is never asked", p.Name(), class)
		}
	}
	if r.Strategy != nil {
		switch {
		case always != "":
			p.report(dsl.CodeUnusedStrategy, r.Strategy.Range, "remove it, or narrow the condition of "+always, "the policy's strategy is never asked: select rule %s always chooses", always)
		case !policyWide && r.Strategy.Name.V != "stop":
			d := p.report(dsl.CodeUnusedStrategy, r.Strategy.Range, "remove it, or a class that has its own", "the policy's strategy is never asked: every class that rules give and that is retried has its own")
			d.Severity = dsl.Info
		}
	}
	if len(without) > 0 {
		p.report(dsl.CodeNoStrategy, p.strategiesPlace(), "write retry.strategy for them, or the strategy stop", "%s %s no strategy, so that the first such failure ends the call: the default strategy counts only where no class has its own", enumerate(without), haveOrHas(len(without)))
	}
}

// alwaysSelected is the id of a select rule that always holds, "" without one.
func (p *policy) alwaysSelected() string {
	selectors := p.Select()
	l := analysis.NewList(analysis.ScopeOf(p.Policy, nil), selectors)
	for i := range selectors {
		if l.HoldsNot(i).Never() {
			return selectors[i].ID
		}
	}
	return ""
}

// strategiesPlace is where the first class has a strategy of its own.
func (p *policy) strategiesPlace() dsl.Range {
	for _, c := range p.body.Retry.Classes {
		if c.Strategy != nil {
			return c.Strategy.Range
		}
	}
	return p.attemptsPlace()
}

func haveOrHas(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}
