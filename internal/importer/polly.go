package importer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// importPolly finds options of strategies, and of pipelines that hold several, in the
// configuration of a .NET program.
func importPolly(j *job) {
	p := &polly{j}
	p.find(j.expand([]*node{j.root}, splitColons, func(_ int, key string) string { return strings.ToLower(key) }))
}

type polly struct{ *job }

// A pipeline is what one policy is made of.
type pipeline struct {
	at                      *node
	http                    bool // the standard handlers of HTTP clients, which have defaults for what is absent
	retry, hedging, breaker *node
	total, attempt, timeout *node // options that hold a Timeout, or the timeout itself
}

var (
	retryKeys   = []string{"MaxRetryAttempts", "BackoffType", "UseJitter", "ShouldRetryAfterHeader"}
	breakerKeys = []string{"FailureRatio", "MinimumThroughput", "SamplingDuration", "BreakDuration"}
	hedgingKeys = []string{"MaxHedgedAttempts"}
)

// find looks for pipelines, and for options that stand alone.
func (p *polly) find(n *node) {
	if n.kind != mapping {
		for _, kid := range n.kids {
			p.find(kid)
		}
		return
	}
	line, parts := p.pipeline(n)
	if line != nil {
		p.policy(line)
	}
	if p.full() {
		return
	}
	for _, kid := range n.kids {
		if !slices.Contains(parts, kid) {
			p.find(kid)
		}
	}
}

// role reduces the name of a section to that of a strategy.
func role(key string) string {
	form := keyForm(key)
	for _, ending := range []string{"options", "strategy"} {
		form = strings.TrimSuffix(form, ending)
	}
	return form
}

// pipeline tells whether a mapping has options, itself or in sections below it.
func (p *polly) pipeline(n *node) (*pipeline, []*node) {
	line := &pipeline{at: n}
	var parts []*node
	for _, kid := range n.kids {
		var slot **node
		switch name := role(kid.key); {
		case name == "retry" && kid.has(retryKeys...), name == "retry" && kid.has("Delay", "MaxDelay"):
			slot = &line.retry
		case name == "hedging" && kid.has(hedgingKeys...):
			slot, line.http = &line.hedging, true
		case name == "circuitbreaker" && kid.has(breakerKeys...):
			slot = &line.breaker
		case name == "totalrequesttimeout" && kid.has("Timeout"):
			slot, line.http = &line.total, true
		case name == "attempttimeout" && kid.has("Timeout"):
			slot, line.http = &line.attempt, true
		case name == "timeout" && (kid.has("Timeout") || kid.scalar() && kid.kind != null):
			slot = &line.timeout
		case name == "ratelimiter" && kid.has("DefaultRateLimiterOptions", "PermitLimit"):
			kid.within(noLimits)
			parts = append(parts, kid)
			continue
		case name == "endpoint" && kid.kind == mapping && (n.has("Hedging") || n.has("TotalRequestTimeout")):
			inner, innerParts := p.pipeline(kid)
			if inner != nil {
				line.breaker, line.attempt = inner.breaker, first(inner.attempt, inner.timeout)
			}
			kid.within("not known to be a part of a strategy's options")
			parts = append(append(parts, kid), innerParts...)
			continue
		default:
			continue
		}
		if *slot != nil {
			p.fail(kid, "%s is configured twice, first on line %d", plain(kid.key), (*slot).line)
		}
		*slot = kid
		parts = append(parts, kid)
	}
	if n.has(retryKeys...) && line.retry == nil {
		line.retry = n
	}
	if n.has(breakerKeys...) && line.breaker == nil {
		line.breaker = n
	}
	if line.retry.has("ShouldRetryAfterHeader") {
		line.http = true
	}
	inEndpoint := role(n.key) == "endpoint" && line.timeout != nil
	if line.retry == nil && line.hedging == nil && line.breaker == nil && line.total == nil && line.attempt == nil && !inEndpoint {
		return nil, nil
	}
	return line, parts
}

func (p *polly) policy(line *pipeline) {
	out := &policy{results: true, head: []string{fmt.Sprintf("%s, line %d", line.at.where(), line.at.line)}}
	p.name(out, line.at)
	for _, n := range []*node{line.retry, line.hedging, line.breaker, line.total, line.attempt, line.timeout} {
		n.within("not known to be a part of a strategy's options")
		n.get("Name").drop("the names of strategies are for telemetry")
	}
	attempts, wait := int64(1), time.Duration(0)
	switch {
	case line.hedging != nil:
		attempts = p.hedging(out, line)
	case line.retry != nil || line.http:
		attempts, wait = p.retry(out, line)
	default:
		out.maxAttempts = p.once(line.at, "there are no options of retries")
	}
	p.classify(out, line, attempts)
	p.times(out, line, attempts, wait)
	if line.breaker != nil || line.http {
		p.breaker(out, line)
	}
	p.addPolicy(out)
}

// pollyGeneric are names of sections that say nothing of what is called.
var pollyGeneric = []string{"resilience", "resilienceoptions", "resiliencepipeline", "standard", "standardresilience", "options", "pipeline", "policy"}

func (p *polly) name(out *policy, n *node) {
	name := n.key
	if up := n.parent; slices.Contains(pollyGeneric, keyForm(name)) && up != nil && up.key != "" {
		name = up.key
	}
	if name == "" {
		name = p.stem()
	}
	out.name = p.docName("Policy", name, n)
}

// retry takes options of retries over, or the defaults of the standard handler.
func (p *polly) retry(out *policy, line *pipeline) (attempts int64, wait time.Duration) {
	n, at := line.retry, first(line.retry, line.at)
	attempts = 4
	if given := n.get("MaxRetryAttempts"); given == nil {
		out.maxAttempts = p.assume(at, "retry.max_attempts", "4", "the default of Polly, 3 retries")
	} else if x, ok := p.whole(given, 0); ok {
		attempts = p.retries(out, given, x)
	}
	wait = p.backoff(out, line, n, at, attempts)
	if !line.http {
		return attempts, wait
	}
	const key = "retry.strategy.retry_after_or"
	header := n.get("ShouldRetryAfterHeader")
	switch {
	case header != nil && !p.truth(header):
		header.exact("retry.strategy: hints are not read")
		return attempts, wait
	case header != nil:
		header.exact(key + ".jitter: 0s")
		out.strategy = strategyOf("retry_after_or", parameter("jitter", val{"0s", origin(header)}), out.strategy[0])
	default:
		out.strategy = strategyOf("retry_after_or", parameter("jitter", p.assume(at, key+".jitter", "0s", "by default the standard handler waits as long as Retry-After says")), out.strategy[0])
	}
	return attempts, wait
}

// backoffType reads the form of the waits.
func (p *polly) backoffType(n *node, otherwise string) string {
	word, ok := p.words(n)
	if !ok {
		return otherwise
	}
	for i, name := range []string{"Constant", "Linear", "Exponential"} {
		if strings.EqualFold(word, name) || word == strconv.Itoa(i) {
			return name
		}
	}
	p.fail(n, "BackoffType is Constant, Linear or Exponential, not %s", n.described())
	return otherwise
}

func (p *polly) backoff(out *policy, line *pipeline, n, at *node, attempts int64) time.Duration {
	form, jitter := "Constant", false
	who := "Polly"
	if line.http {
		form, jitter, who = "Exponential", true, "the standard handler"
	}
	kind, useJitter := n.get("BackoffType"), n.get("UseJitter")
	if kind != nil {
		form = p.backoffType(kind, form)
	} else {
		p.gap(at, "retry.strategy: "+strings.ToLower(form), "the default BackoffType of "+who)
	}
	if useJitter != nil {
		jitter = p.truth(useJitter)
	} else if jitter {
		p.gap(at, "retry.strategy: with jitter", "the default UseJitter of "+who)
	}
	delay, given := p.span(n.get("Delay"), timeSpan, 0)
	if !given {
		delay = 2 * time.Second
	}
	limit, limited := p.span(n.get("MaxDelay"), timeSpan, 1)
	w := &pollyWaits{polly: p, n: n, at: at, delay: delay, limit: limit, limited: limited, attempts: attempts, kind: kind, jitter: useJitter}
	switch {
	case delay == 0:
		return w.none(out)
	case form == "Exponential":
		return w.exponential(out, jitter)
	case form == "Linear":
		return w.linear(out, jitter)
	}
	return w.constant(out, jitter)
}

// pollyWaits are the options of waits.
type pollyWaits struct {
	*polly
	n, at        *node
	delay, limit time.Duration
	limited      bool
	attempts     int64
	kind, jitter *node
}

// takeDelay takes Delay over, which is exact if there is nothing to say.
func (w *pollyWaits) takeDelay(key string, d time.Duration, why string) val {
	given := w.n.get("Delay")
	switch {
	case given == nil:
		return w.assume(w.at, key, short(d), joined("the default of Polly", why, "; "))
	case why != "":
		return w.approx(given, key, short(d), why)
	}
	return w.exact(given, key, short(d))
}

// takeMax takes MaxDelay over; without one nothing bounds the waits but the attempts.
func (w *pollyWaits) takeMax(key string, reach time.Duration) (val, time.Duration) {
	if w.limited {
		return w.exact(w.n.get("MaxDelay"), key, short(w.limit)), min(w.limit, reach)
	}
	return w.assume(w.at, key, short(reach), "there is no MaxDelay; "+reached(reach)), reach
}

func (w *pollyWaits) none(out *policy) time.Duration {
	out.strategy = strategyOf("constant", parameter("delay", w.takeDelay("retry.strategy.constant.delay", 0, "")))
	for _, n := range []*node{w.kind, w.jitter, w.n.get("MaxDelay")} {
		n.drop("there is no wait")
	}
	return 0
}

func (w *pollyWaits) base() time.Duration {
	if w.limited {
		return min(w.delay, w.limit)
	}
	return w.delay
}

func (w *pollyWaits) exponential(out *policy, jitter bool) time.Duration {
	name, why, reach := "exponential", "", longest(w.delay, 2, w.attempts)
	if jitter {
		name, why = "decorrelated_jitter", "the waits have about the same size, by another formula"
		reach = longest(w.delay, 2, w.attempts+1)
	}
	where := "retry.strategy." + name + "."
	base := w.takeDelay(where+"base", w.base(), why)
	most, reach := w.takeMax(where+"max", max(reach, w.base()))
	entries := []entry{parameter("base", base), parameter("max", most)}
	if jitter {
		w.kind.approx("retry.strategy: "+name, why)
		w.jitter.approx("retry.strategy: "+name, why)
	} else {
		entries = append(entries, parameter("factor", val{"2", "waits double"}))
		w.kind.exact("retry.strategy: " + name)
		w.jitter.exact("retry.strategy: without jitter")
	}
	out.strategy = strategyOf(name, entries...)
	return reach
}

func (w *pollyWaits) linear(out *policy, jitter bool) time.Duration {
	where := "retry.strategy.linear."
	base := w.takeDelay(where+"base", w.base(), "")
	step := w.takeDelay(where+"step", w.delay, "")
	most, reach := w.takeMax(where+"max", max(times(w.delay, float64(max(w.attempts-1, 1))), w.base()))
	out.strategy = strategyOf("linear", parameter("base", base), parameter("step", step), parameter("max", most))
	w.kind.exact("retry.strategy: linear")
	if jitter {
		w.jitter.drop("linear has no jitter")
	} else {
		w.jitter.exact("retry.strategy: without jitter")
	}
	return reach
}

func (w *pollyWaits) constant(out *policy, jitter bool) time.Duration {
	w.n.get("MaxDelay").drop("waits do not grow")
	delay := w.base()
	w.kind.exact("retry.strategy: waits do not grow")
	if !jitter {
		out.strategy = strategyOf("constant", parameter("delay", w.takeDelay("retry.strategy.constant.delay", delay, "")))
		w.jitter.exact("retry.strategy: without jitter")
		return delay
	}
	if given := w.n.get("Delay"); given != nil {
		return w.varying(out, given, delay, 0.25, w.jitter)
	}
	w.jitter.approx("retry.strategy: equal_jitter", "waits vary by a quarter there")
	base := w.assume(w.at, "retry.strategy.equal_jitter.base", short(delay), "the default of Polly")
	most := w.assume(w.at, "retry.strategy.equal_jitter.max", short(times(delay, 1.25)), "waits vary by a quarter there")
	out.strategy = strategyOf("equal_jitter", parameter("base", base), parameter("max", most))
	return times(delay, 1.25)
}

// hedging becomes attempts one after another.
func (p *polly) hedging(out *policy, line *pipeline) int64 {
	const serial = "the language has no hedging: attempts follow each other"
	n := line.hedging
	attempts := int64(1)
	if x, ok := p.whole(n.get("MaxHedgedAttempts"), 1); ok {
		attempts, _ = capped(min(x, math.MaxInt32) + 1)
		out.maxAttempts = p.approx(n.get("MaxHedgedAttempts"), "retry.max_attempts", strconv.FormatInt(attempts, 10), serial)
	}
	if delay := n.get("Delay"); delay != nil {
		p.span(delay, timeSpan, math.MinInt64)
		delay.drop(serial)
	}
	out.strategy = strategyOf("immediate")
	out.strategy[0].value = "{}"
	out.strategy[0].comment = "Hedging, approximated: after a failure the next attempt begins at once"
	return attempts
}

// classify says what is retried, which only code can change.
func (p *polly) classify(out *policy, line *pipeline, attempts int64) {
	at := first(line.retry, line.hedging, line.at)
	out.packs = []val{{"std.http", ""}}
	if line.http {
		c := &retryOn{all5xx: true, noAnswer: true, statuses: []int64{408, 429}}
		c.apply(p.job, out, at, "ShouldHandle")
		p.gap(at, "retried: statuses from 500, 408, 429, and no answer", "the default of ShouldHandle, which only code can change")
		return
	}
	out.packs[0] = p.assume(line.at, "classify", "use: std.http", "the input does not say what is called; std.sql, std.grpc and others are for other protocols")
	out.packs[0].text = "std.http"
	if attempts > 1 {
		p.gap(at, "retried: by class", "ShouldHandle is code, and by default takes every exception; here AUTH, PERMISSION and PERMANENT are not retried")
		out.maxUnknown = p.assume(at, "retry.max_unknown_attempts", strconv.FormatInt(attempts, 10), "Polly retries what it does not know like anything else")
	}
}

// timeoutOf is the field of options that hold a timeout.
func timeoutOf(n *node) *node {
	if n != nil && n.kind == mapping {
		return n.get("Timeout")
	}
	return n
}

// times takes timeouts over.
func (p *polly) times(out *policy, line *pipeline, attempts int64, wait time.Duration) {
	attempt, timeout := timeoutOf(line.attempt), time.Duration(0)
	if d, ok := p.timeout(attempt); ok {
		timeout = d
		out.attemptTimeout = p.exact(attempt, "retry.attempt_timeout", short(d))
	} else if attempt == nil && line.http {
		timeout = 10 * time.Second
		out.attemptTimeout = p.assume(line.at, "retry.attempt_timeout", "10s", "the default of the standard handler")
	}
	total := first(timeoutOf(line.total), timeoutOf(line.timeout))
	if line.total != nil {
		timeoutOf(line.timeout).drop("TotalRequestTimeout bounds the call")
	}
	d, ok := p.timeout(total)
	switch {
	case ok && line.total != nil:
		out.deadline = p.exact(total, "retry.deadline", short(d))
	case ok:
		out.deadline = p.approx(total, "retry.deadline", short(d), "whether it bounds the call or each attempt is for code to say; here it bounds the call")
	case total == nil && line.http:
		out.deadline = p.assume(line.at, "retry.deadline", "30s", "the default of the standard handler")
	default:
		out.deadline = p.deadline(line.at, "Polly", attempts, timeout, wait)
	}
}

// timeout reads a timeout; -1ms means that there is none.
func (p *polly) timeout(n *node) (time.Duration, bool) {
	if n == nil {
		return 0, false
	}
	if d, err := timeSpan.read(n); n.scalar() && err == nil && d == -time.Millisecond {
		n.drop("an infinite timeout is none")
		return 0, false
	}
	return p.span(n, timeSpan, 1)
}

// breaker turns a share of failures into a number of them.
func (p *polly) breaker(out *policy, line *pipeline) {
	n, at := line.breaker, first(line.breaker, line.at)
	ratio, calls := 0.1, int64(100)
	share, least := n.get("FailureRatio"), n.get("MinimumThroughput")
	if x, ok := p.real(share, 0, 1); ok {
		ratio = x
	}
	if x, ok := p.whole(least, 1); ok {
		calls, _ = capped(x)
	}
	const key = "circuit_breaker.failure_threshold"
	count, why := failures("a share of "+decimalText(ratio), ratio, calls)
	var b block
	switch {
	case share != nil:
		least.approx(key+": "+count, why)
		b.put("failure_threshold", p.approx(share, key, count, why))
	case least != nil:
		b.put("failure_threshold", p.approx(least, key, count, why))
	default:
		b.put("failure_threshold", p.assume(at, key, count, "the default of Polly; "+why))
	}
	for _, field := range []struct{ from, to, otherwise string }{{"SamplingDuration", "window", "30s"}, {"BreakDuration", "recovery_timeout", "5s"}} {
		if d, ok := p.span(n.get(field.from), timeSpan, 1); ok {
			b.put(field.to, p.exact(n.get(field.from), "circuit_breaker."+field.to, short(d)))
		} else {
			b.put(field.to, p.assume(at, "circuit_breaker."+field.to, field.otherwise, "the default of Polly"))
		}
	}
	if line.http {
		b.put("trip_on", p.assume(at, "circuit_breaker.trip_on", "[SERVER_ERROR, TRANSIENT, RATE_LIMIT]", "the default of ShouldHandle, which only code can change"))
	} else {
		b.put("trip_on", p.assume(at, "circuit_breaker.trip_on", "["+strings.Join(countedByDefault, ", ")+"]", "ShouldHandle is code, and by default takes every exception; here AUTH, PERMISSION and PERMANENT do not count"))
	}
	out.breakerBody = b
}

var (
	spanForm = lazyregexp.New(`^(-)?(?:([0-9]{1,6})\.)?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,7}))?)?$`)
	spanDays = lazyregexp.New(`^[0-9]{1,6}$`)
)

// timeSpan is the notation of System.TimeSpan. A number alone is days.
var timeSpan = notation{`"00:00:02" or "00:00:00.250"`, func(n *node) (time.Duration, error) {
	text := strings.TrimSpace(n.value)
	const day = 24 * time.Hour
	if spanDays.MatchString(text) {
		x, err := strconv.ParseInt(text, 10, 64)
		if err != nil || x > int64(math.MaxInt64/day) {
			return 0, errNotation
		}
		if real := n; x > 0 {
			for real.real != nil {
				real = real.real
			}
			real.caveat = "a number alone is days for a TimeSpan"
		}
		return time.Duration(x) * day, nil
	}
	m := spanForm.FindStringSubmatch(text)
	if m == nil {
		return 0, errNotation
	}
	part := func(i int) time.Duration {
		x, _ := strconv.ParseInt(m[i], 10, 64) // no digits are 0
		return time.Duration(x)
	}
	if part(2) > time.Duration(math.MaxInt64)/day-1 || part(3) > 23 || part(4) > 59 || part(5) > 59 {
		return 0, errNotation
	}
	d := part(2)*day + part(3)*time.Hour + part(4)*time.Minute + part(5)*time.Second
	if m[6] != "" {
		ticks, _ := strconv.ParseInt((m[6] + "0000000")[:7], 10, 64)
		d += time.Duration(ticks) * 100
	}
	if m[1] != "" {
		d = -d
	}
	return d, nil
}}
