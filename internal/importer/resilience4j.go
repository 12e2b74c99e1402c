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

// importResilience4j reads the configuration of Spring Boot: instances of one name in
// several modules are one policy. What is configured besides stays outside the view: its
// keys have other rules.
func importResilience4j(j *job) {
	docs := []*node{j.root}
	if j.root.kind == list {
		docs = nil
		for _, doc := range j.root.kids {
			if profile := profileOf(doc); profile == "" {
				docs = append(docs, doc)
			} else {
				for _, kid := range doc.kids {
					if ofResilience4j(kid) {
						kid.within("it holds for the profile " + plain(profile) + " alone: import that document by itself")
					}
				}
			}
		}
	}
	if len(docs) == 0 {
		return
	}
	s := &spring{job: j, modules: map[string]*springModule{}}
	for i, doc := range docs {
		own := *doc
		own.kids = slices.DeleteFunc(slices.Clone(doc.kids), func(kid *node) bool { return !ofResilience4j(kid) })
		docs[i] = &own
	}
	view := j.expand(docs, splitDots, springFold)
	top := view.get("resilience4j")
	if top == nil || top.kind != mapping {
		return
	}
	top.within("not known to be a part of Resilience4j's configuration")
	for key, why := range springLimits {
		top.get(key).within(why)
	}
	for _, key := range []string{"retry", "circuitbreaker", "timelimiter"} {
		s.module(key, j.object(top.get(key)))
	}
	for _, name := range s.names() {
		if s.policy(name); s.full() {
			return
		}
	}
	s.unused()
}

func ofResilience4j(n *node) bool { return keyForm(splitDots(n.key)[0]) == "resilience4j" }

// springFold takes keys in any spelling, but not those that are names of the program:
// below resilience4j.retry.instances, and below a property.
func springFold(level int, key string) string {
	switch {
	case level == 3:
		return unbracketed(key)
	case level > 4:
		return key
	}
	return keyForm(key)
}

const noLimits = "the language has no limit on concurrent calls or on their rate"

var springLimits = map[string]string{"bulkhead": noLimits, "threadPoolBulkhead": noLimits, "ratelimiter": noLimits}

// profileOf returns the profile to which a document is bound.
func profileOf(doc *node) string {
	found := ""
	doc.leaves(func(leaf *node) {
		_, path, _ := strings.Cut(leaf.path(), " ")
		path, _, _ = strings.Cut(keyForm(strings.ReplaceAll(path, `"`, "")), "[")
		if path == "spring.config.activate.onprofile" || path == "spring.profiles" {
			found = leaf.value
		}
	})
	return found
}

type spring struct {
	*job
	modules map[string]*springModule
}

// Spring takes numbers and truths with blanks around them, which .properties files keep.

func (s *spring) whole(n *node, least int64) (int64, bool) { return s.job.whole(trimmed(n), least) }

func (s *spring) real(n *node, least, most float64) (float64, bool) {
	return s.job.real(trimmed(n), least, most)
}

func (s *spring) truth(n *node) bool { return s.job.truth(trimmed(n)) }

func trimmed(n *node) *node {
	if n == nil {
		return nil
	}
	copied := *n
	copied.value = strings.TrimSpace(n.value)
	return &copied
}

// A springModule holds what one module has of groups of properties.
type springModule struct {
	name      string
	configs   map[string]*node
	instances map[string]*node
	order     []string // names of instances
	used      map[string]bool
}

func (s *spring) module(name string, n *node) {
	m := &springModule{name: name, configs: map[string]*node{}, instances: map[string]*node{}, used: map[string]bool{}}
	s.modules[name] = m
	if n == nil {
		return
	}
	for _, kid := range n.kids {
		if strings.HasSuffix(keyForm(kid.key), "aspectorder") {
			kid.drop("the order is fixed: attempts within retries within the breaker")
		}
	}
	for _, key := range []string{"instances", "backends"} {
		if group := s.object(n.get(key)); group != nil {
			for _, one := range group.kids {
				if one.kind != null && s.object(one) != nil {
					m.instances[unbracketed(one.key)] = one
					m.order = append(m.order, unbracketed(one.key))
				}
			}
		}
	}
	if group := s.object(n.get("configs")); group != nil {
		for _, one := range group.kids {
			if one.kind != null && s.object(one) != nil {
				m.configs[unbracketed(one.key)] = one
			}
		}
		if len(m.order) == 0 { // then the program names its instances
			for _, one := range group.kids {
				if name := unbracketed(one.key); m.configs[name] != nil {
					m.order = append(m.order, name)
				}
			}
			m.instances = m.configs
		}
	}
}

// names returns those of all instances, in the order of the input.
func (s *spring) names() []string {
	var all []string
	seen := map[string]bool{}
	for _, key := range []string{"retry", "circuitbreaker", "timelimiter"} {
		for _, name := range s.modules[key].order {
			if !seen[name] {
				all = append(all, name)
			}
			seen[name] = true
		}
	}
	return all
}

// unused says why configs were dropped that nothing inherits.
func (s *spring) unused() {
	for _, m := range s.modules {
		for name, config := range m.configs {
			if !m.used[name] && m.instances[name] != config {
				config.within("no instance inherits this config")
			}
		}
	}
}

// A group is an instance with what it inherits, the nearest first.
type group []*node

// maxBases bounds chains of configs.
const maxBases = 20

// group follows baseConfig. Without one, a breaker inherits the config of its own name,
// and everything inherits the config named default.
func (s *spring) group(m *springModule, name string) group {
	n := m.instances[name]
	if n == nil {
		return nil
	}
	g := group{n}
	seen := map[*node]bool{n: true}
	for at := n; ; {
		base := at.get("baseConfig")
		called, _ := s.words(base)
		switch {
		case called != "":
		case len(g) == 1 && m.name == "circuitbreaker" && m.configs[name] != nil && m.configs[name] != n:
			called = name
		case m.configs["default"] != nil && !seen[m.configs["default"]] && (len(g) == 1 || m.name != "circuitbreaker"):
			called = "default"
		default:
			return g
		}
		next := m.configs[called]
		switch {
		case next == nil:
			s.fail(base, "there is no config %s", plain(called))
			return g
		case seen[next]:
			s.fail(base, "the config %s inherits itself", plain(called))
			return g
		case len(g) > maxBases:
			s.fail(base, "more than %d configs inherit from each other", maxBases)
			return g
		}
		base.exact("inherits " + plain(called))
		m.used[called] = true
		seen[next] = true
		g = append(g, next)
		at = next
	}
}

// get returns a property: the instance's own or the nearest that it inherits. A
// placeholder stands for its default.
func (g group) get(key string) *node {
	var found *node
	for _, n := range g {
		value := n.get(key)
		switch {
		case value == nil:
		case found == nil:
			found = value
		default:
			value.within("the instances that inherit it say otherwise")
		}
	}
	return found.resolved()
}

var placeholder = lazyregexp.New(`^\$\{([^{}:]+)(:([^{}]*))?\}$`)

// resolved puts the default in the place of a placeholder; nil if there is none.
func (n *node) resolved() *node {
	if n == nil || n.kind != textual || !strings.Contains(n.value, "${") {
		return n
	}
	real := n
	for real.real != nil {
		real = real.real
	}
	m := placeholder.FindStringSubmatch(n.value)
	if m == nil || m[2] == "" {
		n.drop("its value is known only when the program runs")
		return nil
	}
	real.caveat = "the default of a placeholder: " + plain(m[1]) + " may say otherwise when the program runs"
	copied := *n
	copied.value, copied.real = m[3], real
	return &copied
}

// policy makes one policy of the instances of a name.
func (s *spring) policy(name string) {
	retry := s.group(s.modules["retry"], name)
	breaker := s.group(s.modules["circuitbreaker"], name)
	limiter := s.group(s.modules["timelimiter"], name)
	at := slices.Concat(retry, breaker, limiter)[0]
	p := &policy{results: true}
	for _, g := range []group{retry, breaker, limiter} {
		if g != nil {
			if g[0].leaf() {
				g[0].exact("name: " + plain(name))
			}
			g[0].within("not known to be a part of Resilience4j's configuration")
			p.head = append(p.head, fmt.Sprintf("%s, line %d", g[0].where(), g[0].line))
		}
	}
	p.name = s.docName("Policy", name, at)
	p.packs = []val{s.assume(at, "classify", "use: std.http", "the input does not say what is called; std.sql, std.grpc and others are for other protocols")}
	p.packs[0].text = "std.http"
	attempts, wait := int64(1), time.Duration(0)
	if retry != nil {
		attempts, wait = s.retry(p, retry)
	} else {
		p.maxAttempts = s.once(at, "there is no retry of this name")
	}
	timeout := time.Duration(0)
	if limiter != nil {
		timeout = s.limiter(p, limiter)
	}
	p.deadline = s.deadline(at, "Resilience4j", attempts, timeout, wait)
	if breaker != nil {
		s.breaker(p, breaker)
	}
	s.addPolicy(p)
}

func (s *spring) limiter(p *policy, g group) time.Duration {
	n := g.get("timeoutDuration")
	timeout, ok := s.span(n, springTime, 1)
	if ok {
		p.attemptTimeout = s.exact(n, "retry.attempt_timeout", short(timeout))
	} else {
		timeout = time.Second
		p.attemptTimeout = s.assume(g[0], "retry.attempt_timeout", "1s", "the default of Resilience4j's time limiter")
	}
	if n := g.get("cancelRunningFuture"); n != nil && s.truth(n) {
		n.exact("the context of the attempt ends")
	} else {
		n.drop("the context of an attempt always ends with its timeout")
	}
	g.get("eventConsumerBufferSize").drop(noEvents)
	return timeout
}

const noEvents = "events are for observers, which code registers"

func (s *spring) retry(p *policy, g group) (attempts int64, wait time.Duration) {
	n := g.get("maxAttempts")
	attempts, ok := s.whole(n, 1)
	if ok {
		var fits bool
		if attempts, fits = capped(attempts); fits {
			p.maxAttempts = s.exact(n, "retry.max_attempts", strconv.FormatInt(attempts, 10))
		} else {
			p.maxAttempts = s.approx(n, "retry.max_attempts", strconv.FormatInt(attempts, 10), "the largest number that the language has")
		}
	} else {
		attempts = 3
		p.maxAttempts = s.assume(g[0], "retry.max_attempts", "3", "the default of Resilience4j")
	}
	for key, why := range springCode {
		g.get(key).drop(why)
	}
	wait = s.backoff(p, g, attempts)
	s.exceptions(p, g, attempts)
	return attempts, wait
}

var springCode = map[string]string{
	"retryExceptionPredicate":         "a class of the program decides: write a rule",
	"resultPredicate":                 "a class of the program decides: write a rule in classify_result",
	"intervalBiFunction":              "a class of the program decides: register a strategy and name it with func",
	"consumeResultBeforeRetryAttempt": "code of the program",
	"failAfterMaxAttempts":            "a call that gives up always returns an error",
	"eventConsumerBufferSize":         noEvents,
	"ignoreClassBindingExceptions":    "there are no classes to bind",
}

// backoff takes the waits over. Resilience4j looks at what makes them grow or vary only
// where waitDuration is given.
func (s *spring) backoff(p *policy, g group, attempts int64) time.Duration {
	n := g.get("waitDuration")
	wait, given := s.span(n, springTime, 0)
	grows, varies := g.get("enableExponentialBackoff"), g.get("enableRandomizedWait")
	multiplier, longestWait := g.get("exponentialBackoffMultiplier"), g.get("exponentialMaxWaitDuration")
	spread := g.get("randomizedWaitFactor")
	extras := []*node{grows, varies, multiplier, longestWait, spread}
	if !given {
		for _, extra := range extras {
			extra.drop("Resilience4j passes it over where waitDuration is not given")
		}
		p.strategy = strategyOf("constant", parameter("delay", s.assume(g[0], "retry.strategy.constant.delay", "500ms", "the default of Resilience4j")))
		return 500 * time.Millisecond
	}
	if wait == 0 {
		for _, extra := range extras {
			extra.drop("there is no wait")
		}
		p.strategy = strategyOf("constant", parameter("delay", s.exact(n, "retry.strategy.constant.delay", "0s")))
		return 0
	}
	factor := 0.5
	if s.truth(varies) {
		if x, ok := s.real(spread, 0, 1); ok {
			factor = x
		}
	} else {
		spread.drop("enableRandomizedWait is not set")
	}
	if s.truth(grows) {
		return s.growing(p, g, n, wait, factor, attempts)
	}
	grows.exact("retry.strategy: waits do not grow")
	multiplier.drop("enableExponentialBackoff is not set")
	longestWait.drop("enableExponentialBackoff is not set")
	if s.truth(varies) {
		return s.varying(p, n, wait, factor, varies, spread)
	}
	varies.exact("retry.strategy: waits do not vary")
	p.strategy = strategyOf("constant", parameter("delay", s.exact(n, "retry.strategy.constant.delay", short(wait))))
	return wait
}

// growing makes a strategy of waits that grow.
func (s *spring) growing(p *policy, g group, n *node, wait time.Duration, spread float64, attempts int64) time.Duration {
	multiplier, ok := s.real(g.get("exponentialBackoffMultiplier"), 0, math.MaxFloat32)
	if ok && multiplier < 1 {
		s.fail(g.get("exponentialBackoffMultiplier"), "exponentialBackoffMultiplier is at least 1, not %s", plain(g.get("exponentialBackoffMultiplier").value))
		return 0
	}
	if !ok {
		multiplier = 1.5
	}
	varies := g.get("enableRandomizedWait")
	random := s.truth(varies)
	name := "exponential"
	var why string
	switch {
	case random && multiplier <= 1.75:
		name, why = "token_backoff", "waits grow by 1.5 each time, and vary between half and all of that"
	case random:
		name, why = "equal_jitter", "waits double each time, and vary between half and all of that"
	}
	where := "retry.strategy." + name + "."
	most := g.get("exponentialMaxWaitDuration")
	limit, limited := s.span(most, springTime, 1)
	reach := longest(wait, multiplier, attempts)
	if random {
		reach = rounded(times(reach, 1+spread))
	}
	if limited {
		limit = max(limit, 1)
	} else {
		limit = reach
	}
	base := min(wait, limit)
	var b []entry
	if random {
		b = append(b, parameter("base", s.approx(n, where+"base", short(base), why)))
	} else {
		b = append(b, parameter("base", s.exact(n, where+"base", short(base))))
	}
	if limited {
		b = append(b, parameter("max", s.exact(most, where+"max", short(limit))))
	} else {
		b = append(b, parameter("max", s.assume(n, where+"max", short(limit), "there is no exponentialMaxWaitDuration; "+reached(limit))))
	}
	factor := g.get("exponentialBackoffMultiplier")
	g.get("enableExponentialBackoff").exact("retry.strategy: " + name)
	if random {
		factor.approx("retry.strategy: "+name, why)
		varies.approx("retry.strategy: "+name, why)
		g.get("randomizedWaitFactor").approx("retry.strategy: "+name, why)
	} else {
		varies.exact("retry.strategy: waits do not vary")
		if factor != nil {
			b = append(b, parameter("factor", s.exact(factor, where+"factor", decimalText(multiplier))))
		} else {
			b = append(b, parameter("factor", s.assume(n, where+"factor", "1.5", "the default of Resilience4j")))
		}
	}
	p.strategy = strategyOf(name, b...)
	return min(limit, reach)
}

// maxListed bounds lists, which many instances may inherit.
const maxListed = 1000

// list reads a list of texts, which Spring also takes with commas between.
func (s *spring) list(n *node) []*node {
	switch {
	case n == nil:
		return nil
	case len(n.kids) > maxListed || n.scalar() && strings.Count(n.value, ",") >= maxListed:
		s.fail(n, "%s lists more than %d", plain(n.key), maxListed)
		return nil
	case n.kind == list:
		return n.kids
	case n.flattened():
		return s.inOrder(n)
	case n.scalar() && strings.TrimSpace(n.value) == "":
		n.drop("the list is empty")
		return nil
	case n.scalar():
		var all []*node
		for _, one := range strings.Split(n.value, ",") {
			copied := *n
			copied.value = strings.TrimSpace(one)
			if copied.real == nil {
				copied.real = n
			}
			all = append(all, &copied)
		}
		return all
	}
	s.fail(n, "%s is a list, not %s", plain(n.key), n.described())
	return nil
}

// exceptions takes the lists of exceptions over, as far as they have counterparts.
func (s *spring) exceptions(p *policy, g group, attempts int64) {
	listed, ignored := g.get("retryExceptions"), g.get("ignoreExceptions")
	only, never := s.read(listed, "retried"), s.read(ignored, "not retried")
	if never.all {
		p.selects = append(p.selects, selection{origin(ignored), "ignored", "true"})
	} else if conditions := never.conditions(); len(conditions) > 0 {
		p.selects = append(p.selects, selection{origin(ignored), "ignored", strings.Join(conditions, " || ")})
	}
	if !only.all && len(only.conditions()) > 0 {
		rules := &policy{}
		only.apply(s.job, rules, listed, origin(listed))
		p.rules = append(p.rules, rules.rules...)
		p.selects = append(p.selects, rules.selects...)
		return
	}
	if listed != nil && !only.all {
		s.gap(listed, "retried: by class", "no exception of the list has a counterpart; AUTH, PERMISSION and PERMANENT are not retried")
	} else {
		s.gap(g[0], "retried: by class", "Resilience4j retries every exception; here AUTH, PERMISSION and PERMANENT are not retried")
	}
	if attempts > 1 {
		p.maxUnknown = s.assume(g[0], "retry.max_unknown_attempts", strconv.FormatInt(attempts, 10), "Resilience4j retries what it does not know like anything else")
	}
}

// read collects conditions from a list of exceptions.
func (s *spring) read(n *node, became string) *exceptions {
	c := &exceptions{}
	for _, item := range s.list(n) {
		name, ok := s.words(item)
		if !ok {
			continue
		}
		e, known := exceptionOf(name)
		switch {
		case !known:
			item.drop("no failure that rules see is known for this class: write a rule")
		case e.why != "":
			item.drop(e.why)
		default:
			e.set(c)
			item.approx(became+": "+e.as, "classes of Java have no exact counterparts")
		}
	}
	return c
}

// exceptions are conditions from names of classes.
type exceptions struct {
	retryOn
	all bool
}

type exception struct {
	as      string // in words
	classes []string
	why     string // it is dropped
	set     func(*exceptions)
}

var (
	anything = exception{as: "every failure", classes: countedByDefault, set: func(e *exceptions) { e.all = true }}
	noAnswer = exception{as: "no answer", classes: []string{"TRANSIENT"}, set: func(e *exceptions) { e.noAnswer = true }}
	notSent  = exception{as: "no connection", classes: []string{"TRANSIENT"}, set: func(e *exceptions) { e.notSent = true }}
	timedOut = exception{as: "timeouts", classes: []string{"TRANSIENT"}, set: func(e *exceptions) { e.timeouts = true }}
	serverly = exception{as: "statuses from 500", classes: []string{"SERVER_ERROR"}, set: func(e *exceptions) { e.all5xx = true }}
	cliently = exception{as: "statuses from 400 to 499", classes: []string{"RATE_LIMIT", "CONCURRENCY"}, set: func(e *exceptions) { e.all4xx = true }}
)

// exceptionNames are classes by their names without packages.
var exceptionNames = map[string]exception{
	"Throwable": anything, "Exception": anything, "RuntimeException": anything,
	"IOException": noAnswer, "UncheckedIOException": noAnswer, "SocketException": noAnswer, "ResourceAccessException": noAnswer,
	"WebClientRequestException": noAnswer, "RetryableException": noAnswer,
	"ConnectException": notSent, "NoRouteToHostException": notSent, "HttpHostConnectException": notSent, "ConnectTimeoutException": notSent,
	"TimeoutException": timedOut, "SocketTimeoutException": timedOut, "HttpTimeoutException": timedOut, "ReadTimeoutException": timedOut,
	"HttpServerErrorException": serverly, "FeignException$FeignServerException": serverly,
	"HttpClientErrorException": cliently, "FeignException$FeignClientException": cliently,
	"CallNotPermittedException": {why: "an open breaker ends a call with CIRCUIT_OPEN"},
}

// statusNames are classes below those of Spring and Feign for single statuses.
var statusNames = map[string]int64{
	"BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404, "MethodNotAllowed": 405, "NotAcceptable": 406, "Conflict": 409,
	"Gone": 410, "UnsupportedMediaType": 415, "UnprocessableEntity": 422, "TooManyRequests": 429, "InternalServerError": 500, "NotImplemented": 501,
	"BadGateway": 502, "ServiceUnavailable": 503, "GatewayTimeout": 504,
}

// exceptionOf finds a class by its full name.
func exceptionOf(name string) (exception, bool) {
	name = strings.TrimSpace(name)
	if strings.ContainsAny(name, ", ") { // several names in one place of a list
		return exception{}, false
	}
	short := name[strings.LastIndex(name, ".")+1:]
	if e, ok := exceptionNames[short]; ok {
		return e, true
	}
	outer, inner, _ := strings.Cut(short, "$")
	status, ok := statusNames[inner]
	if !ok || !slices.Contains([]string{"HttpServerErrorException", "HttpClientErrorException", "WebClientResponseException", "FeignException"}, outer) {
		return exception{}, false
	}
	classes := cliently.classes
	if status >= 500 {
		classes = serverly.classes
	}
	return exception{
		as: fmt.Sprintf("status %d", status), classes: classes,
		set: func(e *exceptions) { e.statuses = append(e.statuses, status) },
	}, true
}

// countedByDefault are the classes for a breaker that counts everything: all but those
// that say that the request was wrong.
var countedByDefault = []string{"TRANSIENT", "SERVER_ERROR", "RATE_LIMIT", "CONCURRENCY", "UNKNOWN"}

// breaker turns a share of failures into a number of them.
func (s *spring) breaker(p *policy, g group) {
	for key, why := range springBreaker {
		g.get(key).drop(why)
	}
	var b block
	b.put("failure_threshold", s.threshold(g))
	s.window(&b, g)
	open := g.get("waitDurationInOpenState")
	if d, ok := s.span(open, springTime, 1); ok {
		b.put("recovery_timeout", s.exact(open, "circuit_breaker.recovery_timeout", short(d)))
	} else {
		b.put("recovery_timeout", s.assume(g[0], "circuit_breaker.recovery_timeout", "1m", "the default of Resilience4j"))
	}
	if most := g.get("maxWaitDurationInHalfOpenState"); most != nil {
		if d, ok := s.span(most, springTime, 0); ok && d > 0 {
			b.put("probe_timeout", s.approx(most, "circuit_breaker.probe_timeout", short(d), "there the breaker opens again; here the next call may probe"))
		} else {
			most.drop("0 waits for ever; a probe that does not end always loses its place")
		}
	}
	if probes := g.get("permittedNumberOfCallsInHalfOpenState"); probes != nil {
		if x, ok := s.whole(probes, 1); ok && x == 1 {
			probes.exact("one probe at a time")
		} else {
			probes.drop("one probe at a time, and it alone decides")
		}
	}
	b.put("trip_on", s.tripOn(g))
	p.breakerBody = b
}

var springBreaker = map[string]string{
	"slowCallRateThreshold":                        "the language has no breaker for slow calls; attempt_timeout makes them failures",
	"slowCallDurationThreshold":                    "the language has no breaker for slow calls; attempt_timeout makes them failures",
	"automaticTransitionFromOpenToHalfOpenEnabled": "the next call after recovery_timeout is the probe, without a timer",
	"writableStackTraceEnabled":                    "errors have no stack traces",
	"registerHealthIndicator":                      "health is for the program to report",
	"allowHealthIndicatorToFail":                   "health is for the program to report",
	"eventConsumerBufferSize":                      noEvents,
	"recordFailurePredicate":                       "a class of the program decides: write rules",
	"recordResultPredicate":                        "a class of the program decides: write a rule in classify_result",
	"ignoreExceptionPredicate":                     "a class of the program decides: write rules",
	"ignoreClassBindingExceptions":                 "there are no classes to bind",
	"enableExponentialBackoff":                     "recovery_timeout does not grow",
	"exponentialBackoffMultiplier":                 "recovery_timeout does not grow",
	"exponentialMaxWaitDurationInOpenState":        "recovery_timeout does not grow",
	"enableRandomizedWait":                         "recovery_timeout does not vary",
	"randomizedWaitFactor":                         "recovery_timeout does not vary",
	"initialState":                                 "a breaker begins closed",
}

// threshold is the least number of failures that can open the breaker there.
func (s *spring) threshold(g group) val {
	const key = "circuit_breaker.failure_threshold"
	rate, calls, size := 50.0, int64(100), int64(100)
	given := func(n *node, least int64, x *int64) bool {
		v, ok := s.whole(n, least)
		if ok {
			*x, _ = capped(v)
		}
		return ok
	}
	share, least := g.get("failureRateThreshold"), g.get("minimumNumberOfCalls")
	if x, ok := s.real(share, 0, 100); ok {
		rate = x
	}
	hasLeast, hasSize := given(least, 1, &calls), given(g.get("slidingWindowSize"), 1, &size)
	kind, _ := s.words(g.get("slidingWindowType"))
	if windowForm(kind) != "timebased" && size < calls { // the window never holds more
		least.drop("the window is smaller")
		calls, least, hasLeast = size, g.get("slidingWindowSize"), hasSize
	}
	count, why := failures(decimalText(rate)+" percent", rate/100, calls)
	switch {
	case share == nil && !hasLeast:
		return s.assume(g[0], key, count, "the default of Resilience4j; "+why)
	case share == nil:
		return s.approx(least, key, count, why)
	}
	if hasLeast {
		least.approx(key+": "+count, why)
	}
	return s.approx(share, key, count, why)
}

// windowForm reduces spellings of a kind of window to one, as Spring does.
func windowForm(word string) string { return keyForm(strings.TrimSpace(word)) }

func (s *spring) window(b *block, g group) {
	kind, size := g.get("slidingWindowType"), g.get("slidingWindowSize")
	word, _ := s.words(kind)
	if windowForm(word) == "timebased" {
		kind.exact("circuit_breaker.window: a time")
		if x, ok := s.whole(size, 1); ok {
			b.put("window", s.exact(size, "circuit_breaker.window", short(times(time.Second, float64(x)))))
		} else {
			b.put("window", s.assume(g[0], "circuit_breaker.window", "1m40s", "the default of Resilience4j, 100 seconds"))
		}
		return
	}
	if kind != nil && windowForm(word) != "countbased" {
		s.fail(kind, "slidingWindowType is COUNT_BASED or TIME_BASED, not %s", plain(word))
	}
	kind.drop("a window here is a time, not a number of calls")
	if size != nil && !strings.Contains(size.became(), "failure_threshold") {
		size.drop("a window here is a time, not a number of calls")
	}
	b.put("window", s.assume(g[0], "circuit_breaker.window", "1m", "the last calls are counted there, whenever they were; this is the language's default"))
}

// became is what was noted of a field so far.
func (n *node) became() string {
	for n.real != nil {
		n = n.real
	}
	return n.loss.Became
}

// tripOn finds the classes for the exceptions that count.
func (s *spring) tripOn(g group) val {
	const key = "circuit_breaker.trip_on"
	recorded, ignored := g.get("recordExceptions"), g.get("ignoreExceptions")
	classes := s.classes(recorded, "counted")
	var from []string
	if len(classes) > 0 {
		from = append(from, origin(recorded))
	} else {
		classes = countedByDefault
	}
	none := s.classes(ignored, "not counted")
	var kept []string
	for _, class := range classes {
		if !slices.Contains(none, class) && !slices.Contains(kept, class) {
			kept = append(kept, class)
		}
	}
	if len(kept) == 0 {
		kept = classes
		s.gap(ignored, key+": as if nothing were ignored", "nothing would be left to count")
	} else if len(none) > 0 {
		from = append(from, origin(ignored))
	}
	text := "[" + strings.Join(kept, ", ") + "]"
	if len(from) > 0 {
		return val{text, strings.Join(from, ", ") + ", approximated"}
	}
	return s.assume(g[0], key, text, "Resilience4j counts every exception; here AUTH, PERMISSION and PERMANENT do not count")
}

func (s *spring) classes(n *node, became string) []string {
	var all []string
	for _, item := range s.list(n) {
		name, ok := s.words(item)
		if !ok {
			continue
		}
		e, known := exceptionOf(name)
		switch {
		case !known:
			item.drop("no failure that rules see is known for this class: write a rule")
		case e.why != "":
			item.drop(e.why)
		default:
			all = append(all, e.classes...)
			item.approx(became+": "+strings.Join(e.classes, ", "), "classes of Java have no exact counterparts")
		}
	}
	return all
}

var (
	springSimple = lazyregexp.New(`^([0-9]{1,18})(ns|us|ms|s|m|h|d)?$`)
	isoDuration  = lazyregexp.New(`^PT?(?:([0-9]{1,9})D)?T?(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)S)?$`)
)

// springTime is the notation of Spring: a number with a unit, milliseconds without, or
// ISO 8601.
var springTime = notation{"500ms, 1s or PT0.5S", func(n *node) (time.Duration, error) {
	if m := springSimple.FindStringSubmatch(strings.ToLower(n.value)); m != nil {
		x, err := strconv.ParseInt(m[1], 10, 64)
		unit := map[string]time.Duration{
			"ns": time.Nanosecond, "us": time.Microsecond, "": time.Millisecond, "ms": time.Millisecond,
			"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
		}[m[2]]
		if err != nil || x > int64(math.MaxInt64/unit) {
			return 0, errNotation
		}
		return time.Duration(x) * unit, nil
	}
	m := isoDuration.FindStringSubmatch(strings.ToUpper(n.value))
	if m == nil || m[0] == "P" || m[0] == "PT" {
		return 0, errNotation
	}
	total := 0.0
	for i, unit := range []time.Duration{24 * time.Hour, time.Hour, time.Minute, time.Second} {
		if m[i+1] != "" {
			x, _ := strconv.ParseFloat(m[i+1], 64)
			total += x * float64(unit)
		}
	}
	if total >= math.MaxInt64 {
		return 0, errNotation
	}
	return time.Duration(math.Round(total)), nil
}}
