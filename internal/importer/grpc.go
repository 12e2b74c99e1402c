package importer

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// importGRPC reads a service config: https://github.com/grpc/grpc/blob/master/doc/service_config.md,
// with retries as in gRFC A6, or the choices between several that a DNS TXT record holds,
// as in gRFC A2.
func importGRPC(j *job) {
	g := &grpc{job: j, governed: map[string]string{}}
	if j.root.kind == list {
		g.choices()
		return
	}
	root := j.root
	if inner := j.object(root.get("serviceConfig")); inner != nil {
		root = inner
	}
	g.config(root)
}

// choices makes policies of every choice. Which one a client takes is not for a policy
// to say.
func (g *grpc) choices() {
	if len(g.root.kids) == 0 {
		g.fail(g.root, "the list of choices is empty")
	}
	for i, choice := range g.root.kids {
		if choice.kind != mapping {
			g.fail(choice, "a choice is an object, not %s", choice.described())
			continue
		}
		choice.within("not known to be a part of a choice; gRPC takes none that has such a field")
		g.selectors(choice)
		config := choice.get("serviceConfig")
		if config == nil {
			g.fail(choice, "the choice has no serviceConfig")
		}
		if config = g.object(config); config == nil {
			continue
		}
		config.within("not known to be a part of a service config")
		g.above = fmt.Sprintf("choice %d, ", i+1)
		if len(g.root.kids) > 1 {
			g.number = fmt.Sprintf("-choice-%d", i+1)
		}
		if g.config(config); g.full() {
			return
		}
	}
}

// selectors reads what says which clients take a choice.
func (g *grpc) selectors(choice *node) {
	const load = ": load the policies of one choice alone"
	for _, key := range []string{"clientLanguage", "clientHostname"} {
		for _, item := range g.items(choice.get(key)) {
			g.words(item)
		}
		choice.get(key).drop("a policy does not ask which client it is" + load)
	}
	percentage := choice.get("percentage")
	if x, ok := g.whole(percentage, 0); ok && x > 100 {
		g.fail(percentage, "percentage is at most 100, not %s", plain(percentage.value))
	}
	percentage.drop("a policy holds for all clients, not for a share of them" + load)
}

// config makes policies of one service config.
func (g *grpc) config(root *node) {
	g.budget, g.operations = "", map[string]*node{}
	methods := g.items(root.get("methodConfig"))
	throttling := g.object(root.get("retryThrottling"))
	for key, why := range grpcUnrelated {
		root.get(key).within(why)
	}
	if !slices.ContainsFunc(methods, func(m *node) bool { return m.has("retryPolicy", "hedgingPolicy", "timeout") }) && throttling == nil {
		return
	}
	root.within("not known to be a part of a service config")
	g.throttle(throttling)
	for _, m := range methods {
		if m = g.object(m); m != nil {
			g.method(m)
		}
	}
}

var grpcUnrelated = map[string]string{
	"loadBalancingPolicy": "which address is called is for the client to choose",
	"loadBalancingConfig": "which address is called is for the client to choose",
	"healthCheckConfig":   "a policy asks nobody for their health; a circuit_breaker watches the calls",
}

type grpc struct {
	*job
	above      string            // which choice it is, for comments
	number     string            // that of the choice at the end of names, if there are several
	governed   map[string]string // the policy of an operation
	budget     string
	operations map[string]*node
}

// docName tells apart what several choices say of one method.
func (g *grpc) docName(kind, wanted string, at *node) string {
	if g.number == "" {
		return g.job.docName(kind, wanted, at)
	}
	name := g.job.docName(kind, wanted+g.number, at)
	g.gap(at, "name: "+name, "gRPC takes the first choice that fits the client; names end with the number of the choice")
	return name
}

// throttle turns the token bucket, which all methods share, into a budget. From a full
// bucket, with nothing but failures, as many retries are made as the budget has.
func (g *grpc) throttle(n *node) {
	if n == nil {
		return
	}
	n.within("not known to be a part of retryThrottling")
	tokens, ok := g.real(n.get("maxTokens"), 0, 1000)
	if n.get("maxTokens") == nil {
		g.fail(n, "retryThrottling has no maxTokens")
	}
	if !ok {
		return
	}
	g.real(n.get("tokenRatio"), 0, math.MaxFloat32)
	g.budget = g.docName("Budget", g.stem()+"-throttling", n)
	retries := int64(math.Ceil(tokens/2)) - 1
	body := block{}
	body.put("max_retries", g.approx(n.get("maxTokens"), "max_retries", strconv.FormatInt(retries, 10),
		"a full bucket allows as many retries when everything fails; here they come back with time, there with successes"))
	n.get("tokenRatio").drop("a budget fills with time, not with successes")
	body.put("window", g.assume(n, "window", "1m", "a token bucket has no window; within this time the retries come back"))
	g.add("Budget", g.budget, []string{fmt.Sprintf("%sretryThrottling, line %d", g.above, n.line)}, body)
}

// method makes a policy of one entry of methodConfig.
func (g *grpc) method(m *node) {
	m.within("not known to be a part of methodConfig")
	m.get("waitForReady").drop("whether calls wait for a connection is for the client to choose")
	for _, key := range []string{"maxRequestMessageBytes", "maxResponseMessageBytes"} {
		m.get(key).drop("the size of messages is no matter of a policy")
	}
	retry, hedging := g.object(m.get("retryPolicy")), g.object(m.get("hedgingPolicy"))
	if retry != nil && hedging != nil {
		g.fail(hedging, "a method has a retryPolicy or a hedgingPolicy, not both; the other is on line %d", retry.line)
		return
	}
	p := &policy{packs: []val{{"std.grpc", ""}}}
	if !g.names(p, m) {
		m.drop("gRPC passes over a methodConfig without names")
		return
	}
	p.head = append([]string{fmt.Sprintf("%smethodConfig[%d], line %d", g.above, m.index, m.line)}, p.head...)
	attempts, timeout, wait := int64(1), time.Duration(0), time.Duration(0)
	switch {
	case retry != nil:
		attempts, timeout, wait = g.retry(p, retry)
	case hedging != nil:
		attempts = g.hedging(p, hedging)
	default:
		p.maxAttempts = g.once(m, "gRPC does not retry a method without a retryPolicy")
	}
	if d, ok := g.span(m.get("timeout"), protoJSON, 1); ok {
		p.deadline = g.exact(m.get("timeout"), "retry.deadline", short(d))
	} else {
		p.deadline = g.deadline(m, "the method has no timeout, and gRPC", attempts, timeout, wait)
	}
	if g.budget != "" && attempts > 1 {
		p.budget = val{g.budget, "retryThrottling"}
	}
	g.addPolicy(p)
}

// names takes the methods over as operations, and the first as the policy's name.
func (g *grpc) names(p *policy, m *node) bool {
	for _, n := range g.items(m.get("name")) {
		if n = g.object(n); n == nil {
			continue
		}
		n.within("not known to be a part of a name")
		service, _ := g.words(n.get("service"))
		method, _ := g.words(n.get("method"))
		operation, name := "*", "all-methods"
		switch {
		case service == "" && method != "":
			g.fail(n, "a name with a method has a service, too")
			continue
		case method != "":
			operation, name = "/"+service+"/"+method, service+"."+method
		case service != "":
			operation, name = "/"+service+"/*", service
		}
		if first := g.operations[operation]; first != nil {
			g.fail(n, "the name %s is given twice, first on line %d", plain(operation), first.line)
			continue
		}
		g.operations[operation] = n
		if p.name == "" {
			p.name = g.docName("Policy", name, n)
		}
		if owner := g.governed[operation]; owner != "" {
			n.approx("name: "+p.name, fmt.Sprintf("%s of an earlier choice governs %s, and an operation has one policy", owner, operation))
			p.head = append(p.head, fmt.Sprintf("without the operation %s, which %s has", clean(operation), owner))
			continue
		}
		g.governed[operation] = p.name
		n.exact("operations: " + operation)
		p.operations = append(p.operations, val{yamlText(operation), origin(n)})
	}
	return p.name != ""
}

// maxAttempts is what gRPC makes of a larger number.
const grpcMaxAttempts = 5

// attempts takes the number of attempts over, which counts the first as ours does.
func (g *grpc) attempts(p *policy, n *node, of *node, why string) int64 {
	if n == nil {
		g.fail(of, "%s has no maxAttempts", of.key)
		return 1
	}
	x, ok := g.whole(n, 2)
	switch {
	case !ok:
		return 1
	case x > grpcMaxAttempts:
		x = grpcMaxAttempts
		p.maxAttempts = g.approx(n, "retry.max_attempts", "5", joined("gRPC makes at most 5 attempts, whatever is written", why, "; "))
	case why != "":
		p.maxAttempts = g.approx(n, "retry.max_attempts", strconv.FormatInt(x, 10), why)
	default:
		p.maxAttempts = g.exact(n, "retry.max_attempts", strconv.FormatInt(x, 10))
	}
	return x
}

func (g *grpc) retry(p *policy, n *node) (attempts int64, timeout, wait time.Duration) {
	n.within("not known to be a part of a retryPolicy")
	attempts = g.attempts(p, n.get("maxAttempts"), n, "")
	wait = g.backoff(p, n, attempts)
	perAttempt := n.get("perAttemptRecvTimeout")
	timeout, limited := g.span(perAttempt, protoJSON, 1)
	if limited {
		p.attemptTimeout = g.approx(perAttempt, "retry.attempt_timeout", short(timeout), "there until the first message arrives, here until the attempt has ended")
	}
	if codes := n.get("retryableStatusCodes"); codes == nil || len(codes.kids) == 0 {
		g.fail(n, "retryPolicy has no retryableStatusCodes")
	} else {
		g.codes(p, codes, limited)
	}
	return attempts, timeout, wait
}

// backoff takes over the exponential backoff.
func (g *grpc) backoff(p *policy, n *node, attempts int64) time.Duration {
	base, okBase := g.span(n.get("initialBackoff"), protoJSON, 1)
	most, okMost := g.span(n.get("maxBackoff"), protoJSON, 1)
	factor, okFactor := g.real(n.get("backoffMultiplier"), 0, math.MaxFloat32)
	for _, key := range []string{"initialBackoff", "maxBackoff", "backoffMultiplier"} {
		if n.get(key) == nil {
			g.fail(n, "retryPolicy has no %s", key)
		}
	}
	if !okBase || !okMost || !okFactor {
		return 0
	}
	const jitter = "gRPC adds jitter of plus or minus 20 percent, exponential has none"
	if factor < 1 {
		delay := min(base, most)
		n.get("maxBackoff").drop("waits do not grow")
		n.get("backoffMultiplier").drop("waits do not shrink in the language")
		p.strategy = strategyOf("constant", parameter("delay", g.approx(n.get("initialBackoff"), "retry.strategy.constant.delay", short(delay), "gRPC's waits shrink from here")))
		return delay
	}
	baseWhy := jitter
	if base > most {
		baseWhy = "no wait is longer than maxBackoff; " + jitter
		base = most
	}
	where := "retry.strategy.exponential."
	p.strategy = strategyOf("exponential",
		parameter("base", g.approx(n.get("initialBackoff"), where+"base", short(base), baseWhy)),
		parameter("max", g.approx(n.get("maxBackoff"), where+"max", short(most), jitter)),
		parameter("factor", g.exact(n.get("backoffMultiplier"), where+"factor", decimalText(factor))))
	return min(longest(base, factor, attempts), most)
}

// hedging becomes retries one after another: a failure that is not fatal makes gRPC send
// the next request at once.
func (g *grpc) hedging(p *policy, n *node) int64 {
	n.within("not known to be a part of a hedgingPolicy")
	const serial = "the language has no hedging: attempts follow each other"
	if delay := n.get("hedgingDelay"); delay != nil {
		g.span(delay, protoJSON, 0)
		delay.drop(serial)
	}
	codes := n.get("nonFatalStatusCodes")
	if codes == nil || len(codes.kids) == 0 {
		const fatal = "without nonFatalStatusCodes no attempt follows a failure"
		g.whole(n.get("maxAttempts"), 2)
		p.maxAttempts = g.once(n, fatal)
		n.get("maxAttempts").approx("retry.max_attempts: 1", fatal+", and the language has no hedging")
		codes.exact("retry.max_attempts: 1")
		return 1
	}
	attempts := g.attempts(p, n.get("maxAttempts"), n, serial)
	p.strategy = strategyOf("immediate")
	p.strategy[0].value = "{}"
	p.strategy[0].comment = "hedgingPolicy, approximated: after a code that is not fatal gRPC sends the next request at once"
	g.codes(p, codes, false)
	return attempts
}

// grpcCodes are the status codes by number.
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// retriedByClass are the codes that std.grpc gives a class that is retried.
var retriedByClass = []string{"RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "INTERNAL", "DATA_LOSS"}

// codes makes retried what is listed, and nothing else. timeouts says that attempts
// which run out of time are retried as well.
func (g *grpc) codes(p *policy, n *node, timeouts bool) {
	var codes []string
	for _, item := range g.items(n) {
		code, ok := g.code(item)
		switch {
		case !ok:
		case code == "OK":
			item.drop("OK is no failure")
		default:
			item.exact("retried: err.code " + code)
			if !slices.Contains(codes, code) {
				codes = append(codes, code)
			}
		}
	}
	if len(codes) == 0 {
		return
	}
	slices.Sort(codes)
	p.rules = append(p.rules, grpcRules(codes, fmt.Sprintf("%s: std.grpc would not retry these", origin(n)))...)
	conditions := []string{"err.code in " + celList(codes)}
	if timeouts {
		conditions = append(conditions, "err.timeout")
	}
	p.selects = g.stopUnless(n, origin(n)+": what is not listed is not retried", conditions)
}

// grpcRules gives codes that are to be retried a class that can be.
func grpcRules(codes []string, above string) []rule {
	var never []string
	for _, code := range codes {
		if !slices.Contains(retriedByClass, code) {
			never = append(never, code)
		}
	}
	if len(never) == 0 {
		return nil
	}
	return []rule{{above: above, id: "retryable-code", when: "err.code in " + celList(never), class: "TRANSIENT"}}
}

// code reads a status code: its number, or its name in any case.
func (g *grpc) code(n *node) (string, bool) {
	if n.kind == numeric {
		if x, err := strconv.Atoi(n.value); err == nil && x >= 0 && x < len(grpcCodes) {
			return grpcCodes[x], true
		}
	}
	if name := strings.ToUpper(n.value); n.kind == textual && slices.Contains(grpcCodes, name) {
		return name, true
	}
	g.fail(n, "%s is no gRPC status code", n.described())
	return "", false
}
