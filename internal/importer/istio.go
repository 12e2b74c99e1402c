package importer

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// importIstio reads virtual services and destination rules.
func importIstio(j *job) {
	i := &istio{job: j, hosts: map[string]*istioHost{}}
	resources := i.resources()
	for _, r := range resources {
		if kindOf(r) == "DestinationRule" {
			i.rule(r)
		}
	}
	for _, r := range resources {
		if kindOf(r) == "VirtualService" {
			i.service(r)
		}
	}
	for _, h := range i.order {
		i.writeBreaker(h)
	}
}

type istio struct {
	*job
	hosts map[string]*istioHost
	order []*istioHost
}

// An istioHost is what a destination rule says of a host or a subset of it.
type istioHost struct {
	at      *node // the traffic policy
	name    string
	breaker block
	budget  string
	done    bool
	called  string
}

func kindOf(r *node) string {
	if n := r.get("kind"); n != nil && n.kind == textual {
		return n.value
	}
	return ""
}

// resources returns those of all documents, and what lists of them hold.
func (i *istio) resources() []*node {
	all := []*node{i.root}
	if i.root.kind == list {
		all = i.root.kids
	}
	var found []*node
	for _, r := range all {
		if items := r.get("items"); kindOf(r) == "List" && items != nil && items.kind == list {
			for _, item := range items.kids {
				if item.kind == mapping {
					found = append(found, item)
				}
			}
		} else {
			found = append(found, r)
		}
	}
	return found
}

// fullHost spells a host out: short names are meant in the namespace of the resource.
func (i *istio) fullHost(r *node, host string) string {
	if strings.Contains(host, ".") || host == "" {
		return host
	}
	namespace := "default"
	if n := r.at("metadata", "namespace"); n != nil && n.scalar() {
		namespace = n.value
	}
	return host + "." + namespace + ".svc.cluster.local"
}

func (i *istio) rule(r *node) {
	spec := i.object(r.get("spec"))
	host, ok := i.words(spec.get("host"))
	if !ok {
		return
	}
	full, short := i.fullHost(r, host), strings.TrimSuffix(host, ".svc.cluster.local")
	i.traffic(spec.get("host"), spec.get("trafficPolicy"), full, short)
	for _, subset := range i.items(spec.get("subsets")) {
		if name, ok := i.words(i.object(subset).get("name")); ok {
			i.traffic(subset.get("name"), subset.get("trafficPolicy"), full+" "+name, short+"-"+name)
		}
	}
}

// traffic reads a traffic policy, and those of single ports below it.
func (i *istio) traffic(called, n *node, key, name string) {
	if n = i.object(n); n == nil {
		return
	}
	n.within("the language has no limit on concurrent calls or connections, and does not choose hosts")
	n.at("connectionPool", "tcp", "connectTimeout").drop("how long a connection may take is for the client to say")
	n.at("connectionPool", "http", "idleTimeout").drop("how long a connection may idle is for the client to say")
	n.get("tls").within(outside)
	n.get("portLevelSettings").within("ports are not told apart: the settings for all ports are taken")
	h := &istioHost{at: n, name: name}
	if d := i.object(n.get("outlierDetection")); d != nil {
		h.breaker = i.breaker(outlier{
			who: "Istio", as: goLike, at: d,
			consecutive: first(d.get("consecutive5xxErrors"), d.get("consecutiveErrors")),
			gateway:     d.get("consecutiveGatewayErrors"), gatewayByDefault: true,
			split: d.get("splitExternalLocalOriginErrors"), local: d.get("consecutiveLocalOriginFailures"),
			interval: d.get("interval"), ejection: d.get("baseEjectionTime"),
		})
	}
	limit := n.at("connectionPool", "http", "maxRetries")
	if share := n.get("retryBudget"); share != nil {
		share.drop("a share of the calls that run; a budget here is a number within a window")
		limit.drop("retryBudget overrides it")
	} else if limit != nil {
		h.budget = i.retryLimit(limit, name, "Istio")
	}
	if h.breaker == nil && h.budget == "" {
		return
	}
	if i.hosts[key] != nil {
		i.fail(n, "the traffic policy of %s is written twice, first on line %d", plain(name), i.hosts[key].at.line)
		return
	}
	i.hosts[key] = h
	i.order = append(i.order, h)
	if h.budget != "" {
		called.named(h.budget)
	}
	if h.breaker != nil {
		h.called = i.docName("CircuitBreaker", name, called)
		called.named(h.called)
	}
}

func first(nodes ...*node) *node {
	for _, n := range nodes {
		if n != nil {
			return n
		}
	}
	return nil
}

func (i *istio) writeBreaker(h *istioHost) {
	if h.done || h.breaker == nil {
		return
	}
	h.done = true
	d := h.at.get("outlierDetection")
	i.add("CircuitBreaker", h.called, []string{fmt.Sprintf("%s, line %d", d.where(), d.line)}, h.breaker)
}

func (i *istio) service(r *node) {
	routes := i.items(r.at("spec", "http"))
	for _, route := range routes {
		if route = i.object(route); route != nil && route.has("retries", "timeout") {
			i.route(r, route, len(routes) > 1)
		}
	}
}

// route makes a policy of one HTTP route.
func (i *istio) route(r, n *node, several bool) {
	p := &policy{head: []string{fmt.Sprintf("%s, line %d", n.where(), n.line)}}
	i.name(p, r, n, several)
	n.get("match").drop("which requests a route matches is for operations to say: write the names of the call sites there")
	n.get("fault").drop("faults are injected in tests of policies, not in policies")
	attempts, timeout, wait := i.retry(p, n)
	if d, ok := i.span(n.get("timeout"), goLike, 0); ok && d > 0 {
		p.deadline = i.exact(n.get("timeout"), "retry.deadline", short(d))
	} else if ok {
		p.deadline = i.endless(n.get("timeout"), attempts, timeout, wait)
	} else {
		p.deadline = i.deadline(n, "the route has no timeout, and Istio", attempts, timeout, wait)
	}
	i.target(p, r, n, attempts > 1)
	i.addPolicy(p)
}

func (i *istio) name(p *policy, r, n *node, several bool) {
	called, _ := i.words(r.at("metadata", "name"))
	if called == "" {
		called = i.stem()
	}
	route, _ := i.words(n.get("name"))
	if route == "" && several {
		route = strconv.Itoa(n.index + 1)
	}
	if route != "" {
		called += "-" + route
	}
	p.name = i.docName("Policy", called, n)
	r.at("metadata", "name").named(p.name)
	n.get("name").named(p.name)
}

// istioRetryOn is what Istio retries on if nothing is said.
const istioRetryOn = "connect-failure,refused-stream,unavailable,cancelled"

// retry takes the retries of a route over: two of them if nothing is said.
func (i *istio) retry(p *policy, route *node) (attempts int64, timeout, wait time.Duration) {
	n := i.object(route.get("retries"))
	at := first(n, route)
	if n != nil {
		n.within("not known to be a part of retries")
		n.get("retryRemoteLocalities").drop("which host is called is for the client to choose")
		n.get("retryIgnorePreviousHosts").drop("which host is called is for the client to choose")
	}
	attempts = i.attempts(p, n, at)
	if attempts == 1 {
		p.packs, p.results = []val{{"std.http", ""}}, true
		n.get("retryOn").drop("nothing is retried")
		n.get("perTryTimeout").drop("nothing is retried, so timeout is the timeout of the attempt")
		n.get("backoff").drop("nothing is retried")
		return 1, 0, 0
	}
	c := &retryOn{}
	if on := n.get("retryOn"); on != nil {
		c.take(i.job, on, true)
	} else {
		c.read(istioRetryOn, false)
		i.gap(at, "retried: "+istioRetryOn, "the default of Istio")
	}
	if !c.apply(i.job, p, at, "retryOn") {
		p.maxAttempts = i.once(at, noCondition)
		n.get("attempts").approx("retry.max_attempts: 1", noCondition)
		return 1, 0, 0
	}
	if each := n.get("perTryTimeout"); each != nil {
		if timeout, _ = i.span(each, goLike, time.Millisecond); timeout > 0 {
			p.attemptTimeout = i.exact(each, "retry.attempt_timeout", short(timeout))
		}
	}
	return attempts, timeout, i.backoff(p, n, at)
}

func (i *istio) attempts(p *policy, n, at *node) int64 {
	switch given := n.get("attempts"); {
	case n == nil:
		p.maxAttempts = i.assume(at, "retry.max_attempts", "3", "Istio retries twice if a route says nothing of retries")
		return 3
	case given == nil:
		p.maxAttempts = i.once(n, "retries without attempts are none")
		return 1
	default:
		x, ok := i.whole(given, 0)
		if !ok {
			return 1
		}
		return i.retries(p, given, x)
	}
}

// backoff takes the least wait over; the longest is ten times that.
func (i *istio) backoff(p *policy, n, at *node) time.Duration {
	where := "retry.strategy.full_jitter."
	interval := 25 * time.Millisecond
	var base val
	if d, ok := i.span(n.get("backoff"), goLike, 1); ok {
		interval = d
		base = i.approx(n.get("backoff"), where+"base", short(d), "the n-th wait is below base times 2^n-1 there, below base times 2^(n-1) here")
	} else {
		base = i.assume(at, where+"base", short(interval), "the default of Istio")
	}
	most := i.assume(at, where+"max", short(times(interval, 10)), "Istio's waits grow to ten times the base")
	p.strategy = strategyOf("full_jitter", parameter("base", base), parameter("max", most))
	return times(interval, 10)
}

// target gives the policy breaker and budget of the one host that it calls.
func (i *istio) target(p *policy, r, n *node, retries bool) {
	destinations := i.items(n.get("route"))
	n.get("route").within("where calls go is for the client to choose")
	if len(destinations) != 1 {
		n.get("route").within("a policy has one breaker and one budget, and several destinations have several")
		return
	}
	to := i.object(i.object(destinations[0]).get("destination"))
	host, _ := i.words(to.get("host"))
	subset, _ := i.words(to.get("subset"))
	key := i.fullHost(r, host)
	from := []*node{to.get("host")}
	breaker, budget := i.hosts[key], i.hosts[key]
	if own := i.hosts[key+" "+subset]; subset != "" && own != nil {
		from = append(from, to.get("subset"))
		if own.breaker != nil || breaker == nil {
			breaker = own
		}
		if own.budget != "" || budget == nil {
			budget = own
		}
	}
	if breaker != nil && breaker.breaker != nil {
		p.breaker = val{yamlText(breaker.called), origin(from[len(from)-1])}
		i.writeBreaker(breaker)
		for _, n := range from {
			n.exact("circuit_breaker: " + breaker.called)
		}
	}
	if budget != nil && budget.budget != "" && retries {
		p.budget = val{yamlText(budget.budget), origin(from[len(from)-1])}
		for _, n := range from {
			n.exact("retry.budget: " + budget.budget)
		}
	}
}
