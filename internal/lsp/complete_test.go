package lsp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lsp"
)

const head = "apiVersion: redress/v1\nkind: Policy\nname: payments-api\n"

const classes = "AUTH PERMISSION PERMANENT CONCURRENCY RATE_LIMIT SERVER_ERROR TRANSIENT UNKNOWN"

const stringMethods = "startsWith endsWith contains matches lowerAscii upperAscii trim indexOf lastIndexOf charAt substring replace split size"

// others is the set in which the documents of the tests below stand.
var others = map[string]string{
	"others.yaml": `apiVersion: redress/v1
kind: Classifier
name: acme
description: What Acme answers.
classify:
  - {id: maintenance, when: err.status == 503, class: SERVER_ERROR}
---
apiVersion: redress/v1
kind: Budget
name: shared
max_retries: 20
window: 60s
---
apiVersion: redress/v1
kind: CircuitBreaker
name: cluster
---
apiVersion: redress/v1
kind: Policy
name: stock
attributes: {shelf: string, count: int}
classify:
  - {id: gone, when: err.status == 410, class: PERMANENT}
  - use: acme
retry:
  select:
    - {id: once, when: attempt == 1, strategy: immediate}
`,
}

// Each text has a cursor, ‸. Want is what is offered, in order. Where pick is given, it
// is chosen, and line is what the cursor's line then is.
var completions = []struct {
	name, text, want, pick, line string
}{
	{"an empty document", "‸", "apiVersion kind name", "kind", "kind: "},
	{"the kind", "apiVersion: redress/v1\nkind: ‸", "Policy Classifier Budget CircuitBreaker PolicyTest Environment Override Set", "Budget", "kind: Budget"},
	{"half a kind", "apiVersion: redress/v1\nkind: Pol‸\nname: x", "Policy Classifier Budget CircuitBreaker PolicyTest Environment Override Set", "Policy", "kind: Policy"},
	{"the version", "apiVersion: ‸", "redress/v1", "redress/v1", "apiVersion: redress/v1"},
	{"keys of a policy", head + "‸", "classify description owner mode operations calls attributes vars default_class classify_result retry circuit_breaker guarantees assume", "retry", "retry:"},
	{"keys of a budget", "apiVersion: redress/v1\nkind: Budget\nname: x\n‸", "max_retries window description scope", "window", "window: "},
	{"the first key below a key", head + "retry:\n  ‸\nowner: me", "deadline attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "max_attempts", "  max_attempts: "},
	{"half a key between others", head + "retry:\n  deadline: 3s\n  max_‸\n  budget: shared", "attempt_timeout max_attempts max_unknown_attempts strategy select classes", "max_attempts", "  max_attempts: "},
	{"a key that has its colon", head + "retry:\n  max_at‸empts: 3\n  deadline: 3s", "attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "attempt_timeout", "  attempt_timeout: 3"},
	{"a key in braces", head + "retry: {deadline: 3s, ‸}", "attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "strategy", "retry: {deadline: 3s, strategy: }"},
	{"a key in open braces", head + "retry: {deadline: 3s, max_‸\nowner: me", "attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "max_attempts", "retry: {deadline: 3s, max_attempts: "},
	{"a rule", head + "classify:\n  - ‸", "id when class retry_after use", "use", "  - use: "},
	{"the second key of a rule", head + "classify:\n  - id: x\n    ‸\n  - use: std.http", "when class retry_after", "class", "    class: "},
	{"beside use nothing", head + "classify:\n  - use: std.http\n    ‸", "", "", ""},
	{"a rule without its dash", head + "classify:\n  - use: std.http\n  ‸", "id when class retry_after use", "id", "  - id: "},
	{"the first rule without its dash", head + "classify:\n  ‸", "id when class retry_after use", "id", "  - id: "},
	{"keys of a strategy", head + "retry:\n  strategy:\n    retry_after_or:\n      cap: 3s\n      ‸", "jitter decorrelated_jitter equal_jitter full_jitter exponential constant linear token_backoff retry_after_or adaptive immediate stop func", "constant", "      constant:"},
	{"one strategy beside parameters", head + "retry: {strategy: {retry_after_or: {constant: {delay: 1s}, ‸}}}", "jitter cap", "cap", "retry: {strategy: {retry_after_or: {constant: {delay: 1s}, cap: }}}"},
	{"names of strategies", head + "retry:\n  strategy: ‸", "decorrelated_jitter equal_jitter full_jitter exponential linear token_backoff retry_after_or adaptive immediate stop", "stop", "  strategy: stop"},
	{"classes as values", head + "classify:\n  - {id: x, when: err.timeout, class: TR‸}", classes, "TRANSIENT", "  - {id: x, when: err.timeout, class: TRANSIENT}"},
	{"classes in quotes", head + "default_class: \"TR‸\"", classes, "TRANSIENT", "default_class: \"TRANSIENT\""},
	{"classes that are not listed yet", head + "circuit_breaker:\n  trip_on: [TRANSIENT, ‸]", "AUTH PERMISSION PERMANENT CONCURRENCY RATE_LIMIT SERVER_ERROR UNKNOWN", "AUTH", "  trip_on: [TRANSIENT, AUTH]"},
	{"classes with dashes", head + "circuit_breaker:\n  trip_on:\n    - TRANSIENT\n    - ‸", "AUTH PERMISSION PERMANENT CONCURRENCY RATE_LIMIT SERVER_ERROR UNKNOWN", "AUTH", "    - AUTH"},
	{"classes as keys", head + "retry:\n  classes:\n    TRANSIENT: {max_attempts: 2}\n    ‸", "AUTH PERMISSION PERMANENT CONCURRENCY RATE_LIMIT SERVER_ERROR UNKNOWN", "AUTH", "    AUTH:"},
	{"a default", head + "retry:\n  deadline: ‸", "60s", "60s", "  deadline: 60s"},
	{"types of attributes in braces", head + "attributes: {a: ‸}", "string int double bool duration list(string) map(string, string)", "map(string, string)", "attributes: {a: 'map(string, string)'}"},
	{"packs", head + "classify:\n  - use: ‸", "acme std.amqp std.aws std.context std.default std.grpc std.http std.kafka std.marker std.mqtt std.nats std.net std.redis std.sql std.strict", "std.grpc", "  - use: std.grpc"},
	{"half a pack", head + "classify:\n  - use: std.‸ # all of it\n", "acme std.amqp std.aws std.context std.default std.grpc std.http std.kafka std.marker std.mqtt std.nats std.net std.redis std.sql std.strict", "std.http", "  - use: std.http # all of it"},
	{"budgets", head + "retry:\n  budget: ‸", "shared", "shared", "  budget: shared"},
	{"breakers", head + "circuit_breaker: ‸", "cluster", "cluster", "circuit_breaker: cluster"},
	{"policies that are called", head + "calls: [‸]", "stock", "stock", "calls: [stock]"},
	{"the policy of a test", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: ‸", "stock", "stock", "policy: stock"},
	{"policies of an environment", "apiVersion: redress/v1\nkind: Environment\nname: x\npolicies:\n  ‸", "stock", "stock", "  stock: "},
	{"the policy of an override", "apiVersion: redress/v1\nkind: Override\nname: x\npolicy: ‸", "stock", "stock", "policy: stock"},
	{"keys of a set", "apiVersion: redress/v1\nkind: Set\nname: x\n‸", "fallback_policy description", "fallback_policy", "fallback_policy: "},
	{"the fallback policy of a set", "apiVersion: redress/v1\nkind: Set\nname: x\nfallback_policy: ‸", "stock", "stock", "fallback_policy: stock"},
	{"rules that are expected", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases:\n  - name: x\n    expect: {rule: ‸}", "gone once acme/maintenance default marker", "acme/maintenance", "    expect: {rule: acme/maintenance}"},
	{"select rules that are expected", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases:\n  - name: x\n    expect: {select: ‸}", "once", "once", "    expect: {select: once}"},
	{"attributes of a record", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases:\n  - err: {attr: {count: 3, ‸}}", "shelf", "shelf", "  - err: {attr: {count: 3, shelf: }}"},
	{"outcomes", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\nscenarios:\n  - calls:\n      - outcomes: [o‸]", "ok panic abort", "ok", "      - outcomes: [ok]"},
	{"events", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\nscenarios:\n  - calls:\n      - outcomes: [ok]\n        expect: {cause: ‸}", "error result", "error", "        expect: {cause: error}"},
	{"truth values", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases:\n  - idempotent: ‸", "true false", "false", "  - idempotent: false"},
	{"in the second document", head + "---\n" + "apiVersion: redress/v1\nkind: CircuitBreaker\nname: b\n‸\n---\nkind: Budget", "description scope failure_threshold window recovery_timeout probe_timeout trip_on class_thresholds", "window", "window: "},
	{"free text", head + "description: ‸", "", "", ""},
	{"a comment", head + "# ‸", "", "", ""},
	{"a comment behind a value", head + "owner: me # ‸", "", "", ""},
	{"the user's own", head + "x-mine:\n  ‸", "", "", ""},
	{"of another kind", "apiVersion: redress/v1\nkind: Nothing\n‸", "name", "", ""},
	{"while another line is broken", head + "owner: \"me\nretry:\n  deadline: [\n  ‸\nclassify: {", "attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "budget", "  budget: "},

	{"what an expression begins with", head + "classify:\n  - when: ‸", "err vars op attempt elapsed remaining idempotent has duration size int double string bool", "err", "  - when: err"},
	{"for results", head + "classify_result:\n  - when: r‸", "result vars op attempt elapsed remaining idempotent has duration size int double string bool", "result", "  - when: result"},
	{"for strategies", head + "retry:\n  select:\n    - when: ‸", "err vars op attempt elapsed remaining idempotent class class_attempt retry_after has duration size int double string bool " + classes, "class", "    - when: class"},
	{"fields of err", head + "classify:\n  - when: err.‸", "status code kind message type timeout retry_after headers phase marker causes attr", "status", "  - when: err.status"},
	{"half a field", head + "classify:\n  - when: err.st‸ == 429 && true", "status code kind message type timeout retry_after headers phase marker causes attr", "status", "  - when: err.status == 429 && true"},
	{"the middle of a field", head + "classify:\n  - when: err.st‸atus == 429", "status code kind message type timeout retry_after headers phase marker causes attr", "code", "  - when: err.code == 429"},
	{"fields of result", head + "classify_result:\n  - when: result.‸", "status code message type retry_after headers attr", "code", "  - when: result.code"},
	{"a hint", head + "classify:\n  - retry_after: err.‸", "status code kind message type timeout retry_after headers phase marker causes attr", "retry_after", "  - retry_after: err.retry_after"},
	{"attributes", head + "attributes: {a: string, b: int}\nclassify:\n  - when: 1 == 2 || err.attr.‸", "a b", "a", "  - when: 1 == 2 || err.attr.a"},
	{"vars", head + "vars:\n  one: err.timeout\n  two: true\nclassify:\n  - when: '!vars.‸'", "one two", "one", "  - when: '!vars.one'"},
	{"vars above", head + "vars:\n  one: err.timeout\n  two: vars.‸\n  three: true", "one", "one", "  two: vars.one"},
	{"methods of a text", head + "classify:\n  - when: err.code.‸", stringMethods, "trim", "  - when: err.code.trim("},
	{"methods of an attribute", head + "attributes: {d: duration}\nclassify:\n  - when: err.attr.d.‸", "getHours getMinutes getSeconds getMilliseconds", "getHours", "  - when: err.attr.d.getHours("},
	{"a method that has its bracket", head + "classify:\n  - when: err.code.starts‸(\"A\")", stringMethods, "startsWith", "  - when: err.code.startsWith(\"A\")"},
	{"of causes", head + "classify:\n  - when: err.causes.‸", "exists all exists_one size", "exists", "  - when: err.causes.exists("},
	{"of a cause", head + "classify:\n  - when: err.causes.exists(c, c.‸)", "type message code kind status", "kind", "  - when: err.causes.exists(c, c.kind)"},
	{"kinds", head + "classify:\n  - when: err.kind == ‸", "unknown http grpc sql redis aws broker net dns tls io url context redress", "net", "  - when: err.kind == \"net\""},
	{"kinds in an open string", head + "classify:\n  - when: err.kind == \"n‸\n    class: UNKNOWN", "unknown http grpc sql redis aws broker net dns tls io url context redress", "net", "  - when: err.kind == \"net"},
	{"kinds in a string", head + "classify:\n  - when: err.kind == \"n‸\" && err.timeout", "unknown http grpc sql redis aws broker net dns tls io url context redress", "net", "  - when: err.kind == \"net\" && err.timeout"},
	{"kinds in a list", head + "classify:\n  - when: err.kind in [\"net\", \"‸\"]", "unknown http grpc sql redis aws broker net dns tls io url context redress", "dns", "  - when: err.kind in [\"net\", \"dns\"]"},
	{"kinds in double quotes of YAML", head + "classify:\n  - when: \"err.kind == ‸\"", "unknown http grpc sql redis aws broker net dns tls io url context redress", "net", "  - when: \"err.kind == 'net'\""},
	{"phases in quotes of YAML", head + "classify:\n  - when: 'err.phase != ‸'", "unknown not_sent sent", "sent", "  - when: 'err.phase != \"sent\"'"},
	{"kinds of causes", head + "classify:\n  - when: err.causes.exists(c, c.kind == \"‸", "unknown http grpc sql redis aws broker net dns tls io url context redress", "net", "  - when: err.causes.exists(c, c.kind == \"net"},
	{"markers", head + "classify:\n  - when: err.marker == ‸", classes, "AUTH", "  - when: err.marker == \"AUTH\""},
	{"class names", head + "retry:\n  select:\n    - when: class == ‸", classes, "RATE_LIMIT", "    - when: class == RATE_LIMIT"},
	{"in other strings nothing", head + "classify:\n  - when: err.code == \"‸\"", "", "", ""},
	{"behind a value nothing", head + "classify:\n  - when: err.timeout ‸", "", "", ""},
	{"in a comment of CEL nothing", head + "classify:\n  - when: |-\n      err.timeout // err.‸", "", "", ""},
	{"behind an unknown name nothing", head + "classify:\n  - when: foo.‸", "", "", ""},
	{"in a block", head + "classify:\n  - id: x\n    when: |-\n      err.timeout &&\n      err.‸\n    class: TRANSIENT", "status code kind message type timeout retry_after headers phase marker causes attr", "code", "      err.code"},
	{"in a plain text over lines", head + "classify:\n  - id: x\n    when: err.timeout &&\n      err.‸\n    class: TRANSIENT", "status code kind message type timeout retry_after headers phase marker causes attr", "code", "      err.code"},
	{"behind characters beyond the first plane", head + "classify:\n  - when: err.code == \"🧨🧨\" && err.‸ # 🧨", "status code kind message type timeout retry_after headers phase marker causes attr", "code", "  - when: err.code == \"🧨🧨\" && err.code # 🧨"},
	{"with CRLF", strings.ReplaceAll(head+"classify:\n  - use: std.http\nretry:\n  max_‸\n", "\n", "\r\n"), "deadline attempt_timeout max_attempts max_unknown_attempts strategy select classes budget", "max_attempts", "  max_attempts: "},
}

func TestWhatIsOfferedIsWhatMayStandThere(t *testing.T) {
	session(t, lsp.Options{}, `{}`, others, func(c *client) {
		c.open("others.yaml", others["others.yaml"]) // what is in its folder belongs to the language, whatever it says
		for i, test := range completions {
			name := fmt.Sprintf("doc%d.yaml", i)
			text, line, character := cursor(t, test.text)
			c.open(name, text)
			result := c.result("textDocument/completion", c.place(name, line, character)).(map[string]any)
			var got []string
			picked := false
			for _, item := range result["items"].([]any) {
				item := item.(map[string]any)
				got = append(got, item["label"].(string))
				if item["label"] == test.pick && !picked {
					picked = true
					if after := apply(text, item["textEdit"].(map[string]any), line); after != test.line {
						t.Errorf("%s: with %s the line is %q, want %q", test.name, test.pick, after, test.line)
					}
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s:\n got %s\nwant %s", test.name, strings.Join(got, " "), test.want)
			}
			c.close(name)
		}
	})
}

// apply edits a text that has one edit in one line, in UTF-16, and returns that line.
func apply(text string, edit map[string]any, line int) string {
	r := edit["range"].(map[string]any)
	start, end := r["start"].(map[string]any), r["end"].(map[string]any)
	if start["line"] != float64(line) || end["line"] != float64(line) {
		return fmt.Sprint("an edit of other lines: ", spanOf(r))
	}
	units := utf16Of(strings.TrimSuffix(strings.Split(text, "\n")[line], "\r"))
	from, to := int(start["character"].(float64)), int(end["character"].(float64))
	if from > to || to > len(units) {
		return fmt.Sprint("an edit outside the line: ", spanOf(r))
	}
	return textOf(units[:from]) + edit["newText"].(string) + textOf(units[to:])
}
