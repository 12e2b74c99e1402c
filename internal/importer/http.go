package importer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// retryOn are the conditions under which a proxy of Envoy's kind retries.
type retryOn struct {
	statuses []int64
	all5xx   bool
	noAnswer bool // reset, timeout, refused: there is no status
	notSent  bool
	refused  bool
	all4xx   bool
	timeouts bool
	codes    []string // of gRPC
	headers  []header

	takesStatuses bool // the list of statuses beside retry_on counts
	takesHeaders  bool
}

// A header is a condition on one response header.
type header struct{ id, when, class string }

// A token is a word of retry_on.
type token struct {
	set func(*retryOn)
	why string // why it is not quite the same
}

var tokens = map[string]token{
	"5xx":           {set: func(c *retryOn) { c.all5xx, c.noAnswer = true, true }},
	"gateway-error": {set: func(c *retryOn) { c.statuses, c.noAnswer = append(c.statuses, 502, 503, 504), true }},
	"reset":         {set: func(c *retryOn) { c.noAnswer = true }},
	"reset-before-request": {
		set: func(c *retryOn) { c.notSent = true },
		why: "reset-before-request holds where the client knows that nothing was sent",
	},
	"connect-failure":        {set: func(c *retryOn) { c.notSent = true }},
	"refused-stream":         {set: func(c *retryOn) { c.refused = true }},
	"retriable-4xx":          {set: func(c *retryOn) { c.statuses = append(c.statuses, 409) }},
	"retriable-status-codes": {set: func(c *retryOn) { c.takesStatuses = true }},
	"retriable-headers":      {set: func(c *retryOn) { c.takesHeaders = true }},
	"envoy-ratelimited": {set: func(c *retryOn) {
		c.headers = append(c.headers, header{"envoy-ratelimited", `"x-envoy-ratelimited" in ` + subject + ".headers", "RATE_LIMIT"})
	}},
	"cancelled":          {set: func(c *retryOn) { c.codes = append(c.codes, "CANCELLED") }},
	"deadline-exceeded":  {set: func(c *retryOn) { c.codes = append(c.codes, "DEADLINE_EXCEEDED") }},
	"internal":           {set: func(c *retryOn) { c.codes = append(c.codes, "INTERNAL") }},
	"resource-exhausted": {set: func(c *retryOn) { c.codes = append(c.codes, "RESOURCE_EXHAUSTED") }},
	"unavailable":        {set: func(c *retryOn) { c.codes = append(c.codes, "UNAVAILABLE") }},
}

// read takes the words of retry_on. It returns those that are kept, and what is to be
// said of the others. numbers tells whether a status may stand among the words.
func (c *retryOn) read(list string, numbers bool) (kept []string, why string) {
	for _, word := range strings.Split(list, ",") {
		word = strings.TrimSpace(word)
		status, err := strconv.ParseInt(word, 10, 64)
		known, ok := tokens[word]
		switch {
		case word == "":
		case ok:
			known.set(c)
			kept, why = append(kept, word), joined(why, known.why, "; ")
		case numbers && err == nil && status >= 100 && status <= 599:
			c.statuses = append(c.statuses, status)
			kept = append(kept, word)
		default:
			why = joined(why, plain(word)+" is dropped: the language sees no such failure", "; ")
		}
	}
	return kept, why
}

const maxWords = 100

// take reads the field and marks it.
func (c *retryOn) take(j *job, n *node, numbers bool) {
	list, ok := j.words(n)
	if !ok {
		return
	}
	if strings.Count(list, ",") > maxWords {
		j.fail(n, "%s has more than %d words", plain(n.key), maxWords)
		return
	}
	kept, why := c.read(list, numbers)
	became := "retried: " + strings.Join(kept, ", ")
	switch {
	case len(kept) == 0:
		n.drop(joined(why, "nothing of it can be retried on", "; "))
	case why != "":
		n.approx(became, why)
	default:
		n.exact(became)
	}
}

func (c *retryOn) grpcOnly() bool {
	return len(c.codes) > 0 && len(c.statuses) == 0 && len(c.headers) == 0 &&
		!c.all5xx && !c.noAnswer && !c.notSent && !c.refused
}

func (c *retryOn) packs() []val {
	switch {
	case c.grpcOnly():
		return []val{{"std.grpc", ""}}
	case len(c.codes) > 0:
		return []val{{"std.grpc", ""}, {"std.http", ""}}
	}
	return []val{{"std.http", ""}}
}

// neverRetried are the statuses above 499 that std.http takes for PERMANENT.
var neverRetried = []int64{501, 505, 510}

// retriedStatus tells whether std.http gives the status a class that is retried.
func retriedStatus(status int64) bool {
	return status >= 500 && !slices.Contains(neverRetried, status) || slices.Contains([]int64{408, 409, 421, 423, 425, 429}, status)
}

// apply makes p retry under the conditions and no others. It reports whether there is
// any.
func (c *retryOn) apply(j *job, p *policy, at *node, name string) bool {
	p.packs, p.results = c.packs(), !c.grpcOnly()
	slices.Sort(c.statuses)
	c.statuses = slices.Compact(c.statuses)
	slices.Sort(c.codes)
	c.codes = slices.Compact(c.codes)
	conditions := c.conditions()
	if len(conditions) == 0 {
		return false
	}
	above := fmt.Sprintf("%s: std.http would not retry these", name)
	for _, h := range c.headers {
		p.rules = append(p.rules, rule{id: h.id, when: h.when, class: h.class, hint: true})
	}
	p.rules = append(p.rules, grpcRules(c.codes, fmt.Sprintf("%s: std.grpc would not retry these", name))...)
	if c.all5xx {
		p.rules = append(p.rules, rule{above, "retryable-5xx", subject + ".status in " + intList(neverRetried), "SERVER_ERROR", true})
		above = ""
	}
	if c.all4xx {
		p.rules = append(p.rules, rule{above, "retryable-4xx", subject + ".status >= 400 && " + subject + ".status < 500", "TRANSIENT", true})
		above = ""
	}
	var never []int64
	for _, status := range c.statuses {
		if !retriedStatus(status) && !c.covered(status) {
			never = append(never, status)
		}
	}
	if len(never) > 0 {
		p.rules = append(p.rules, rule{above, "retryable-status", subject + ".status in " + intList(never), "TRANSIENT", true})
	}
	p.selects = j.stopUnless(at, name+": what is not listed is not retried", conditions)
	return true
}

// covered tells whether all statuses around this one are retried.
func (c *retryOn) covered(status int64) bool {
	return c.all5xx && status >= 500 || c.all4xx && status >= 400 && status < 500
}

// conditions are expressions of select.
func (c *retryOn) conditions() []string {
	var all []string
	if c.all5xx {
		all = append(all, "err.status >= 500")
	}
	if c.all4xx {
		all = append(all, "err.status >= 400 && err.status < 500")
	}
	var statuses []int64
	for _, status := range c.statuses {
		if !c.covered(status) {
			statuses = append(statuses, status)
		}
	}
	if len(statuses) > 0 {
		all = append(all, "err.status in "+intList(statuses))
	}
	if len(c.codes) > 0 {
		all = append(all, "err.code in "+celList(c.codes))
	}
	switch {
	case c.noAnswer && len(c.codes) > 0:
		all = append(all, `err.status == 0 && err.kind != "grpc" && class == TRANSIENT`)
	case c.noAnswer:
		all = append(all, "err.status == 0 && class == TRANSIENT")
	default:
		if c.notSent {
			all = append(all, `err.phase == "not_sent" && class == TRANSIENT`)
		}
		if c.refused {
			all = append(all, `err.code == "HTTP2_REFUSED_STREAM"`)
		}
	}
	if c.timeouts && !c.noAnswer {
		all = append(all, "err.timeout")
	}
	for _, h := range c.headers {
		all = append(all, strings.ReplaceAll(h.when, subject, "err"))
	}
	return all
}

func intList(all []int64) string {
	texts := make([]string, len(all))
	for i, x := range all {
		texts[i] = strconv.FormatInt(x, 10)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
