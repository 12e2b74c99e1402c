package interp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// layered compiles texts, each a layer over the one before.
func layered(t *testing.T, texts ...string) *interp.Policy {
	t.Helper()
	var sources []*dsl.Source
	for i, text := range texts {
		source := dsl.NewSource("p.yaml", []byte(text))
		source.Layer, source.LayerName = i, []string{"base", "site", "now"}[i]
		sources = append(sources, source)
	}
	set, found := dsl.ParseSet(sources)
	program, more := interp.Compile(set, interp.Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err := append(found, more...).Err(); err != nil {
		t.Fatal(err)
	}
	return program.Policy("p")
}

// TestOriginsSayWhatCountsAndWhatItStandsOver in every way in which layers can differ.
func TestOriginsSayWhatCountsAndWhatItStandsOver(t *testing.T) {
	policy := func(more string) string {
		return "apiVersion: redress/v1\nkind: Policy\nname: p\ndescription: whose\nx-own: 1\n" + more
	}
	rule := func(status int) string {
		return fmt.Sprintf("classify: [{id: r, when: err.status == %d, class: TRANSIENT}]\n", status)
	}
	override := func(set string) string {
		return "---\napiVersion: redress/v1\nkind: Override\nname: o\npolicy: p\nexpires: 2030-01-01\nset: {" + set + "}\n"
	}
	for _, row := range []struct {
		name   string
		layers []string
		want   string // of the setting that counts
	}{
		{"one layer", []string{policy(rule(1))}, "classify[r] base when err.status == 1, class TRANSIENT"},
		{"another rule", []string{policy(rule(1)), policy(rule(2))}, "classify[r] site when err.status == 2, class TRANSIENT < base when err.status == 1, class TRANSIENT"},
		{"the same rule, otherwise written", []string{policy(rule(1)), policy("classify:\n- class: TRANSIENT\n  id: r\n  when: 'err.status  ==  1'\n")},
			"classify[r] site class TRANSIENT, when err.status == 1 < base when err.status == 1, class TRANSIENT"},
		{"the same rule", []string{policy(rule(1)), policy("classify:\n- id: r\n  class: TRANSIENT\n  when: \"err.status == 1\"\n")}, "classify[r] site class TRANSIENT, when err.status == 1"},
		{"three layers", []string{policy(rule(1) + "mode: off"), policy(rule(1) + "mode: off"), policy(rule(1) + "mode: shadow")}, "mode now shadow < site off"},
		{"back again", []string{policy(rule(1) + "mode: off"), policy(rule(1) + "mode: shadow"), policy(rule(1) + "mode: off")}, "mode now off < site shadow < base off"},
		{"no longer written", []string{policy(rule(1) + "retry: {deadline: 5s}"), policy(rule(1))}, "retry.deadline site - < base 5s"},
		{"a list", []string{policy(rule(1) + "operations: [a, b]"), policy(rule(1) + "operations: [a]")}, "operations site [a] < base [a, b]"},
		{"select", []string{policy(rule(1) + "retry: {select: [{id: s, when: attempt == 1, strategy: {constant: {delay: 1s}}}]}")}, "retry.select[s] base when attempt == 1, strategy {constant: {delay: 1s}}"},
		{"a strategy", []string{policy(rule(1) + "retry: {strategy: {constant: {delay: 1s}}}"), policy(rule(1) + "retry: {strategy: {constant: {delay: 2s}}}")}, "retry.strategy.constant.delay site 2s < base 1s"},
		{"an override", []string{policy(rule(1) + "retry: {deadline: 5s}"), override("deadline: 1s")[4:]}, "retry.deadline site(o) 1s < base 5s"},
		{"an override of what is not written", []string{policy(rule(1)), override("max_attempts: 1")[4:]}, "retry.max_attempts site(o) 1"},
		{"an override in the same layer", []string{policy(rule(1)+"mode: shadow\n") + override("mode: off")}, "mode base(o) off < base shadow"},
		{"an override over an override", []string{policy(rule(1)+"mode: shadow\n") + override("mode: enforce"), override("mode: off")[4:]}, "mode site(o) off < base(o) enforce < base shadow"},
		{"an override that an override leaves out", []string{policy(rule(1)+"mode: shadow\n") + override("mode: off"), override("max_attempts: 1")[4:]}, "mode base shadow"},
		{"a budget", []string{policy(rule(1)+"retry: {budget: b}\n") + "---\napiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 1\nwindow: 1s\n", "apiVersion: redress/v1\nkind: Budget\nname: b\nmax_retries: 2\nwindow: 1s\n"},
			"Budget b: max_retries site 2 < base 1"},
	} {
		var got []string
		for _, o := range layered(t, row.layers...).Origins() {
			got = append(got, o.Setting+" "+said(o.Said))
			for _, over := range o.Over {
				got[len(got)-1] += " < " + said(over)
			}
		}
		if !slices.Contains(got, row.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", row.name, strings.Join(got, "\n"), row.want)
		}
		for _, line := range got {
			if strings.Contains(line, "x-own") || strings.Contains(line, "description") || strings.HasPrefix(line, "name") {
				t.Errorf("%s: %s changes nothing", row.name, line)
			}
		}
	}
}

func said(s interp.Said) string {
	layer, value := s.Layer, s.Value
	if s.Override != "" {
		layer += "(" + s.Override + ")"
	}
	if value == "" {
		value = "-"
	}
	return layer + " " + value
}
