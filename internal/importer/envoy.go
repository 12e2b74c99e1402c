package importer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// importEnvoy finds routes with retries or timeouts, and clusters with limits or outlier
// detection, wherever they are nested.
func importEnvoy(j *job) {
	e := &envoy{job: j, clusters: map[string]*envoyCluster{}}
	e.walk(j.root, func(n *node) {
		if n.has("outlier_detection", "circuit_breakers") {
			e.cluster(n)
		}
	})
	if j.root.kind == mapping && j.root.has("retry_on", "num_retries", "retry_back_off", "per_try_timeout") {
		e.policy(j.root, nil, envoyScope{})
		return
	}
	e.routes(j.root, envoyScope{})
	for _, c := range e.order {
		if c.breaker != nil && !c.done {
			e.writeBreaker(c)
		}
	}
}

type envoy struct {
	*job
	clusters map[string]*envoyCluster
	order    []*envoyCluster
}

// An envoyCluster is what a policy can refer to.
type envoyCluster struct {
	at      *node
	name    string
	breaker block
	budget  string
	done    bool   // the breaker is written,
	called  string // under this name
}

// An envoyScope is where a route stands.
type envoyScope struct{ host, route *node }

func (e *envoy) walk(n *node, f func(*node)) {
	if n.kind == mapping {
		f(n)
	}
	for _, kid := range n.kids {
		e.walk(kid, f)
	}
}

// routes looks for what routes do.
func (e *envoy) routes(n *node, in envoyScope) {
	if n.kind == mapping {
		switch {
		case n.has("routes"):
			in.host = n
			n.get("retry_policy").within("no route uses it")
		case n.get("route") != nil && n.get("route").kind == mapping:
			in.route = n
			e.action(n.get("route"), in)
		case n.key != "route" && n.has("retry_policy"):
			e.action(n, in)
		}
	}
	for _, kid := range n.kids {
		if e.full() {
			return
		}
		e.routes(kid, in)
	}
}

// action makes a policy of a route that retries or has a timeout.
func (e *envoy) action(n *node, in envoyScope) {
	retry := e.object(n.get("retry_policy"))
	if retry == nil && in.host != nil {
		retry = e.object(in.host.get("retry_policy"))
	}
	for key, why := range envoyTimes {
		n.get(key).drop(why)
	}
	if retry == nil && !n.has("timeout") {
		return
	}
	e.policy(retry, n, in)
}

var envoyTimes = map[string]string{
	"idle_timeout":              "the engine does not see streams idle",
	"early_data_policy":         "a call has no early data",
	"max_stream_duration":       "retry.deadline bounds a call; streams are not told apart",
	"max_grpc_timeout":          "the deadline of the caller's context always counts",
	"grpc_timeout_offset":       "the deadline of the caller's context always counts",
	"hedge_policy":              "the language has no hedging",
	"retry_policy_typed_config": "retry plugins are code of the proxy",
}

// policy makes a policy of a retry policy, a route's action, or both.
func (e *envoy) policy(retry, action *node, in envoyScope) {
	at := action
	if at == nil {
		at = retry
	}
	p := &policy{}
	e.name(p, at, in)
	attempts, timeout, wait := int64(1), time.Duration(0), time.Duration(0)
	if retry == nil {
		p.packs, p.results = []val{{"std.http", ""}}, true
		p.maxAttempts = e.once(at, "Envoy does not retry on a route without a retry policy")
	} else {
		attempts, timeout, wait = e.retry(p, retry)
	}
	e.deadline(p, at, action, attempts, timeout, wait)
	if action != nil {
		e.target(p, action, attempts > 1)
	}
	e.addPolicy(p)
}

// name calls the policy after its route, else after its host and what it matches.
func (e *envoy) name(p *policy, at *node, in envoyScope) {
	p.head = []string{fmt.Sprintf("%s, line %d", at.where(), at.line)}
	route, host := in.route.get("name"), in.host.get("name")
	match := in.route.get("match")
	name, from := "", at
	if host != nil && host.scalar() && host.value != "" {
		name, from = host.value, host
	}
	switch {
	case route != nil && route.scalar() && route.value != "":
		name, from = route.value, route
	case match != nil:
		for _, key := range []string{"prefix", "path", "path_separated_prefix"} {
			if n := match.get(key); n != nil && n.scalar() && strings.Trim(n.value, "/") != "" {
				name = strings.Trim(name+"."+strings.Trim(n.value, "/"), ".")
				break
			}
		}
	}
	p.name = e.docName("Policy", legalName(name), from)
	if from != at {
		from.named(p.name)
	}
	match.drop("which requests a route matches is for operations to say: write the names of the call sites there")
}

// where is the path of a node, for comments.
func (n *node) where() string {
	if path := n.path(); path != "" {
		return clean(path)
	}
	return "the whole file"
}

func (e *envoy) deadline(p *policy, at, action *node, attempts int64, timeout, wait time.Duration) {
	n := action.get("timeout")
	d, ok := e.span(n, protoJSON, 0)
	switch {
	case action == nil:
		p.deadline = e.job.deadline(at, "a retry policy alone", attempts, timeout, wait)
	case ok && d == 0:
		p.deadline = e.endless(n, attempts, timeout, wait)
	case ok:
		p.deadline = e.exact(n, "retry.deadline", short(d))
	default:
		p.deadline = e.assume(at, "retry.deadline", "15s", "the default of Envoy's route timeout")
	}
}

// retry takes a retry policy over.
func (e *envoy) retry(p *policy, n *node) (attempts int64, timeout, wait time.Duration) {
	n.within("not known to be a part of a retry policy")
	for key, why := range envoyHosts {
		n.get(key).drop(why)
	}
	if retries := n.get("num_retries"); retries != nil && retries.value == "0" {
		return e.never(p, n, retries), 0, 0
	}
	c := &retryOn{}
	c.take(e.job, n.get("retry_on"), false)
	e.statuses(c, n.get("retriable_status_codes"))
	e.headers(c, n.get("retriable_headers"))
	if c.apply(e.job, p, n, "retry_on") {
		attempts = e.attempts(p, n)
	} else {
		attempts = 1
		p.maxAttempts = e.once(n, noCondition)
		n.get("num_retries").approx("retry.max_attempts: 1", noCondition)
	}
	if each := n.get("per_try_timeout"); each != nil {
		if d, ok := e.span(each, protoJSON, 0); ok && d > 0 {
			timeout = d
			p.attemptTimeout = e.exact(each, "retry.attempt_timeout", short(d))
		} else {
			each.exact("no attempt_timeout")
		}
	}
	if attempts > 1 {
		wait = e.backoff(p, n, attempts)
	} else {
		n.get("retry_back_off").drop("nothing is retried")
		n.get("rate_limited_retry_back_off").drop("nothing is retried")
	}
	return attempts, timeout, wait
}

// never is a retry policy without retries.
func (e *envoy) never(p *policy, n, retries *node) int64 {
	const why = "nothing is retried"
	p.packs, p.results = []val{{"std.http", ""}}, true
	for _, key := range []string{"retry_on", "retriable_status_codes", "retriable_headers", "retry_back_off", "rate_limited_retry_back_off"} {
		n.get(key).drop(why)
	}
	n.get("per_try_timeout").drop(why + ", so the route's timeout is that of the attempt")
	return e.retries(p, retries, 0)
}

const noCondition = "the retry policy names no failure to retry on"

var envoyHosts = map[string]string{
	"retry_host_predicate":              "which host is called is for the client to choose",
	"host_selection_retry_max_attempts": "which host is called is for the client to choose",
	"retry_priority":                    "which host is called is for the client to choose",
	"retry_options_predicates":          "which host is called is for the client to choose",
	"retriable_request_headers":         "a rule sees what was answered, not what was asked",
	"per_try_idle_timeout":              "the engine does not see attempts idle; attempt_timeout bounds the whole attempt",
}

// attempts takes the number of retries over, without the first attempt there and with
// it here.
func (e *envoy) attempts(p *policy, n *node) int64 {
	retries := n.get("num_retries")
	if retries == nil {
		p.maxAttempts = e.assume(n, "retry.max_attempts", "2", "Envoy retries once if num_retries is not given")
		return 2
	}
	x, ok := e.whole(retries, 0)
	if !ok {
		return 1
	}
	return e.retries(p, retries, x)
}

// retries turns a number of retries into one of attempts.
func (j *job) retries(p *policy, n *node, x int64) int64 {
	attempts, fits := capped(x + 1)
	if x < 0 || x+1 < x { // the largest int64
		attempts, fits = capped(x)
	}
	count := strconv.FormatInt(attempts, 10)
	if fits {
		p.maxAttempts = j.exact(n, "retry.max_attempts", count)
		p.maxAttempts.comment += ", and the first attempt"
	} else {
		p.maxAttempts = j.approx(n, "retry.max_attempts", count, "the largest number that the language has")
	}
	return attempts
}

func (e *envoy) statuses(c *retryOn, n *node) {
	for _, item := range e.items(n) {
		x, ok := e.whole(item, 0)
		switch {
		case !ok:
		case !c.takesStatuses:
			item.drop("retry_on has no retriable-status-codes, without which the list means nothing")
		case x < 100 || x > 599:
			e.fail(item, "%d is no HTTP status", x)
		default:
			item.exact(fmt.Sprintf("retried: err.status %d", x))
			c.statuses = append(c.statuses, x)
		}
	}
}

// headers reads matchers of response headers.
func (e *envoy) headers(c *retryOn, n *node) {
	for _, item := range e.items(n) {
		if item = e.object(item); item == nil {
			continue
		}
		if !c.takesHeaders {
			item.drop("retry_on has no retriable-headers, without which the list means nothing")
			continue
		}
		name, ok := e.words(item.get("name"))
		if !ok || name == "" {
			e.fail(item, "a header matcher has no name")
			continue
		}
		when, ok := e.match(item, strings.ToLower(name))
		if !ok {
			item.drop("only presence, exact values, prefixes, suffixes and parts are taken over; write a rule")
			continue
		}
		id := "retryable-header-" + strconv.Itoa(item.index+1)
		c.headers = append(c.headers, header{id, when, "TRANSIENT"})
		item.exact("classify: rule " + id)
	}
}

// match turns a header matcher into a condition.
func (e *envoy) match(n *node, name string) (string, bool) {
	inverted := e.truth(n.get("invert_match"))
	if n.has("treat_missing_header_as_empty", "safe_regex_match", "range_match") {
		return "", false
	}
	key := celText(name)
	there := key + " in " + subject + ".headers"
	value := subject + ".headers[" + key + "]"
	in := n
	if s := e.object(n.get("string_match")); s != nil {
		if in = s; s.has("ignore_case") && e.truth(s.get("ignore_case")) {
			value += ".lowerAscii()"
		}
	}
	for _, m := range []struct{ keys, form string }{
		{"exact_match exact", "%s == %s"}, {"prefix_match prefix", "%s.startsWith(%s)"},
		{"suffix_match suffix", "%s.endsWith(%s)"}, {"contains_match contains", "%s.contains(%s)"},
	} {
		for _, k := range strings.Fields(m.keys) {
			if at := in.get(k); at != nil {
				text, ok := e.words(at)
				if strings.Contains(value, "lowerAscii") {
					text = strings.ToLower(text)
				}
				return there + " && " + fmt.Sprintf(m.form, value, celText(text)), ok && !inverted
			}
		}
	}
	if at := n.get("present_match"); at != nil && !e.truth(at) {
		inverted = !inverted
	}
	if inverted {
		there = "!(" + there + ")"
	}
	return there, in == n // a string_match of another form is none that is known
}

// backoff takes the waits over: 25ms and ten times that if nothing is said.
func (e *envoy) backoff(p *policy, n *node, attempts int64) time.Duration {
	off := e.object(n.get("retry_back_off"))
	const why = "Envoy's n-th wait is below base times 2^n-1, full_jitter's below base times 2^(n-1)"
	where := "retry.strategy.full_jitter."
	var base, most val
	interval, ok := e.span(off.get("base_interval"), protoJSON, 1)
	if ok {
		base = e.approx(off.get("base_interval"), where+"base", short(interval), why)
	} else {
		interval = 25 * time.Millisecond
		base = e.assume(n, where+"base", short(interval), "the default of Envoy")
	}
	longestWait, ok := e.span(off.get("max_interval"), protoJSON, 1)
	if ok {
		longestWait = max(longestWait, interval)
		most = e.exact(off.get("max_interval"), where+"max", short(longestWait))
	} else {
		longestWait = times(interval, 10)
		most = e.assume(n, where+"max", short(longestWait), "Envoy's default is ten times the base")
	}
	p.strategy = strategyOf("full_jitter", parameter("base", base), parameter("max", most))
	e.rateLimited(p, n)
	return longestWait
}

// rateLimited makes the policy wait as long as the answer says.
func (e *envoy) rateLimited(p *policy, n *node) {
	limited := e.object(n.get("rate_limited_retry_back_off"))
	if limited == nil {
		return
	}
	limited.within("not known to be a part of rate_limited_retry_back_off")
	found := false
	for _, item := range e.items(limited.get("reset_headers")) {
		name, _ := e.words(e.object(item).get("name"))
		format, _ := e.words(item.get("format"))
		if strings.EqualFold(name, "retry-after") && (format == "" || strings.EqualFold(format, "SECONDS") || format == "0") {
			item.exact("retry.strategy: retry_after_or")
			found = true
		} else {
			item.drop("only Retry-After is read by itself; an error with a method RetryAfter() can pass on others")
		}
	}
	if !found {
		limited.get("max_interval").drop("no header that is read remains")
		return
	}
	where := "retry.strategy.retry_after_or."
	const above = "a hint above it is ignored there and stops the call here"
	var most val
	if d, ok := e.span(limited.get("max_interval"), protoJSON, 1); ok {
		most = e.approx(limited.get("max_interval"), where+"cap", short(d), above)
	} else {
		most = e.assume(limited, where+"cap", "5m", "the default of Envoy; "+above)
	}
	jitter := e.assume(limited, where+"jitter", "250ms", "Envoy adds up to half of the hint; this is the language's default")
	p.strategy = strategyOf("retry_after_or", parameter("jitter", jitter), parameter("cap", most), p.strategy[0])
}

// target gives the policy breaker and budget of the cluster that it calls.
func (e *envoy) target(p *policy, action *node, retries bool) {
	n := action.get("cluster")
	if n == nil {
		action.at("weighted_clusters").drop("a policy has one breaker, and several clusters have several")
		return
	}
	c := e.clusters[n.value]
	if !n.scalar() || c == nil || c.breaker == nil && c.budget == "" {
		n.drop("what is called is for the client to choose")
		return
	}
	if c.breaker != nil {
		e.writeBreaker(c)
		p.breaker = val{yamlText(c.called), origin(n)}
		n.exact("circuit_breaker: " + c.called)
	}
	if c.budget != "" && retries {
		p.budget = val{yamlText(c.budget), origin(n)}
		n.exact("retry.budget: " + c.budget)
	}
	if !n.marked {
		n.drop("the cluster has no breaker, and a budget only for retries")
	}
}

func (e *envoy) writeBreaker(c *envoyCluster) {
	if c.done {
		return
	}
	c.done = true
	c.called = e.docName("CircuitBreaker", c.name, c.at)
	c.at.get("name").named(c.called)
	e.add("CircuitBreaker", c.called, []string{fmt.Sprintf("%s, line %d", c.at.get("outlier_detection").where(), c.at.get("outlier_detection").line)}, c.breaker)
}

// cluster reads what a cluster has of limits and outlier detection.
func (e *envoy) cluster(n *node) {
	name, _ := e.words(n.get("name"))
	c := &envoyCluster{at: n, name: name}
	if c.name == "" {
		c.name = e.stem()
	}
	if first := e.clusters[name]; first != nil && name != "" {
		e.fail(n, "the cluster %s is written twice, first on line %d", plain(name), first.at.line)
		return
	}
	e.clusters[name] = c
	e.order = append(e.order, c)
	n.get("connect_timeout").drop("how long a connection may take is for the client to say")
	if d := e.object(n.get("outlier_detection")); d != nil {
		c.breaker = e.breaker(outlier{
			who: "Envoy", as: protoJSON, at: d,
			consecutive: d.get("consecutive_5xx"), enforce: d.get("enforcing_consecutive_5xx"),
			gateway: d.get("consecutive_gateway_failure"), enforceGateway: d.get("enforcing_consecutive_gateway_failure"),
			split: d.get("split_external_local_origin_errors"), local: d.get("consecutive_local_origin_failure"),
			interval: d.get("interval"), ejection: d.get("base_ejection_time"),
		})
	}
	if limits := e.object(n.get("circuit_breakers")); limits != nil {
		e.limits(c, limits)
	}
}

// limits finds the limit on retries among those on concurrency.
func (e *envoy) limits(c *envoyCluster, n *node) {
	n.within("the language has no limit on concurrent calls or connections")
	for _, item := range e.items(n.get("thresholds")) {
		if item = e.object(item); item == nil {
			continue
		}
		if priority := item.get("priority"); priority != nil && priority.value != "DEFAULT" && priority.value != "0" {
			item.drop("calls have no priority: the limits of DEFAULT are taken")
			continue
		}
		item.get("priority").drop("calls have no priority")
		if share := item.get("retry_budget"); share != nil {
			share.drop("a share of the calls that run; a budget here is a number within a window")
			item.get("max_retries").drop("retry_budget overrides it")
			continue
		}
		if limit := item.get("max_retries"); limit != nil && c.budget == "" {
			if c.budget = e.retryLimit(limit, c.name, "Envoy"); c.budget != "" {
				c.at.get("name").named(c.budget)
			}
		}
	}
}
