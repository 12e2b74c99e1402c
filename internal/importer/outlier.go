package importer

import (
	"strconv"
	"time"
)

// An outlier is the detection of failing hosts by Envoy and what is made of it.
type outlier struct {
	who                  string
	as                   notation
	at                   *node
	consecutive, gateway *node // counts in a row: of 5xx, of 502 to 504
	enforce              *node // share of detections that count, in percent; 0 turns it off
	enforceGateway       *node
	gatewayByDefault     bool // whether a count of gateway errors holds without enforceGateway
	split, local         *node
	interval, ejection   *node
}

// The defaults of Envoy, which Istio has, too.
const (
	defaultConsecutive = 5
	defaultInterval    = 10 * time.Second
	defaultEjection    = 30 * time.Second
)

// breaker makes a breaker of the detection; nil if it is turned off.
func (j *job) breaker(o outlier) block {
	o.at.within("hosts are not told apart: the breaker watches the calls to all of them, and counts failures")
	count, ok := j.consecutive(o)
	if !ok {
		return nil
	}
	var b block
	b.put("failure_threshold", count)
	if d, ok := j.span(o.interval, o.as, 1); ok {
		b.put("window", j.approx(o.interval, "window", short(d), o.who+" counts failures in a row and sweeps its hosts this often; here failures count within this time"))
	} else {
		b.put("window", j.assume(o.at, "window", short(defaultInterval), "the default of "+o.who+"'s interval; there failures count in a row, here within this time"))
	}
	if d, ok := j.span(o.ejection, o.as, 1); ok {
		b.put("recovery_timeout", j.approx(o.ejection, "recovery_timeout", short(d), "a host that is ejected again stays out for longer; here the time does not grow"))
	} else {
		b.put("recovery_timeout", j.assume(o.at, "recovery_timeout", short(defaultEjection), "the default of "+o.who+"'s base ejection time"))
	}
	if !j.truth(o.split) {
		o.split.exact("trip_on: [SERVER_ERROR, TRANSIENT]")
		o.local.drop("it counts only if local failures are split from others")
		b.put("trip_on", val{"[SERVER_ERROR, TRANSIENT]", "5xx, and calls that get no answer"})
		return b
	}
	o.split.exact("trip_on: [SERVER_ERROR]")
	b.put("trip_on", val{"[SERVER_ERROR]", origin(o.split)})
	const why = "connections that fail count in a row there, here within the window"
	local := strconv.Itoa(defaultConsecutive)
	if x, ok := j.whole(o.local, 0); ok && x > 0 {
		x, _ = capped(x)
		local = strconv.FormatInt(x, 10)
		b.nest("class_thresholds", block{parameter("TRANSIENT", j.approx(o.local, "class_thresholds.TRANSIENT", local, why))})
	} else if o.local == nil {
		b.nest("class_thresholds", block{parameter("TRANSIENT", j.assume(o.at, "class_thresholds.TRANSIENT", local, "the default of "+o.who+"; "+why))})
	}
	return b
}

// consecutive finds the smaller of the counts that hold.
func (j *job) consecutive(o outlier) (val, bool) {
	const why = "there failures of one host in a row, attempts included; here failed calls to all hosts within the window"
	count, is5xx := int64(defaultConsecutive), true
	if x, ok := j.whole(o.consecutive, 0); ok {
		count, is5xx = x, x > 0
	}
	if x, ok := j.whole(o.enforce, 0); ok {
		is5xx = is5xx && x > 0
		j.enforced(o.enforce, x)
	}
	gateway, isGateway := j.whole(o.gateway, 0)
	isGateway = isGateway && gateway > 0
	if x, ok := j.whole(o.enforceGateway, 0); ok {
		isGateway = isGateway && x > 0
		j.enforced(o.enforceGateway, x)
	} else if !o.gatewayByDefault {
		isGateway = false
	}
	switch {
	case isGateway && (!is5xx || gateway < count):
		o.consecutive.drop("the count of gateway errors is smaller or the only one, and a breaker has one count")
		gateway, _ = capped(gateway)
		return j.approx(o.gateway, "failure_threshold", strconv.FormatInt(gateway, 10), "other statuses from 500 count as well; "+why), true
	case is5xx:
		o.gateway.drop("gateway errors are not counted apart from other statuses from 500")
		count, _ = capped(count)
		if o.consecutive == nil {
			return j.assume(o.at, "failure_threshold", strconv.FormatInt(count, 10), "the default of "+o.who+"; "+why), true
		}
		return j.approx(o.consecutive, "failure_threshold", strconv.FormatInt(count, 10), why), true
	}
	o.at.within("no count of failures in a row is on, and the language has no breaker for ratios")
	return val{}, false
}

// enforced marks a share of detections that count.
func (j *job) enforced(n *node, percent int64) {
	switch percent {
	case 0:
		n.exact("the count is off")
	case 100:
		n.exact("the count is on")
	default:
		n.approx("the count is on", "a breaker opens always, not by chance")
	}
}

// retryLimit makes a budget of a number of concurrent retries. A retry is taken to last
// a second.
func (j *job) retryLimit(n *node, name, who string) (budget string) {
	x, ok := j.whole(n, 0)
	if !ok {
		return ""
	}
	if _, fits := capped(x); !fits {
		n.drop("so large a number is no limit")
		return ""
	}
	budget = j.docName("Budget", name, n)
	var b block
	b.put("max_retries", j.approx(n, "max_retries", strconv.FormatInt(x, 10), who+" limits retries that run at the same time; a budget limits those within a window"))
	b.put("window", j.assume(n, "window", "1s", "a limit on concurrent retries has no window; a retry is taken to last a second"))
	j.add("Budget", budget, []string{origin(n)}, b)
	return budget
}
