package scenario_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/scenario"
	"github.com/redress-policy/redress/interp"
)

const policy = `apiVersion: redress/v1
kind: Policy
name: p
attributes: {reason: string}
classify:
  - {id: busy, when: err.code == "BUSY", class: TRANSIENT}
  - {id: never-seen, when: err.attr.reason == "x", class: PERMANENT}
  - use: std.http
retry:
  strategy: {constant: {delay: 1s}}
  max_attempts: 3
circuit_breaker: {failure_threshold: 2, trip_on: [SERVER_ERROR]}
---
apiVersion: redress/v1
kind: PolicyTest
policy: p
`

func run(t *testing.T, tests string, opts scenario.Options) *scenario.Report {
	t.Helper()
	loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(policy+tests))}, interp.Options{})
	if err := loaded.Diagnostics.Err(); err != nil {
		t.Fatal(err)
	}
	return scenario.Run(loaded.Program, loaded.Set, opts)
}

// TestAnExpectationThatDoesNotHoldFails breaks each expectation by itself: one that
// could not fail would be worth nothing.
func TestAnExpectationThatDoesNotHoldFails(t *testing.T) {
	// What happens: 503, 503, then ok: three attempts, two sleeps of a second.
	const call = "scenarios:\n  - name: s\n    calls:\n      - {outcomes: [{status: 503}, {status: 503}, ok], expect: {EXPECT}}\n"
	const refused = "scenarios:\n  - name: s\n    calls:\n      - {outcomes: [{code: BUSY}], defer: true, expect: {EXPECT}}\n"
	const oneCase = "cases:\n  - {name: c, err: {code: BUSY, retry_after: 5s}, expect: {EXPECT}}\n"
	const resultCase = "cases:\n  - {name: c, result: {status: 503}, expect: {EXPECT}}\n"
	for _, row := range []struct{ tests, good, bad string }{
		{call, "ok: true", "ok: false"},
		{call, "attempts: 3", "attempts: 2"},
		{call, "stop_reason: SUCCESS", "stop_reason: CANCELED"},
		{call, "slept: 2s", "slept: 2001ms"},
		{call, "slept: {min: 2s}", "slept: {min: 2001ms}"},
		{call, "slept: {max: 2s}", "slept: {max: 1999ms}"},
		{call, "slept: {min: 1s, max: 3s}", "slept: {min: 3s, max: 4s}"},
		{call, "elapsed: 2s", "elapsed: 3s"},
		{call, "events: [retry, retry, success]", "events: [retry, success]"},
		{call, "breaker: closed", "breaker: open"},
		{call, "rule_errors: 0", "rule_errors: 1"},
		{refused, "class: TRANSIENT", "class: UNKNOWN"},
		{refused, "rule: busy", "rule: never-seen"},
		{refused, "cause: error", "cause: result"},
		{refused, "next_delay: 1s", "next_delay: 2s"},
		{oneCase, "rule: busy", "rule: default"},
		{oneCase, "class: TRANSIENT", "class: UNKNOWN"},
		{oneCase, "strategy: constant", "strategy: linear"},
		{oneCase, "retry_after: 0s", "retry_after: 5s"},
		{oneCase, "rule_errors: 0", "rule_errors: 2"},
		{resultCase, "matched: false", "matched: true"},
	} {
		for expect, failures := range map[string]int{row.good: 0, row.bad: 1} {
			report := run(t, strings.Replace(row.tests, "EXPECT", expect, 1), scenario.Options{})
			if len(report.Results) != 1 || len(report.Results[0].Failures) != failures {
				t.Errorf("expect {%s}: %d failures, want %d\n%s", expect, len(report.Results[0].Failures), failures, report.Results[0])
			}
		}
	}
}

func TestAFailureIsShownWithItsPlaceAndItsStory(t *testing.T) {
	report := run(t, "scenarios:\n  - name: story\n    calls:\n      - {outcomes: [{status: 503}], expect: {attempts: 2}}\n", scenario.Options{})
	text := report.Results[0].String()
	for _, want := range []string{
		"FAIL p/story (p.yaml:",
		"calls[0]: attempts: expected 2, got 3",
		"MAX_ATTEMPTS_GLOBAL after 3 attempts",
		"std.http/server-error",
		"err.status >= 500 = true",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the failure does not say %q:\n%s", want, text)
		}
	}
}

func TestTheSameSeedGivesTheSameSleeps(t *testing.T) {
	const tests = "scenarios:\n  - name: s\n    seed: 7\n    calls:\n      - {outcomes: [{status: 503}, ok], expect: {slept: 0s}}\n"
	jitter := strings.Replace(policy, "{constant: {delay: 1s}}", "decorrelated_jitter", 1)
	sleep := func(text string) string {
		loaded := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{})
		return scenario.Run(loaded.Program, loaded.Set, scenario.Options{}).Results[0].Failures[0].Got
	}
	first := sleep(jitter + tests)
	if again := sleep(jitter + tests); again != first {
		t.Errorf("seed 7 slept %s, then %s", first, again)
	}
	if other := sleep(jitter + strings.Replace(tests, "seed: 7", "seed: 8", 1)); other == first {
		t.Errorf("seeds 7 and 8 both slept %s", first)
	}
}

func TestCoverageCountsTheSetsOwnRulesThatDecided(t *testing.T) {
	report := run(t, "cases:\n  - {name: c, each: [{code: BUSY}, {status: 503}], expect: {rule_errors: 0}}\n", scenario.Options{})
	c := report.Coverage
	if c.Covered != 1 || c.Total != 2 || len(c.Missing) != 1 || c.Missing[0].ID != "never-seen" {
		t.Errorf("coverage %d of %d, missing %v; want 1 of 2, missing never-seen", c.Covered, c.Total, c.Missing)
	}
	if got := c.Percent(); got != 50 {
		t.Errorf("percent %v, want 50", got)
	}
}

func TestEachScenarioStartsWithFreshBreakersAndBudgets(t *testing.T) {
	report := run(t, `scenarios:
  - name: opens it
    calls:
      - {repeat: 2, outcomes: [{status: 503}]}
      - {outcomes: [ok], expect: {stop_reason: CIRCUIT_OPEN}}
  - name: finds it closed
    calls:
      - {outcomes: [ok], expect: {ok: true, events: [success]}}
`, scenario.Options{})
	if report.Failed() != 0 {
		t.Errorf("%v", report.Results)
	}
}

func TestACallCannotStartBeforeTheOneBeforeItEnded(t *testing.T) {
	report := run(t, "scenarios:\n  - name: s\n    calls:\n      - {outcomes: [{status: 503}, ok]}\n      - {at: 999ms, outcomes: [ok]}\n", scenario.Options{})
	if got := report.Results[0].Failures; len(got) != 1 || got[0].What != "calls[1]: at" {
		t.Errorf("failures %v, want one of calls[1]: at", got)
	}
}

func TestRunFiltersByPolicyAndName(t *testing.T) {
	const tests = "cases:\n  - {name: one, err: {}, expect: {rule: default}}\n  - {name: two, err: {}, expect: {rule: default}}\n"
	report := run(t, tests, scenario.Options{Run: regexp.MustCompile("^p/two$")})
	if len(report.Results) != 1 || report.Results[0].Name != "two" {
		t.Errorf("ran %v, want two alone", report.Results)
	}
}
