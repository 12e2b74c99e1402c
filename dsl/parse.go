package dsl

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Parse reads a source: every document in it, and everything that is wrong with
// them as far as the file alone can tell. It never panics and never returns a nil
// File; documents that are wrong are in it as far as they could be read.
func Parse(src *Source) (*File, Diagnostics) {
	d, roots := newDecoder(src)
	file := &File{Source: src}
	if len(roots) == 0 && len(d.found) == 0 {
		d.errorf(Range{src, 0, 0}, CodeEmpty, "begin with apiVersion: redress/v1", "the file holds no document")
	}
	for _, root := range roots {
		file.Documents = append(file.Documents, d.document(root))
	}
	d.found.Sort()
	return file, d.found
}

// APIVersion is the version of the language.
const APIVersion = "redress/v1"

func (d *decoder) document(root *node) *Document {
	doc := &Document{Source: d.src, Range: root.rng(), root: root}
	header := d.header(doc)
	kind := root.word("kind")
	if body := d.body(doc, kind); body != nil {
		d.mapping(root, "a "+kind, append(header, body...)...)
		d.finish(doc)
		return doc
	}
	if root.kind != mappingNode || len(root.items) == 0 {
		d.errorf(root.rng(), CodeWrongType, "begin with apiVersion: "+APIVersion, "a document is a mapping of keys, not %s", root.describe())
		return doc
	}
	// Of a document whose kind is not known only the header can be judged.
	for i := 0; i < len(root.items); i += 2 {
		if key := root.items[i].target().value; !slices.Contains(fieldNames(header[:2]), key) {
			header = append(header, may(key, func(*node) {}))
		}
	}
	d.mapping(root, "a document", header...)
	return doc
}

// header are the keys of all kinds of documents.
func (d *decoder) header(doc *Document) []field {
	return []field{
		must("apiVersion", d.word("apiVersion", &doc.APIVersion, []string{APIVersion})),
		must("kind", d.word("kind", &doc.Kind, documentKinds)),
	}
}

func (d *decoder) body(doc *Document, kind string) []field {
	switch kind {
	case "Policy":
		doc.Policy = &Policy{}
		return append([]field{must("name", d.title(doc))}, d.policy(doc.Policy)...)
	case "Classifier":
		doc.Classifier = &Classifier{}
		return append([]field{must("name", d.title(doc))}, d.classifier(doc.Classifier)...)
	case "Budget":
		doc.Budget = &Budget{}
		return append(d.named(doc, &doc.Budget.Scope), d.budget(doc.Budget)...)
	case "CircuitBreaker":
		doc.Breaker = &CircuitBreaker{}
		return append(d.named(doc, &doc.Breaker.Scope), d.breaker(doc.Breaker)...)
	case "PolicyTest":
		doc.Test = &PolicyTest{}
		return append([]field{may("name", d.title(doc))}, d.policyTest(doc.Test)...)
	case "Environment":
		doc.Environment = &Environment{}
		return append([]field{must("name", d.title(doc))}, d.environment(doc.Environment)...)
	case "Override":
		doc.Override = &Override{}
		return append([]field{must("name", d.title(doc))}, d.override(doc.Override)...)
	case "Set":
		doc.Settings = &Settings{}
		return append([]field{must("name", d.title(doc))}, d.settings(doc.Settings)...)
	}
	return nil
}

// finish judges what needs the whole document.
func (d *decoder) finish(doc *Document) {
	switch {
	case doc.Policy != nil:
		d.uniqueRules(doc.Policy.Classify, doc.Policy.ClassifyResult, doc.Policy.Retry.Select)
	case doc.Classifier != nil:
		d.uniqueRules(doc.Classifier.Classify, doc.Classifier.ClassifyResult, nil)
		if len(doc.Classifier.Classify) == 0 && len(doc.Classifier.ClassifyResult) == 0 && !d.hasFindingsIn(doc.Range) {
			d.errorf(doc.root.head(), CodeMissingKey, "add classify:", "a Classifier needs classify or classify_result")
		}
	case doc.Environment != nil:
		if !doc.Environment.Assume.Set && len(doc.Environment.Policies) == 0 && !d.hasFindingsIn(doc.Range) {
			d.errorf(doc.root.head(), CodeMissingKey, "add assume: or policies:", "an Environment needs assume or policies")
		}
	case doc.Test != nil:
		if len(doc.Test.Cases) == 0 && len(doc.Test.Scenarios) == 0 && !d.hasFindingsIn(doc.Range) {
			d.errorf(doc.root.head(), CodeMissingKey, "add cases: or scenarios:", "a PolicyTest needs cases or scenarios")
		}
	}
}

func (d *decoder) hasFindingsIn(r Range) bool {
	return slices.ContainsFunc(d.found, func(f Diagnostic) bool { return f.Range.Start >= r.Start && f.Range.Start <= r.End })
}

func (d *decoder) uniqueRules(classify, results []Rule, selects []Selection) {
	first := make(map[string]Range, len(classify)+len(results)+len(selects))
	see := func(id Value[string]) {
		if !id.Set {
			return
		}
		if at, twice := first[id.V]; twice {
			d.repeated(id.Range, at, CodeDuplicateName, "ids are unique in their document: metrics and tests name rules by them", "a rule is already called %q", shorten(id.V))
			return
		}
		first[id.V] = id.Range
	}
	for _, r := range classify {
		see(r.ID)
	}
	for _, r := range results {
		see(r.ID)
	}
	for _, s := range selects {
		see(s.ID)
	}
}

func (d *decoder) policy(p *Policy) []field {
	return []field{
		may("description", d.text("description", &p.Description)),
		may("owner", d.text("owner", &p.Owner)),
		may("mode", d.word("mode", &p.Mode, modeNames)),
		may("operations", d.words("operations", &p.Operations, "an operation", nil)),
		may("calls", func(n *node) {
			d.words("calls", &p.Calls, "a policy", nil)(n)
			d.distinct(p.Calls)
		}),
		may("attributes", d.attributes(&p.Attributes)),
		may("vars", d.vars(&p.Vars)),
		must("classify", d.rules("classify", &p.Classify)),
		may("default_class", d.word("class", &p.DefaultClass, classNames)),
		may("classify_result", d.rules("classify_result", &p.ClassifyResult)),
		may("retry", d.retry(&p.Retry)),
		may("circuit_breaker", func(n *node) { ref(d, "circuit_breaker", n, &p.CircuitBreaker, d.breaker) }),
		may("guarantees", d.guarantees(&p.Guarantees)),
		may("assume", d.assumptions(&p.Assume)),
	}
}

func (d *decoder) guarantees(g *Guarantees) func(*node) {
	return func(n *node) {
		g.Range = n.rng()
		g.Set = d.notEmpty(n, "guarantees") && d.mapping(n, "guarantees",
			may("max_duration", d.duration("max_duration", &g.MaxDuration, positive)),
			may("max_attempts", d.integer("max_attempts", &g.MaxAttempts, 1, math.MaxInt32)),
			may("max_amplification", d.integer("max_amplification", &g.MaxAmplification, 1, math.MaxInt32)),
		)
	}
}

func (d *decoder) assumptions(a *Assumptions) func(*node) {
	return func(n *node) {
		a.Range = n.rng()
		fraction := func(x float64) bool { return x >= 0 && x <= 1 }
		a.Set = d.notEmpty(n, "assume") && d.mapping(n, "assume",
			may("rate", d.number("rate", &a.Rate, func(x float64) bool { return x > 0 }, "above 0")),
			may("instances", d.integer("instances", &a.Instances, 1, math.MaxInt32)),
			may("latency", d.duration("latency", &a.Latency, positive)),
			may("baseline_errors", d.number("baseline_errors", &a.BaselineErrors, fraction, "from 0 to 1")),
			may("utilisation", d.number("utilisation", &a.Utilisation, fraction, "from 0 to 1")),
			may("idempotent", d.boolean("idempotent", &a.Idempotent)),
		)
	}
}

// notEmpty refuses a mapping without a key, which says nothing.
func (d *decoder) notEmpty(n *node, what string) bool {
	if m := n.target(); m.kind == mappingNode && len(m.items) == 0 {
		d.errorf(n.rng(), CodeEmpty, "leave the key out if there is nothing to say", "%s is empty", what)
		return false
	}
	return true
}

func (d *decoder) environment(e *Environment) []field {
	return []field{
		may("description", d.text("description", &e.Description)),
		may("assume", d.assumptions(&e.Assume)),
		may("policies", func(n *node) {
			d.entries(n, "policies", func(key, value *node) {
				p := PolicyAssumptions{Policy: Value[string]{key.rng(), key.value, true}}
				d.assumptions(&p.Assume)(value)
				e.Policies = append(e.Policies, p)
			})
		}),
	}
}

func (d *decoder) override(o *Override) []field {
	return []field{
		may("description", d.text("description", &o.Description)),
		must("policy", d.name("policy", &o.Policy)),
		must("expires", d.moment("expires", &o.Expires)),
		must("set", func(n *node) {
			s := &o.Set
			s.Range = n.rng()
			s.Set = d.notEmpty(n, "set") && d.mapping(n, "set",
				may("mode", d.word("mode", &s.Mode, modeNames)),
				may("deadline", d.duration("deadline", &s.Deadline, positive)),
				may("attempt_timeout", d.duration("attempt_timeout", &s.AttemptTimeout, positive)),
				may("max_attempts", d.integer("max_attempts", &s.MaxAttempts, 1, math.MaxInt32)),
				may("max_unknown_attempts", d.integer("max_unknown_attempts", &s.MaxUnknownAttempts, 0, math.MaxInt32)),
			)
		}),
	}
}

func (d *decoder) settings(s *Settings) []field {
	return []field{
		may("description", d.text("description", &s.Description)),
		must("fallback_policy", d.name("fallback_policy", &s.FallbackPolicy)),
	}
}

// moment reads a date, which stands for its end in UTC, or an RFC 3339 time.
func (d *decoder) moment(what string, v *Value[time.Time]) func(*node) {
	return func(n *node) {
		text, ok := d.scalar(n, what, "a date, like 2026-12-31", strTag, timestampTag)
		if !ok {
			return
		}
		if day, err := time.Parse(time.DateOnly, text.value); err == nil {
			set(v, n, day.AddDate(0, 0, 1))
			return
		}
		moment, err := time.Parse(time.RFC3339, text.value)
		if err != nil {
			d.errorf(n.rng(), CodeWrongType, "write it like 2026-12-31 or 2026-12-31T18:00:00Z", "%s is no date: %s", what, shorten(text.value))
			return
		}
		set(v, n, moment)
	}
}

func (d *decoder) classifier(c *Classifier) []field {
	return []field{
		may("description", d.text("description", &c.Description)),
		may("attributes", d.attributes(&c.Attributes)),
		may("vars", d.vars(&c.Vars)),
		may("classify", d.rules("classify", &c.Classify)),
		may("classify_result", d.rules("classify_result", &c.ClassifyResult)),
	}
}

var attributeTypes = []string{"string", "int", "double", "bool", "duration", "list(string)", "map(string, string)"}

func (d *decoder) attributes(list *[]Attribute) func(*node) {
	return func(n *node) {
		d.entries(n, "attributes", func(key, value *node) {
			a := Attribute{Name: Value[string]{key.rng(), key.value, true}}
			d.identifier(key)
			d.word("type of attributes", &a.Type, attributeTypes)(value)
			*list = append(*list, a)
		})
	}
}

func (d *decoder) vars(list *[]Var) func(*node) {
	return func(n *node) {
		d.entries(n, "vars", func(key, value *node) {
			v := Var{Name: Value[string]{key.rng(), key.value, true}}
			d.identifier(key)
			d.expr("a var", &v.Expr)(value)
			*list = append(*list, v)
		})
	}
}

func (d *decoder) identifier(key *node) {
	for i, r := range key.value {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			d.errorf(key.rng(), CodeBadName, "write "+strings.ReplaceAll(key.value, "-", "_"), "%q cannot be read in an expression: use letters, digits and `_`", key.value)
			return
		}
	}
}

func (d *decoder) rules(what string, list *[]Rule) func(*node) {
	return func(n *node) {
		readAll(d, n, what, list, func(item *node, r *Rule) { d.rule(what, item, r) })
	}
}

func (d *decoder) rule(list string, n *node, r *Rule) {
	r.Range = n.rng()
	if n.get("use") != nil {
		d.mapping(n, "a splice", must("use", d.name("use", &r.Use)))
		return
	}
	d.mapping(n, "a rule of "+list,
		must("id", d.ruleID(&r.ID)),
		must("when", d.expr("when", &r.When)),
		must("class", d.word("class", &r.Class, classNames)),
		may("retry_after", d.expr("retry_after", &r.RetryAfter)),
	)
}

// Ids that outcomes use for decisions that no rule made.
var reservedIDs = []string{"default", "marker"}

func (d *decoder) ruleID(v *Value[string]) func(*node) {
	return func(n *node) {
		d.name("id", v)(n)
		if slices.Contains(reservedIDs, v.V) {
			d.errorf(n.rng(), CodeBadName, "choose another id", "%q is what outcomes say when no rule decided", v.V)
		}
	}
}

func (d *decoder) retry(r *Retry) func(*node) {
	return func(n *node) {
		r.Range = n.rng()
		r.Set = d.mapping(n, "retry",
			may("deadline", d.duration("deadline", &r.Deadline, positive)),
			may("attempt_timeout", d.duration("attempt_timeout", &r.AttemptTimeout, positive)),
			may("max_attempts", d.integer("max_attempts", &r.MaxAttempts, 1, math.MaxInt32)),
			may("max_unknown_attempts", d.integer("max_unknown_attempts", &r.MaxUnknownAttempts, 0, math.MaxInt32)),
			may("strategy", func(n *node) { r.Strategy = d.strategy(n) }),
			may("select", func(n *node) {
				readAll(d, n, "select", &r.Select, d.selection)
			}),
			may("classes", func(n *node) { d.classes(n, &r.Classes) }),
			may("budget", func(n *node) { ref(d, "budget", n, &r.Budget, d.budget) }),
		)
	}
}

func (d *decoder) selection(n *node, s *Selection) {
	s.Range = n.rng()
	d.mapping(n, "a rule of select",
		must("id", d.ruleID(&s.ID)),
		must("when", d.expr("when", &s.When)),
		must("strategy", func(n *node) { s.Strategy = d.strategy(n) }),
	)
}

func (d *decoder) classes(n *node, list *[]ClassRetry) {
	d.entries(n, "classes", func(key, value *node) {
		c := ClassRetry{Class: Value[string]{key.rng(), key.value, true}}
		d.checkWord(key, CodeUnknownKey, "class", key.value, classNames)
		d.mapping(value, "the class "+key.value,
			may("strategy", func(n *node) { c.Strategy = d.strategy(n) }),
			may("max_attempts", d.integer("max_attempts", &c.MaxAttempts, 0, math.MaxInt32)),
		)
		*list = append(*list, c)
	})
}

// ref reads a name, or the thing itself.
func ref[T any](d *decoder, what string, n *node, r *Ref[T], fields func(*T) []field) {
	r.Range = n.rng()
	if n.target().kind == mappingNode {
		r.Inline = new(T)
		r.Set = d.mapping(n, what, append(fields(r.Inline), mayNot("scope", d.onlyNamed(what)))...)
		return
	}
	if !n.isText() {
		d.errorf(n.rng(), CodeWrongType, "write a name, or the keys themselves: "+strings.Join(fieldNames(fields(new(T))), ", "), "%s is a name or a mapping, not %s", what, n.describe())
		return
	}
	d.name(what, &r.Name)(n)
	r.Set = r.Name.Set
}

// named are the keys of a budget or breaker that others can refer to.
func (d *decoder) named(doc *Document, scope *Value[string]) []field {
	return []field{must("name", d.title(doc)), may("scope", d.word("scope", scope, scopeNames))}
}

// onlyNamed refuses a scope where there is no name that others could know it by.
func (d *decoder) onlyNamed(what string) func(*node) {
	kind := map[string]string{"budget": "Budget", "circuit_breaker": "CircuitBreaker"}[what]
	return func(n *node) {
		d.errorf(n.rng(), CodeContradiction, "write a document of kind "+kind+", and its name here", "a %s within a policy has no name that other instances could know it by, so it has no scope", what)
	}
}

func (d *decoder) budget(b *Budget) []field {
	return []field{
		may("description", d.text("description", &b.Description)),
		must("max_retries", d.integer("max_retries", &b.MaxRetries, 0, math.MaxInt32)),
		must("window", d.duration("window", &b.Window, positive)),
	}
}

func (d *decoder) breaker(b *CircuitBreaker) []field {
	return []field{
		may("description", d.text("description", &b.Description)),
		may("failure_threshold", d.integer("failure_threshold", &b.FailureThreshold, 1, math.MaxInt32)),
		may("window", d.duration("window", &b.Window, positive)),
		may("recovery_timeout", d.duration("recovery_timeout", &b.RecoveryTimeout, positive)),
		may("probe_timeout", d.duration("probe_timeout", &b.ProbeTimeout, positive)),
		may("trip_on", func(n *node) {
			d.words("trip_on", &b.TripOn, "class", classNames)(n)
			d.distinct(b.TripOn)
		}),
		may("class_thresholds", func(n *node) {
			d.entries(n, "class_thresholds", func(key, value *node) {
				t := ClassThreshold{Class: Value[string]{key.rng(), key.value, true}}
				d.checkWord(key, CodeUnknownKey, "class", key.value, classNames)
				d.integer("the threshold of "+key.value, &t.Threshold, 1, math.MaxInt32)(value)
				b.ClassThresholds = append(b.ClassThresholds, t)
			})
		}),
	}
}
