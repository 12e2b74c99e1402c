package importer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// origin names a field in comments: maxAttempts (line 9).
func origin(n *node) string {
	key := n.key
	if n.parent == nil || key == "" {
		return fmt.Sprintf("line %d", n.line)
	}
	return fmt.Sprintf("%s (line %d)", plain(key), n.line)
}

// exact takes a field over as it is. key is where the value stands in the policy.
func (j *job) exact(n *node, key, value string) val {
	n.exact(key + ": " + value)
	return val{value, origin(n)}
}

// approx takes a field over as something that is not quite the same.
func (j *job) approx(n *node, key, value, why string) val {
	n.approx(key+": "+value, why)
	return val{value, origin(n) + ", approximated: " + clean(why)}
}

// assume writes down a value that the input does not give. at is what needs it.
func (j *job) assume(at *node, key, value, why string) val {
	j.gap(at, key+": "+value, why)
	return val{value, "not in the input: " + clean(why)}
}

// A policy is a document of that kind before it is written.
type policy struct {
	name         string
	head         []string
	operations   []val
	rules        []rule
	packs        []val
	results      bool // whether results are classified as errors are, by the rules and std.http
	defaultClass val

	deadline       val
	attemptTimeout val
	maxAttempts    val
	maxUnknown     val
	strategy       block
	selects        []selection
	budget         val

	breaker     val   // the name of a document, or
	breakerBody block // the breaker itself
	breakerHead []string
}

// A rule names a class for a condition. SUBJECT in the condition stands for err or
// result.
type rule struct {
	above, id, when, class string
	hint                   bool
}

const subject = "SUBJECT"

func (r rule) block(of, prefix string) block {
	when := strings.ReplaceAll(r.when, subject, of)
	b := block{
		{key: "id", value: prefix + r.id},
		{key: "when", value: yamlExpression(when)},
		{key: "class", value: r.class},
	}
	if r.above != "" {
		b[0].above = []string{r.above}
	}
	if r.hint {
		b = append(b, entry{key: "retry_after", value: of + ".retry_after"})
	}
	return b
}

// A selection picks a strategy, stop unless it says otherwise.
type selection struct{ above, id, when string }

func (s selection) block() block {
	b := block{{key: "id", value: s.id}, {key: "when", value: yamlExpression(s.when)}, {key: "strategy", value: "stop"}}
	if s.above != "" {
		b[0].above = []string{s.above}
	}
	return b
}

func (j *job) addPolicy(p *policy) {
	var body block
	if len(p.operations) > 0 {
		body = append(body, entry{key: "operations", texts: p.operations})
	}
	var rules, results []block
	for _, r := range p.rules {
		rules = append(rules, r.block("err", ""))
		if strings.Contains(r.when, subject) {
			results = append(results, r.block("result", "result-"))
		}
	}
	for _, pack := range p.packs {
		rules = append(rules, block{{key: "use", value: pack.text, comment: pack.comment}})
	}
	body = append(body, entry{key: "classify", items: rules})
	body.put("default_class", p.defaultClass)
	if p.results {
		results = append(results, block{{key: "use", value: "std.http", comment: "for clients that return every response, as net/http does"}})
		body = append(body, entry{key: "classify_result", items: results})
	}
	body.nest("retry", p.retry())
	if p.breaker.given() {
		body.put("circuit_breaker", p.breaker)
	} else {
		body.nest("circuit_breaker", p.breakerBody, p.breakerHead...)
	}
	j.add("Policy", p.name, p.head, body)
}

func (p *policy) retry() block {
	var b block
	b.put("deadline", p.deadline)
	b.put("attempt_timeout", p.attemptTimeout)
	b.put("max_attempts", p.maxAttempts)
	b.put("max_unknown_attempts", p.maxUnknown)
	b.nest("strategy", p.strategy)
	if len(p.selects) > 0 {
		e := entry{key: "select"}
		for _, s := range p.selects {
			e.items = append(e.items, s.block())
		}
		b = append(b, e)
	}
	b.put("budget", p.budget)
	return b
}

// strategyOf makes a strategy with parameters.
func strategyOf(name string, parameters ...entry) block {
	return block{{key: name, sub: parameters}}
}

func parameter(key string, v val) entry { return entry{key: key, value: v.text, comment: v.comment} }

const defaultDeadline = 60 * time.Second

// room returns a deadline that bounds calls without cutting what the input allows: the
// language's default, or longer where attempts and waits can take longer. timeout is
// that of an attempt, 0 if there is none.
func room(attempts int64, timeout, wait time.Duration) (d time.Duration, why string) {
	waits := times(wait, float64(attempts-1))
	needed := times(timeout, float64(attempts)) + waits
	switch {
	case timeout == 0 && waits <= defaultDeadline/2, timeout > 0 && needed < defaultDeadline:
		return defaultDeadline, "this is the language's default"
	case timeout == 0:
		return waits.Truncate(time.Second) + defaultDeadline, "this is room for the waits, and a minute for the attempts"
	}
	return needed.Truncate(time.Second) + time.Second, "this is room for all attempts and their waits"
}

// deadline writes down a deadline where the input has none.
func (j *job) deadline(at *node, who string, attempts int64, timeout, wait time.Duration) val {
	d, why := room(attempts, timeout, wait)
	return j.assume(at, "retry.deadline", short(d), who+" sets no deadline for all attempts together; "+why)
}

// endless writes down a deadline where the input turns it off.
func (j *job) endless(n *node, attempts int64, timeout, wait time.Duration) val {
	d, why := room(attempts, timeout, wait)
	return j.approx(n, "retry.deadline", short(d), "it turns the timeout off; the language always has a deadline for all attempts together, "+why)
}

// once is the policy of calls that are not retried.
func (j *job) once(at *node, why string) val {
	return j.assume(at, "retry.max_attempts", "1", why)
}

// maxExpression keeps expressions below the language's limit of 4096 characters.
const maxExpression = 4000

// stopUnless makes the entry of select that keeps everything from being retried for
// which none of the conditions holds.
func (j *job) stopUnless(at *node, above string, conditions []string) []selection {
	when := "!(" + strings.Join(conditions, " || ") + ")"
	if len(when) > maxExpression {
		j.fail(at, "more conditions than one expression can hold (%d characters)", maxExpression)
		return nil
	}
	return []selection{{above: above, id: "not-listed", when: when}}
}

// varying makes a strategy of a constant wait that varies by a share of itself: the
// longest wait stays the same.
func (j *job) varying(p *policy, n *node, wait time.Duration, factor float64, flags ...*node) time.Duration {
	most := rounded(times(wait, 1+factor))
	why := fmt.Sprintf("waits vary by %s percent of %s there; here the longest is the same, and the shortest is half of it", decimalText(math.Round(factor*1000)/10), short(wait))
	where := "retry.strategy.equal_jitter."
	p.strategy = strategyOf("equal_jitter",
		parameter("base", j.approx(n, where+"base", short(wait), why)),
		parameter("max", val{short(most), "the longest wait: the wait and what it varies by"}))
	for _, flag := range flags {
		flag.approx(where+"max: "+short(most), why)
	}
	return most
}

// reached says of a longest wait why it was written down.
func reached(d time.Duration) string {
	if d == times(d, math.Inf(1)) {
		return "a day is longer than any call"
	}
	return "this is the longest that the attempts reach"
}

// failures turns a share of calls that opens a breaker into the least number of failures
// that can be it. One failure among several calls is not enough.
func failures(share string, of float64, calls int64) (count, why string) {
	least := max(int64(math.Ceil(of*float64(calls)-1e-9)), 1)
	why = share + " of " + counted(calls, "call") + ": the least failures that open the breaker there"
	if least == 1 && calls > 1 {
		least, why = 2, why+", and at least 2"
	}
	return strconv.FormatInt(least, 10), why + "; here as many open it whatever share they are, so raise it for much traffic; retries count once"
}
