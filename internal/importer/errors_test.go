package importer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/internal/importer"
)

const retryPolicy = `"maxAttempts": 3, "initialBackoff": "1s", "maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]`

// method is a service config with one method that has these fields.
func method(fields string) string {
	return `{"methodConfig": [{"name": [{"service": "a"}], ` + fields + `}]}`
}

func retrying(from, to string) string {
	return method(`"retryPolicy": {` + strings.Replace(retryPolicy, from, to, 1) + `}`)
}

func TestBadInputIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, from, text, want string }{
		{"unknown source", "nginx", "{}", `unknown source "nginx"; one of envoy, grpc, istio, polly, resilience4j`},
		{"no JSON", "grpc", "{\n  \"a\": 1,\n  b\n}", "f:3:3: not JSON: "},
		{"JSON that ends early", "grpc", "{\"a\": [1,\n 2", "f:2:3: not JSON: it ends too early"},
		{"JSON with something behind it", "grpc", "{}\n{}", "f:2:1: something stands behind the end of the JSON value"},
		{"a list", "polly", "[]", "f:1:1: a JSON object belongs here"},
		{"a text", "grpc", "\"a\"", "f:1:1: a JSON object belongs here"},
		{"no choice", "grpc", "[]", "f:1:1: the list of choices is empty"},
		{"no list of choices in a DNS record", "grpc", "grpc_config={}", "f:1:13: a JSON list of choices belongs behind grpc_config="},
		{"nothing in a DNS record", "grpc", "grpc_config=", "f:1:13: not JSON: it ends too early"},
		{"a mistake in a DNS record", "grpc", "grpc_config=[{\"a\" 1}]", "f:1:19: not JSON"},
		{"a name of another attribute", "grpc", "grpc_configs=[]", "f:1:1: not JSON"},
		{"a choice that is none", "grpc", "[{\"serviceConfig\": {}},\n 1]", "f:2:2: a choice is an object, not 1"},
		{"a choice without a service config", "grpc", "[\n {\"percentage\": 1}]", "f:2:2: the choice has no serviceConfig"},
		{"a service config of a choice that is none", "grpc", "[{\"serviceConfig\": \"a\"}]", "f:1:20: serviceConfig is an object, not the text a"},
		{"more than all clients", "grpc", "[{\"serviceConfig\": {}, \"percentage\": 101}]", "f:1:38: percentage is at most 100, not 101"},
		{"less than no client", "grpc", "[{\"serviceConfig\": {}, \"percentage\": -1}]", "percentage is at least 0, not -1"},
		{"a language that is no list", "grpc", "[{\"serviceConfig\": {}, \"clientLanguage\": \"go\"}]", "f:1:42: clientLanguage is a list, not the text go"},
		{"a host that is no text", "grpc", "[{\"serviceConfig\": {}, \"clientHostname\": [{}]}]", "f:1:43: clientHostname is a text, not a mapping"},
		{"choices without failure handling", "grpc", "[{\"serviceConfig\": {}}]", "nothing to import as gRPC service config"},
		{"a scalar", "istio", "hello", "f:1:1: a mapping belongs here"},
		{"no YAML", "istio", "a: b\n c: [", "f:2: not YAML: "},
		{"a line break that editors do not show", "istio", "a: b\rc: d", "f:1:5: U+000D breaks lines for YAML but not for editors"},
		{"nothing", "istio", "# only a comment\n", "f: nothing is written there"},
		{"no text", "istio", "a: \xff", "f:1:4: byte 0xff is not text"},
		{"a key twice", "istio", "a: 1\nb: 2\na: 3\n", "f:3:1: the key a is written twice, first on line 1"},
		{"a key twice in JSON", "grpc", "{\"a\": 1,\n\"a\": 2}", "f:2:1: the key a is written twice, first on line 1"},
		{"a value in itself", "istio", "a: &a [*a]", "f:1:8: *a contains itself"},
		{"a merge that is none", "istio", "a:\n  <<: 1\n", "f:2:7: << merges mappings"},
		{"nothing to import", "grpc", `{"loadBalancingPolicy": "pick_first"}`, "f: nothing to import as gRPC service config: looked for methodConfig[].retryPolicy"},
		{"nothing to import from Envoy", "envoy", "admin: {}", "f: nothing to import as Envoy configuration: looked for retry_policy"},
		{"nothing to import from Istio", "istio", "kind: VirtualService\nspec: {http: [{route: []}]}", "nothing to import"},
		{"nothing to import from Resilience4j", "resilience4j", "resilience4j.bulkhead.instances.a.maxConcurrentCalls: 1", "nothing to import"},
		{"nothing to import from Polly", "polly", `{"Delay": "00:00:01", "Timeout": {"Timeout": "00:00:01"}}`, "nothing to import"},

		{"attempts in words", "grpc", retrying("3,", `"three",`), "f:1:79: maxAttempts is a whole number, not the text three"},
		{"too few attempts", "grpc", retrying("3,", "1,"), "maxAttempts is at least 2, not 1"},
		{"no attempts", "grpc", retrying(`"maxAttempts": 3, `, ""), "f:1:63: retryPolicy has no maxAttempts"},
		{"no codes", "grpc", retrying(`["UNAVAILABLE"]`, "[]"), "retryPolicy has no retryableStatusCodes"},
		{"an unknown code", "grpc", retrying("UNAVAILABLE", "UNAVAILABEL"), "the text UNAVAILABEL is no gRPC status code"},
		{"a number that is no code", "grpc", retrying(`"UNAVAILABLE"`, "17"), "17 is no gRPC status code"},
		{"a duration of another notation", "grpc", retrying(`"1s"`, `"1000ms"`), "initialBackoff is a duration such as 1.5s, not the text 1000ms"},
		{"no wait", "grpc", retrying(`"1s"`, `"0s"`), "initialBackoff is above 0s, not 0s"},
		{"a factor of 0", "grpc", retrying("2, \"retry", "0, \"retry"), "backoffMultiplier is above 0"},
		{"retries and hedges", "grpc", method(`"retryPolicy": {` + retryPolicy + `}, "hedgingPolicy": {}`), "not both"},
		{"a name twice", "grpc", `{"methodConfig": [{"name": [{"service": "a"}, {"service": "a", "method": ""}], "timeout": "1s"}]}`, "the name /a/* is given twice, first on line 1"},
		{"a method without a service", "grpc", `{"methodConfig": [{"name": [{"method": "a"}], "timeout": "1s"}]}`, "a name with a method has a service, too"},
		{"too many tokens", "grpc", `{"retryThrottling": {"maxTokens": 1001, "tokenRatio": 1}}`, "maxTokens is above 0 and at most 1000, not 1001"},
		{"an object for a list", "grpc", `{"methodConfig": {}, "retryThrottling": {"maxTokens": 1, "tokenRatio": 1}}`, "methodConfig is a list, not a mapping"},

		{"a status that is none", "envoy", "retry_on: retriable-status-codes\nretriable_status_codes: [99]", "f:2:26: 99 is no HTTP status"},
		{"too many words", "envoy", "retry_on: " + strings.Repeat("5xx,", 101), "f:1:11: retry_on has more than 100 words"},
		{"negative retries", "envoy", "retry_on: 5xx\nnum_retries: -1", "f:2:14: num_retries is at least 0, not -1"},
		{"a cluster twice", "envoy", "clusters:\n- {name: a, outlier_detection: {}}\n- {name: a, outlier_detection: {}}", "f:3:3: the cluster a is written twice, first on line 2"},
		{"a policy of a host twice", "istio", strings.Repeat("kind: DestinationRule\nspec: {host: a, trafficPolicy: {outlierDetection: {}}}\n---\n", 2), "f:5:32: the traffic policy of a is written twice, first on line 2"},
		{"a duration for Istio", "istio", "kind: VirtualService\nspec: {http: [{timeout: 5}]}", "timeout is a duration such as 250ms, 2s or 1m30s, not 5"},

		{"a missing config", "resilience4j", "resilience4j.retry.instances.a.baseConfig: b", "f:1:44: there is no config b"},
		{"configs in a circle", "resilience4j", "resilience4j.retry: {instances: {a: {baseConfig: b}}, configs: {b: {baseConfig: c}, c: {baseConfig: b}}}", "the config b inherits itself"},
		{"a long chain of configs", "resilience4j", "resilience4j.retry:\n configs:\n" + chain(30), "more than 20 configs inherit from each other"},
		{"a property twice", "resilience4j", "resilience4j.retry.instances.a.maxAttempts: 1\nresilience4j: {retry.instances.a: {maxAttempts: 2}}", "maxAttempts is given twice, first on line 1"},
		{"a value for a mapping", "resilience4j", "resilience4j.retry.instances: 1\nresilience4j.retry.instances.a.maxAttempts: 2", "instances is a value on line 1"},
		{"a property in two spellings", "resilience4j", "resilience4j.retry.instances.a.max-attempts: 1\nresilience4j.retry.instances.a.max_attempts: 2", "f:2:46: max_attempts is given twice, first on line 1"},
		{"a list with a gap", "resilience4j", "resilience4j.retry.instances.a:\n  retryExceptions[0]: A\n  retryExceptions[2]: B", "f:3:23: there is retryExceptions[2], but no retryExceptions[1]"},
		{"a list without a beginning", "resilience4j", "resilience4j.retry.instances.a:\n  retryExceptions[1]: A", "f:2:23: there is retryExceptions[1], but no retryExceptions[0]"},
		{"a place of a list twice", "resilience4j", "resilience4j.retry.instances.a:\n  retryExceptions[0]: A\n  retry-exceptions[0]: B", "f:3:24: [0] is given twice, first on line 2"},
		{"a list as a whole and by its places", "resilience4j", "resilience4j.retry.instances.a:\n  ignoreExceptions: [A]\n  ignoreExceptions[1]: B", "f:3:24: ignoreExceptions is a value on line 2"},
		{"a place that is no number", "resilience4j", "resilience4j.retry.instances.a:\n  retryExceptions[00]: A", "retryExceptions is a list, not a mapping"},
		{"a place below a place", "resilience4j", "resilience4j.retry.instances.a:\n  retryExceptions[0][0]: A", "retryExceptions is a list, not a mapping"},
		{"a long list", "resilience4j", "resilience4j.retry.instances.a.retryExceptions: " + strings.Repeat("A,", 1000), "f:1:49: retryExceptions lists more than 1000"},
		{"no number", "resilience4j", "resilience4j.retry.instances.a.maxAttempts: ''", "f:1:45: maxAttempts is a whole number, not an empty text"},
		{"a window of another kind", "resilience4j", "resilience4j.circuitbreaker.instances.a.slidingWindowType: CALLS", "slidingWindowType is COUNT_BASED or TIME_BASED, not CALLS"},
		{"a multiplier below 1", "resilience4j", "resilience4j.retry.instances.a: {waitDuration: 1s, enableExponentialBackoff: true, exponentialBackoffMultiplier: 0.5}", "exponentialBackoffMultiplier is at least 1, not 0.5"},

		{"a form of waits", "polly", `{"Retry": {"BackoffType": "Random"}}`, "f:1:27: BackoffType is Constant, Linear or Exponential, not the text Random"},
		{"a span of Go", "polly", `{"Retry": {"Delay": "2s", "MaxDelay": "00:00:01"}}`, `Delay is a duration such as "00:00:02" or "00:00:00.250", not the text 2s`},
		{"61 minutes", "polly", `{"CircuitBreaker": {"BreakDuration": "00:61:00"}}`, "BreakDuration is a duration"},
		{"an open comment", "polly", "{\n/* ", "f:2:1: not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := importer.Import(c.from, "f", []byte(c.text))
			if err == nil {
				t.Fatalf("no error:\n%s", result.YAML)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
		})
	}
}

func TestSeveralMistakesAreReportedAtOnceButNotWithoutEnd(t *testing.T) {
	text := `{"methodConfig": [` + strings.TrimSuffix(strings.Repeat(`{"timeout": 1, "name": [{"method": "x"}]},`, 100), ",") + `]}`
	_, err := importer.Import("grpc", "f", []byte(text))
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) < 2 || len(joined.Unwrap()) > 20 {
		t.Errorf("got %v", err)
	}
}

// TestHostileInputEndsSoon gives every source what costs time or memory elsewhere.
func TestHostileInputEndsSoon(t *testing.T) {
	big := 1 << 20
	fill := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < big-200; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	inputs := map[string]string{
		"too large":           strings.Repeat(" ", big+1),
		"deep lists":          strings.Repeat("[", big/2) + strings.Repeat("]", big/2),
		"deep objects":        strings.Repeat(`{"a":`, big/8) + "1" + strings.Repeat("}", big/8),
		"deep block lists":    strings.Repeat("- ", big/2),
		"many values":         `{"a": [` + strings.TrimSuffix(strings.Repeat("1,", big/2-10), ",") + `]}`,
		"aliases of aliases":  "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + aliases(20),
		"merges":              "a: &a {" + strings.TrimSuffix(fill("k%d: 1, ")[:big/2], ", ") + "}\n",
		"many merges":         "a: &a {" + strings.TrimRight(fill("k%d: 1, ")[:300_000], "k0123456789: ,") + ": 1}\nb:\n  <<: [" + strings.Repeat("*a, ", 100_000) + "]\n",
		"many keys":           fill("k%d: 1\n"),
		"many dots":           "resilience4j" + strings.Repeat(".a", big/4) + ": 1",
		"many colons":         `{"Retry` + strings.Repeat(":a", big/4) + `": 1}`,
		"many documents":      strings.Repeat("a: 1\n---\n", big/10),
		"many methods":        `{"methodConfig": [` + strings.TrimSuffix(fill(`{"name": [{"service": "a%d"}], "timeout": "1s"},`), ",") + `]}`,
		"many equal names":    `{"methodConfig": [` + strings.TrimSuffix(fill(`{"name":[{"service":"a","method":"é%d"}],"timeout":"1s"},`), ",") + `]}`,
		"many codes":          retrying(`["UNAVAILABLE"]`, "["+strings.TrimSuffix(strings.Repeat("14,", 90_000), ",")+"]"),
		"many statuses":       "retry_on: retriable-status-codes\nretriable_status_codes: [" + strings.TrimSuffix(strings.Repeat("599, ", 90_000), ", ") + "]",
		"many headers":        "retry_on: retriable-headers\nretriable_headers: [" + strings.TrimSuffix(fill("{name: h%d}, ")[:big/2], ", ") + "]",
		"many instances":      "resilience4j.retry.instances:\n" + fill(" a%d: {}\n"),
		"many configs":        "resilience4j.retry:\n configs:\n" + fill("  a%d: {baseConfig: default}\n") + "  default: {}\n",
		"a chain of configs":  "resilience4j.retry:\n configs:\n" + chain(900),
		"many pipelines":      `{` + strings.TrimSuffix(fill(`"p%d": {"MaxRetryAttempts": 1},`), ",") + `}`,
		"many routes":         "routes:\n" + fill("- {route: {timeout: 1s, cluster: c%d}}\n"),
		"many words":          "retry_on: '" + fill("x%d,") + "'",
		"a long name":         `{"methodConfig": [{"name": [{"service": "` + strings.Repeat("a", big/2) + `"}], "timeout": "1s"}]}`,
		"a large number":      retrying("3,", strings.Repeat("9", big/2)+","),
		"a large exponent":    retrying(`"backoffMultiplier": 2`, `"backoffMultiplier": 1e9999999`),
		"a long placeholder":  "resilience4j.retry.instances.a.maxAttempts: " + strings.Repeat("${", big/4),
		"many commas":         "resilience4j.retry.instances.a.retryExceptions: '" + strings.Repeat("a,", big/4) + "'",
		"a comment in commas": "{" + strings.Repeat("/**/", big/5),
	}
	for name, text := range inputs {
		for _, from := range importer.Sources() {
			t.Run(name+"/"+from, func(t *testing.T) {
				start := time.Now()
				result, err := importer.Import(from, "f", []byte(text))
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("took %s", took)
				}
				switch {
				case err != nil && len(err.Error()) > 10_000:
					t.Errorf("an error of %d bytes", len(err.Error()))
				case err == nil:
					loads(t, result)
				}
			})
		}
	}
}

func aliases(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  a%d: {baseConfig: a%d}\n", i, i+1)
	}
	return b.String() + fmt.Sprintf("  a%d: {maxAttempts: 2}\n", n)
}

// TestValuesThatAreNoFailureHandlingAreNotRepeated keeps secrets out of reports: whole
// configurations of programs are imported.
func TestValuesThatAreNoFailureHandlingAreNotRepeated(t *testing.T) {
	eachFixture(t, func(t *testing.T, _, _ string, _ []byte, result *importer.Result) {
		var report strings.Builder
		result.Report(&report)
		for _, text := range []string{report.String(), string(result.YAML), fmt.Sprint(result.Losses)} {
			if strings.Contains(text, "not-for-reports") {
				t.Error("a secret is repeated")
			}
		}
	})
}

// TestStrangeTextStaysText puts what YAML and terminals take for more than text into
// names and values.
func TestStrangeTextStaysText(t *testing.T) {
	for _, strange := range []string{
		"a\nkind: Budget", "# x", "a: b", "'", `"`, "\x1b[31mred", "\u0085", "\u2028", "\ufeff", "- a", "{", "}", "*a", "&a", "!x", "%", "@", "`", "\\", "é", "日本", "\U0001F600", "true", "null", "1", "1e3", "0x1f", "~", "",
	} {
		quoted := fmt.Sprintf("%q", strange)
		for from, text := range map[string]string{
			"grpc":         `{"methodConfig": [{"name": [{"service": ` + jsonOf(strange) + `, "method": "m"}], "timeout": "1s", ` + jsonOf("x"+strange) + `: ` + jsonOf(strange) + `}]}`,
			"envoy":        `{"name": ` + jsonOf(strange) + `, "retry_policy": {"retry_on": "retriable-headers,5xx", "retriable_headers": [{"name": ` + jsonOf("x"+strange) + `, "exact_match": ` + jsonOf(strange) + `}]}}`,
			"istio":        `{"kind": "VirtualService", "metadata": {"name": ` + jsonOf(strange) + `}, "spec": {"http": [{"timeout": "1s", "name": ` + jsonOf(strange) + `}]}}`,
			"resilience4j": `{"resilience4j": {"retry": {"instances": {` + jsonOf("x"+strange) + `: {"maxAttempts": 2, "retryExceptions": [` + jsonOf(strange) + `]}}}}}`,
			"polly":        `{` + jsonOf(strange) + `: {"MaxRetryAttempts": 2, "Name": ` + jsonOf(strange) + `}}`,
		} {
			t.Run(from+"/"+quoted, func(t *testing.T) {
				result, err := importer.Import(from, strange, []byte(text))
				if err != nil {
					if from == "grpc" && strange == "" || strings.Contains(strange, ".") {
						return
					}
					t.Fatal(err)
				}
				loads(t, result)
				checkReport(t, result)
				checkLosses(t, []byte(text), result)
			})
		}
	}
}

func jsonOf(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			fmt.Fprintf(&b, `\%c`, c)
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String() + `"`
}

func checkReport(tb testing.TB, result *importer.Result) {
	tb.Helper()
	var report strings.Builder
	result.Report(&report)
	for _, c := range report.String() {
		if c < ' ' && c != '\n' || c == 0x7f || c == 0x85 || c == 0x2028 {
			tb.Errorf("the report has a control character: %q", report.String())
			return
		}
	}
}
