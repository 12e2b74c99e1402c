// Package checks holds what redress-lint says beyond what keeps a set from loading:
// rules that cannot decide, calls that cannot fit, retries that hurt.
package checks

import (
	"slices"
	"strings"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/analysis"
	"github.com/redress-policy/redress/interp"
)

// Options say what to look for.
type Options struct {
	Environments []*dsl.Document // beside those of the set
	Now          time.Time       // for what expires; zero means that nothing has
	Tests        bool            // run the tests of the set, to find rules that they leave out
}

// Check looks at a set that loads.
func Check(set *dsl.Set, program *interp.Program, opts Options) dsl.Diagnostics {
	found, facts := Part(set, program, opts)
	found = append(found, Whole([]Facts{facts})...)
	found.Sort()
	return found
}

// Part looks at a part of a set, all but what only the whole shows.
func Part(set *dsl.Set, program *interp.Program, opts Options) (dsl.Diagnostics, Facts) {
	c := &checker{set: set, program: program, opts: opts, environments: slices.Clone(opts.Environments), written: map[dsl.Range]*dsl.Rule{}}
	for doc := range set.All() {
		c.noteRules(doc)
		if doc.Environment != nil {
			c.environments = append(c.environments, doc)
		}
		if o := doc.Override; o != nil && interp.Expired(o, opts.Now) {
			c.report(dsl.CodeExpiredOverride, o.Expires.Range, "remove it, or give it another day", "override %s has expired: policy %s is what it was before", doc.Name.V, o.Policy.V)
		}
	}
	for _, p := range program.Policies() {
		c.policies = append(c.policies, c.newPolicy(p))
	}
	for _, k := range program.Classifiers() {
		c.classifier(k)
	}
	for _, p := range c.policies {
		p.check()
	}
	c.fleets()
	c.found.Sort()
	return c.found, c.facts()
}

type checker struct {
	findings
	set          *dsl.Set
	program      *interp.Program
	opts         Options
	environments []*dsl.Document
	policies     []*policy
	written      map[dsl.Range]*dsl.Rule // by the range of the rule
	ran          *coverage               // of the set's tests; made when it is asked for
}

func (c *checker) noteRules(doc *dsl.Document) {
	var lists [][]dsl.Rule
	switch {
	case doc.Policy != nil:
		lists = [][]dsl.Rule{doc.Policy.Classify, doc.Policy.ClassifyResult}
	case doc.Classifier != nil:
		lists = [][]dsl.Rule{doc.Classifier.Classify, doc.Classifier.ClassifyResult}
	}
	for _, list := range lists {
		for i := range list {
			c.written[list[i].Range] = &list[i]
		}
	}
}

// A policy is one policy with what is known of it.
type policy struct {
	*checker
	*interp.Policy
	doc      *dsl.Document
	body     *dsl.Policy
	spec     engine.Spec
	envelope *analysis.Envelope
	outlooks []analysis.Outlook
}

func (c *checker) newPolicy(p *interp.Policy) *policy {
	e := analysis.EnvelopeOf(p)
	return &policy{checker: c, Policy: p, doc: p.Document(), body: p.Document().Policy, spec: p.Spec(), envelope: e, outlooks: analysis.Outlooks(p, e, c.environments)}
}

func (p *policy) check() {
	scope := analysis.ScopeOf(p.Policy, nil)
	p.list(scope, p.Classify(), "", p.spec.DefaultClass)
	p.list(scope, p.ClassifyResult(), "", engine.NoClass)
	p.list(scope, p.Select(), "", engine.NoClass)
	p.definitions(scope, p.body.Vars, p.VarTrees())
	p.vars(p.body.Vars, p.body.Attributes, p.VarTrees(), "", p.Classify(), p.ClassifyResult(), p.Select())
	p.retries()
	p.breaker()
	p.budget()
	p.strategies()
	p.unusedStrategies()
	p.hints()
	p.idempotency(scope)
	p.guarantees()
	p.tests()
}

// gives reports whether rules of the policy, or its default, give a class.
func (p *policy) gives(class engine.Class) bool {
	return slices.ContainsFunc(p.envelope.Classes, func(c analysis.ClassBounds) bool { return c.Class == class && c.Given })
}

// givesNamed is gives by the name of the class.
func (p *policy) givesNamed(name string) bool {
	class, ok := engine.ParseClass(name)
	return ok && p.gives(class)
}

func (c *checker) classifier(k *interp.Classifier) {
	body := k.Document().Classifier
	scope := analysis.Scope{Attributes: k.Attributes()}
	name := k.Document().Name.V
	c.list(scope, k.Classify(), name, engine.NoClass)
	c.list(scope, k.ClassifyResult(), name, engine.NoClass)
	c.definitions(scope, body.Vars, k.VarTrees())
	c.vars(body.Vars, body.Attributes, k.VarTrees(), name, k.Classify(), k.ClassifyResult())
}

// definitions looks at the expressions of vars.
func (c *checker) definitions(scope analysis.Scope, vars []dsl.Var, trees map[string]*interp.Node) {
	var conditions []interp.Condition
	for _, v := range vars {
		if tree := trees[v.Name.V]; tree != nil && tree.Type == "bool" {
			conditions = append(conditions, interp.Condition{When: tree})
		}
	}
	l := analysis.NewList(scope, conditions)
	for _, v := range vars {
		if tree := trees[v.Name.V]; tree != nil {
			c.expression(l, tree, "var "+v.Name.V)
		}
	}
}

// vars reports vars and attributes that nothing reads. pack is the classifier whose
// they are, "" for a policy.
func (c *checker) vars(vars []dsl.Var, attributes []dsl.Attribute, trees map[string]*interp.Node, pack string, lists ...[]interp.Condition) {
	if len(vars) == 0 && len(attributes) == 0 {
		return
	}
	readVars, readAttributes := map[string]bool{}, map[string]bool{}
	note := func(n *interp.Node) {
		switch n.Op {
		case interp.OpVar:
			readVars[n.Name] = true
		case interp.OpField, interp.OpHas, interp.OpOptional:
			if _, name, ok := strings.Cut(n.Name, ".attr."); ok {
				readAttributes[name] = true
			}
		case interp.OpOther:
			for _, a := range attributes {
				if strings.Contains(n.Key, ".attr."+a.Name.V) || strings.Contains(n.Key, ".attr.?"+a.Name.V) {
					readAttributes[a.Name.V] = true
				}
			}
			for _, v := range vars {
				if strings.Contains(n.Key, "vars."+v.Name.V) {
					readVars[v.Name.V] = true
				}
			}
		}
	}
	for _, list := range lists {
		for i := range list {
			r := &list[i]
			if r.Pack != pack {
				// Rules of a classifier read its own vars, but the policy's attributes too.
				r.When.Walk(func(n *interp.Node) {
					if n.Op != interp.OpVar {
						note(n)
					}
				})
				continue
			}
			r.When.Walk(note)
			if r.RetryAfter != nil {
				r.RetryAfter.Walk(note)
			}
		}
	}
	for _, v := range vars {
		if !readVars[v.Name.V] && trees[v.Name.V] != nil {
			c.report(dsl.CodeUnusedVar, v.Name.Range, "remove it", "nothing reads vars.%s", v.Name.V)
		}
		if trees[v.Name.V] != nil && readVars[v.Name.V] {
			trees[v.Name.V].Walk(note)
		}
	}
	for _, a := range attributes {
		if !readAttributes[a.Name.V] {
			c.report(dsl.CodeUnusedAttribute, a.Name.Range, "remove it", "no rule reads attribute %s", a.Name.V)
		}
	}
}

// tests reports rules that no test of the set names or meets.
func (p *policy) tests() {
	var tests []*dsl.PolicyTest
	for doc := range p.set.All() {
		if doc.Test != nil && doc.Test.Policy.V == p.Name() {
			tests = append(tests, doc.Test)
		}
	}
	if len(tests) == 0 {
		p.report(dsl.CodePolicyUntested, p.doc.Name.Range, "redress-lint test --suggest writes the first ones", "no PolicyTest of the set tests %s", p.Name())
		return
	}
	p.testNames(tests)
	if !p.opts.Tests {
		return
	}
	covered := p.coverage().of(p.Policy)
	for _, r := range slices.Concat(p.Classify(), p.ClassifyResult(), p.Select()) {
		if r.Pack == "" && !covered[r.ID] {
			p.report(dsl.CodeRuleUntested, p.idOf(r), "redress-lint test --suggest writes a case for it", "no test has rule %s decide", r.ID)
		}
	}
}

// testNames reports tests that are called alike.
func (p *policy) testNames(tests []*dsl.PolicyTest) {
	first := map[string]dsl.Range{}
	note := func(what string, name dsl.Value[string]) {
		if at, known := first[name.V]; known {
			d := p.report(dsl.CodeDuplicateTest, name.Range, "give it a name of its own", "%s %q: another test of %s has that name", what, name.V, p.Name())
			d.Related = []dsl.Related{{Range: at, Message: "the first is here"}}
			return
		}
		first[name.V] = name.Range
	}
	for _, t := range tests {
		for i := range t.Cases {
			note("case", t.Cases[i].Name)
		}
		for i := range t.Scenarios {
			note("scenario", t.Scenarios[i].Name)
		}
	}
}

// idOf is the place of a rule's id.
func (c *checker) idOf(r interp.Condition) dsl.Range {
	if w := c.written[r.Range]; w != nil {
		return w.ID.Range
	}
	return r.Range
}
