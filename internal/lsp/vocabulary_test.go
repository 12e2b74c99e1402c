package lsp

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/interp"
)

// loads reports what is wrong with an expression at a site.
func loads(site role, expr string) string {
	rule := fmt.Sprintf("  - {id: x, when: %s, class: TRANSIENT}\n", quoteYAML(expr))
	text := "apiVersion: redress/v1\nkind: Policy\nname: p\nattributes: {s: string, d: duration, l: list(string), m: \"map(string, string)\"}\nvars: {v: true}\n"
	switch site {
	case classifyExpr:
		text += "classify:\n" + rule
	case resultExpr:
		text += "classify: [{use: std.http}]\nclassify_result:\n" + rule
	case selectExpr:
		text += "classify: [{use: std.http}]\nretry:\n select:\n" + strings.Replace(rule, "class: TRANSIENT", "strategy: stop", 1)
	}
	found := load.Sources([]*dsl.Source{dsl.NewSource("p.yaml", []byte(text))}, interp.Options{}).Diagnostics
	if err := found.Err(); err != nil {
		return err.Error()
	}
	return ""
}

func quoteYAML(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// samples are comparisons that take a value of a type.
var samples = map[string]string{
	"int": "%s == 1", "string": "%s == \"UNKNOWN\"", "bool": "%s", "duration": "%s > duration(\"1s\")", "map(string, string)": "\"a\" in %s", "list(cause)": "size(%s) > 0",
	"attributes": "%s.s == \"\"", "failure": "%s.status == 1", "result": "%s.status == 1", "vars": "%s.v", "class": "%s == AUTH",
}

func TestTheFieldsThatAreOfferedAreThoseOfTheLanguage(t *testing.T) {
	check := func(site role, name, typ string) {
		t.Helper()
		sample := samples[typ]
		if name == "err.kind" || name == "err.phase" || strings.HasSuffix(name, "c.kind") {
			sample = "%s == \"unknown\""
		}
		if wrong := loads(site, fmt.Sprintf(sample, name)); sample == "" || wrong != "" {
			t.Errorf("%s, %s: %s", name, typ, wrong)
		}
	}
	for _, f := range recordFields {
		check(classifyExpr, "err."+f.name, f.typ)
		if f.results {
			check(resultExpr, "result."+f.name, f.typ)
		} else if loads(resultExpr, fmt.Sprintf(samples[f.typ], "result."+f.name)) == "" {
			t.Errorf("result.%s is not offered", f.name)
		}
	}
	for _, f := range causeFields {
		if wrong := loads(classifyExpr, "err.causes.exists(c, "+strings.Replace(fmt.Sprintf(samples[f.typ], "c."+f.name), "UNKNOWN", "unknown", 1)+")"); wrong != "" {
			t.Errorf("%s: %s", f.name, wrong)
		}
	}
	for _, n := range exprNames {
		for _, site := range []role{classifyExpr, resultExpr, selectExpr} {
			expr := fmt.Sprintf(samples[n.typ], n.name)
			if slices.Contains(n.sites, site) {
				check(site, n.name, n.typ)
			} else if loads(site, expr) == "" {
				t.Errorf("%s is not offered at site %d", n.name, site)
			}
		}
	}
}

func TestTheFunctionsThatAreOfferedAreThoseOfTheLanguage(t *testing.T) {
	for _, f := range exprFunctions {
		if wrong := loads(classifyExpr, "size(["+f.form+"]) == 1"); wrong != "" {
			t.Errorf("%s: %s", f.form, wrong)
		}
	}
	receivers := map[string]string{"string": "err.attr.s", "duration": "err.attr.d", "list": "err.causes", "map": "err.attr.m"}
	for typ, methods := range exprMethods {
		for _, f := range methods {
			expr := receivers[typ] + "." + f.form
			if wrong := loads(classifyExpr, "size(["+expr+"]) == 1"); wrong != "" {
				t.Errorf("%s: %s", expr, wrong)
			}
		}
	}
}

func TestTheRolesAreOfPathsThatTheSchemaHas(t *testing.T) {
	for place := range roles {
		kind, path, _ := strings.Cut(place, " ")
		d := newOutline(dsl.NewSource("x", []byte("kind: "+kind))).docAt(0)
		list := shapesOf(rootShape(), instance{d.root, d.text})
		for part := range strings.SplitSeq(path, "/") {
			if part == "*" {
				list = list.item(instance{})
			} else {
				list = list.key(part, instance{})
			}
		}
		if len(list) == 0 || list.describe() == "" {
			t.Errorf("%s is nothing to the schema", place)
		}
	}
}
