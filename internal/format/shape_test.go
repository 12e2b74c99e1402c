package format

import (
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

// The keys that the language has are in the help of its complaint about one that it
// does not have.
func keysOf(t *testing.T, text string) (keys []string) {
	t.Helper()
	_, found := dsl.Parse(dsl.NewSource("a.yaml", []byte(text)))
	for _, d := range found {
		if list, ok := strings.CutPrefix(d.Help, "keys here: "); ok && d.Code == dsl.CodeUnknownKey {
			list, _, _ = strings.Cut(list, ";")
			return strings.Split(list, ", ")
		}
	}
	t.Fatalf("no complaint about qqqq in\n%s", text)
	return nil
}

func TestEveryKeyOfTheLanguageHasItsPlace(t *testing.T) {
	for _, kind := range dsl.DocumentKinds() {
		if kinds()[kind] == nil {
			t.Errorf("nothing is known of documents of kind %s", kind)
		}
	}
	policy, test, environment := kinds()["Policy"], kinds()["PolicyTest"], kinds()["Environment"]
	retry := policy.values["retry"]
	rule := policy.values["classify"].each
	cases, scenarios := test.values["cases"].each, test.values["scenarios"].each
	call := scenarios.values["calls"].each
	outcome := call.values["outcomes"].each
	record := cases.values["err"]
	const (
		inPolicy = "apiVersion: redress/v1\nkind: Policy\n"
		inEnv    = "apiVersion: redress/v1\nkind: Environment\n"
		inTest   = "apiVersion: redress/v1\nkind: PolicyTest\n"
	)
	for _, place := range []struct {
		shape *shape
		texts []string // each with one unknown key; together they name every key
	}{
		{policy, []string{inPolicy + "qqqq: 1\n"}},
		{kinds()["Classifier"], []string{"apiVersion: redress/v1\nkind: Classifier\nqqqq: 1\n"}},
		{kinds()["Budget"], []string{"apiVersion: redress/v1\nkind: Budget\nqqqq: 1\n"}},
		{kinds()["CircuitBreaker"], []string{"apiVersion: redress/v1\nkind: CircuitBreaker\nqqqq: 1\n"}},
		{test, []string{inTest + "qqqq: 1\n"}},
		{rule, []string{inPolicy + "classify: [{qqqq: 1}]\n", inPolicy + "classify: [{use: a, qqqq: 1}]\n"}},
		{policy.values["classify_result"].each, []string{inPolicy + "classify_result: [{qqqq: 1}]\n", inPolicy + "classify_result: [{use: a, qqqq: 1}]\n"}},
		{kinds()["Classifier"].values["classify"].each, []string{inPolicy + "classify: [{qqqq: 1}]\n", inPolicy + "classify: [{use: a, qqqq: 1}]\n"}},
		{retry, []string{inPolicy + "retry: {qqqq: 1}\n"}},
		{retry.values["select"].each, []string{inPolicy + "retry: {select: [{qqqq: 1}]}\n"}},
		{retry.values["classes"].each, []string{inPolicy + "retry: {classes: {AUTH: {qqqq: 1}}}\n"}},
		{retry.values["budget"], []string{inPolicy + "retry: {budget: {qqqq: 1}}\n"}},
		{policy.values["circuit_breaker"], []string{inPolicy + "circuit_breaker: {qqqq: 1}\n"}},
		{policy.values["guarantees"], []string{inPolicy + "guarantees: {qqqq: 1}\n"}},
		{policy.values["assume"], []string{inPolicy + "assume: {qqqq: 1}\n"}},
		{environment, []string{inEnv + "qqqq: 1\n"}},
		{environment.values["assume"], []string{inEnv + "assume: {qqqq: 1}\n"}},
		{environment.values["policies"].each, []string{inEnv + "policies: {a: {qqqq: 1}}\n"}},
		{cases, []string{inTest + "cases: [{qqqq: 1}]\n"}},
		{cases.values["expect"], []string{inTest + "cases: [{name: a, expect: {qqqq: 1}}]\n"}},
		{record, []string{inTest + "cases: [{name: a, err: {qqqq: 1}}]\n"}},
		{record.values["causes"].each, []string{inTest + "cases: [{name: a, err: {causes: [{qqqq: 1}]}}]\n"}},
		{scenarios, []string{inTest + "scenarios: [{qqqq: 1}]\n"}},
		{call, []string{inTest + "scenarios: [{name: a, calls: [{qqqq: 1}]}]\n"}},
		{call.values["expect"], []string{inTest + "scenarios: [{name: a, calls: [{expect: {qqqq: 1}}]}]\n"}},
		{call.values["expect"].values["slept"], []string{inTest + "scenarios: [{name: a, calls: [{expect: {slept: {qqqq: 1}}}]}]\n"}},
		{outcome, []string{
			inTest + "scenarios: [{name: a, calls: [{outcomes: [{qqqq: 1}]}]}]\n",
			inTest + "scenarios: [{name: a, calls: [{outcomes: [{ok: true, qqqq: 1}]}]}]\n",
			inTest + "scenarios: [{name: a, calls: [{outcomes: [{result: {}, qqqq: 1}]}]}]\n",
		}},
	} {
		var want []string
		for _, text := range place.texts {
			want = append(want, keysOf(t, text)...)
		}
		slices.Sort(want)
		got := slices.Clone(place.shape.keys)
		slices.Sort(got)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("the order knows %v, the language %v, in\n%s", got, want, place.texts[0])
		}
	}
}

func TestParametersOfStrategiesHaveTheirPlace(t *testing.T) {
	strategy := kinds()["Policy"].values["retry"].values["strategy"]
	for _, name := range dsl.StrategyNames() {
		if name == "func" {
			continue
		}
		for _, key := range keysOf(t, "apiVersion: redress/v1\nkind: Policy\nretry: {strategy: {"+name+": {qqqq: 1}}}\n") {
			if key == "" {
				continue // it has none
			}
			if s := strategy.values[name]; s == nil {
				t.Errorf("nothing is known of %s, which has %s", name, key)
			} else if _, ok := s.rank(key); !ok {
				t.Errorf("%s of %s has no place", key, name)
			}
		}
	}
}
