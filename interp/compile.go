package interp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
)

// Options give policies what their documents cannot say themselves.
type Options = ir.Options

// A Program is a compiled set. It is immutable and safe for use by many goroutines.
type Program struct {
	policies    []*Policy
	classifiers []*Classifier
	fallback    dsl.Value[string]
	opts        Options
}

// A Policy is a compiled policy, from which Program.Build makes engine policies.
type Policy struct {
	doc       *dsl.Document
	uses      []*dsl.Document // itself first, as written; without built-in packs
	override  *dsl.Document   // in force; nil without one
	layered   bool            // the set has layers
	revision  string
	rules     []*rule // of classify, spliced
	results   []*rule
	selectors []*rule
	provider  *provider
	declared  attributes      // by the policy and the classifiers that it uses
	untyped   map[string]bool // attributes whose declaration is wrong
	opts      Options
	breaker   *ir.Breaker // nil without one
	budget    *ir.Budget
	deadline  time.Duration
	plain     func() *ir.Policy
	spec      func() engine.Spec // of an engine policy built for Explain, defaults filled in

	// The rules without CEL, made when they are first asked for.
	classify, classifyResult, choose func() *ir.List
	conditions                       func() conditionLists // as trees
}

// attributes are the declared types by name.
type attributes map[string]string

// add adds declarations; those that are there already count.
func (a attributes) add(list []dsl.Attribute) {
	for _, one := range list {
		if _, ok := a[one.Name.V]; !ok && one.Name.Set && attributeTypes[one.Type.V] != nil {
			a[one.Name.V] = one.Type.V
		}
	}
}

func (a attributes) names() []string { return slices.Sorted(maps.Keys(a)) }

// A RuleInfo tells of one rule, after splicing.
type RuleInfo struct {
	ID      string
	List    string       // classify, classify_result or select
	Class   engine.Class // NoClass for rules of select
	BuiltIn bool         // of a built-in pack
	Range   dsl.Range    // where it is written
}

// Name returns the policy's name.
func (p *Policy) Name() string { return p.doc.Name.V }

// Document returns what the policy was compiled from.
func (p *Policy) Document() *dsl.Document { return p.doc }

// Revision identifies what the policy and the documents that it uses say: equal
// texts have equal revisions.
func (p *Policy) Revision() string { return p.revision }

// Deadline returns how long a call under the policy may take.
func (p *Policy) Deadline() time.Duration { return p.deadline }

// Rules lists the rules of classify, classify_result and select, in this order.
func (p *Policy) Rules() []RuleInfo {
	var all []RuleInfo
	for _, r := range p.rules {
		all = append(all, RuleInfo{r.id, "classify", r.class, r.builtIn, r.written})
	}
	for _, r := range p.results {
		all = append(all, RuleInfo{r.id, "classify_result", r.class, r.builtIn, r.written})
	}
	for _, s := range p.selectors {
		all = append(all, RuleInfo{s.id, "select", engine.NoClass, false, s.written})
	}
	return all
}

// Policies returns the policies in the order of their documents.
func (p *Program) Policies() []*Policy { return slices.Clone(p.policies) }

// Policy returns the policy of that name, nil if there is none.
func (p *Program) Policy(name string) *Policy {
	for _, policy := range p.policies {
		if policy.Name() == name {
			return policy
		}
	}
	return nil
}

// FallbackPolicy returns what the set's documents say under which policy calls run whose
// own was removed; not set if they do not say.
func (p *Program) FallbackPolicy() dsl.Value[string] { return p.fallback }

// Compile compiles a set. It reports everything that is wrong with expressions,
// references and names; what dsl has reported already is passed over. The program
// may be used only if neither found errors.
func Compile(set *dsl.Set, opts Options) (*Program, dsl.Diagnostics) {
	return NewCompiler(opts).Compile(set)
}

// A Compiler compiles the parts of a larger set. It compiles a document of their
// libraries once. It is safe for use by many goroutines.
type Compiler struct {
	opts    Options
	mu      sync.Mutex
	library map[*dsl.Document]compiledPack
	known   knownPrograms
}

type compiledPack struct {
	pack  *pack
	found dsl.Diagnostics
}

// NewCompiler returns a compiler with the options of Compile.
func NewCompiler(opts Options) *Compiler {
	return &Compiler{opts: opts, library: map[*dsl.Document]compiledPack{}}
}

// Compile compiles a set as the function Compile does. What is wrong with documents of
// the library is reported too.
func (k *Compiler) Compile(set *dsl.Set) (*Program, dsl.Diagnostics) {
	c := &setCompiler{set: set, layered: set.Layered(), shared: k, opts: k.opts, packs: map[string]*pack{}, breakers: map[string]*ir.Breaker{}, budgets: map[string]*ir.Budget{}}
	program := &Program{opts: k.opts}
	for doc := range set.All() {
		switch name := doc.Name; {
		case doc.Classifier == nil || !name.Set:
		case IsBuiltIn(name.V):
			c.report(name.Range, dsl.CodeBadName, "name it "+strings.TrimPrefix(name.V, packPrefix), "names that begin with %s are those of built-in packs", packPrefix)
		default:
			if made := c.pack(name.V); made != nil && made.doc == doc {
				program.classifiers = append(program.classifiers, newClassifier(made))
			}
		}
	}
	c.findOverrides()
	program.fallback = c.fallbackPolicy()
	for doc := range set.All() {
		if doc.Policy != nil && doc.Name.Set {
			program.policies = append(program.policies, c.policy(doc))
		}
	}
	c.uniqueOperations()
	c.environments()
	for doc := range set.All() {
		if doc.Test != nil {
			c.policyTest(program, doc)
		}
	}
	c.found.Sort()
	return program, c.found
}

type setCompiler struct {
	set    *dsl.Set
	shared *Compiler
	opts   Options
	packs  map[string]*pack

	overrides map[string]*dsl.Document // those in force, by the policy's name
	layered   bool                     // the set has layers

	found   dsl.Diagnostics
	builtIn bool // the set is that of the built-in packs

	breakers map[string]*ir.Breaker // that policies share, by name
	budgets  map[string]*ir.Budget
}

func (c *setCompiler) report(at dsl.Range, code dsl.Code, help, format string, args ...any) {
	c.found = append(c.found, dsl.Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
}

// maxNames bounds how many names a finding lists.
const maxNames = 20

// missing reports a reference to nothing, with the nearest name.
func (c *setCompiler) missing(ref dsl.Value[string], what string, known []string) {
	help := "there is " + strings.Join(known, ", ")
	switch n := len(known); {
	case n == 0:
		help = "the set has none"
	case n > maxNames:
		help = fmt.Sprintf("there is %s and %d more", strings.Join(known[:maxNames], ", "), n-maxNames)
	}
	if near, ok := dsl.Nearest(ref.V, known); ok {
		c.report(ref.Range, dsl.CodeUnknownRef, help, "no %s is called %q; did you mean %q?", what, ref.V, near)
		if ref.Range.Text() == ref.V {
			c.found[len(c.found)-1].Fixes = []dsl.Fix{{Title: "write " + near, Edits: []dsl.Edit{{Range: ref.Range, Text: near}}}}
		}
		return
	}
	c.report(ref.Range, dsl.CodeUnknownRef, help, "no %s is called %q", what, ref.V)
}

func (c *setCompiler) policy(doc *dsl.Document) *Policy {
	uses := []*dsl.Document{doc}
	override := c.overrides[doc.Name.V]
	if override != nil {
		doc = overridden(doc, override.Override)
	}
	written := doc.Policy
	p := &Policy{doc: doc, override: override, layered: c.layered, opts: c.opts, deadline: engine.DefaultDeadline}
	if written.Retry.Deadline.Set {
		p.deadline = written.Retry.Deadline.V
	}
	p.lists()
	exprs, err := c.expressions(written.Attributes, written.Vars)
	if err != nil {
		c.report(doc.Name.Range, dsl.CodeInvalidExpr, "", "%v", err)
		return p
	}
	p.provider, p.untyped = exprs.provider, exprs.untyped
	p.declared = attributes{}
	p.declared.add(written.Attributes)
	list := &splicer{set: c, uses: &uses}
	p.rules = list.splice(exprs, written.Classify, inClassify, origin{})
	results := &splicer{set: c, uses: &uses}
	p.results = results.splice(exprs, written.ClassifyResult, inResult, origin{})
	for i := range written.Retry.Select {
		p.selectors = append(p.selectors, c.selector(exprs, &written.Retry.Select[i]))
	}
	for _, used := range uses[1:] {
		p.declared.add(used.Classifier.Attributes)
	}
	for _, name := range written.Calls.V {
		c.knownPolicy(name)
	}
	c.strategies(written)
	p.breaker = c.circuitBreaker(p.Name(), written.CircuitBreaker, &uses)
	p.budget = c.budget(p.Name(), written.Retry.Budget, &uses)
	c.found = append(c.found, exprs.found...)
	if override != nil {
		uses = append(uses, override)
	}
	p.uses, p.revision = uses, revisionOf(uses)
	return p
}

// circuitBreaker is the policy's own breaker, or the one of that name, nil without.
func (c *setCompiler) circuitBreaker(policy string, ref dsl.Ref[dsl.CircuitBreaker], uses *[]*dsl.Document) *ir.Breaker {
	if ref.Inline != nil {
		return breaker(policy, ref.Inline)
	}
	doc := c.resolve(ref.Name, ref.Set, "CircuitBreaker", "circuit breaker", uses)
	if doc == nil {
		return nil
	}
	if c.breakers[ref.Name.V] == nil {
		c.breakers[ref.Name.V] = breaker(ref.Name.V, doc.Breaker)
		c.fleetBreaker(doc)
	}
	return c.breakers[ref.Name.V]
}

// budget is the policy's own budget, or the one of that name, nil without.
func (c *setCompiler) budget(policy string, ref dsl.Ref[dsl.Budget], uses *[]*dsl.Document) *ir.Budget {
	if ref.Inline != nil {
		return budget(policy, ref.Inline)
	}
	doc := c.resolve(ref.Name, ref.Set, "Budget", "budget", uses)
	if doc == nil {
		return nil
	}
	if c.budgets[ref.Name.V] == nil {
		c.budgets[ref.Name.V] = budget(ref.Name.V, doc.Budget)
		c.fleetBudget(doc)
	}
	return c.budgets[ref.Name.V]
}

// fleetBreaker asks the fleet whether it takes a breaker of its scope.
func (c *setCompiler) fleetBreaker(doc *dsl.Document) {
	if b := c.breakers[doc.Name.V]; b != nil && b.Fleet && c.opts.Fleet != nil {
		c.refusedByFleet(doc.Breaker.Scope, c.opts.Fleet.CheckBreaker(engine.BreakerSpec{Name: b.Name, Window: b.Window, RecoveryTimeout: b.RecoveryTimeout, ProbeTimeout: b.ProbeTimeout}))
	}
}

// fleetBudget asks the fleet whether it takes a budget of its scope.
func (c *setCompiler) fleetBudget(doc *dsl.Document) {
	if b := c.budgets[doc.Name.V]; b != nil && b.Fleet && c.opts.Fleet != nil {
		c.refusedByFleet(doc.Budget.Scope, c.opts.Fleet.CheckBudget(engine.BudgetSpec{Name: b.Name, MaxRetries: b.MaxRetries, Window: b.Window}))
	}
}

func (c *setCompiler) refusedByFleet(scope dsl.Value[string], err error) {
	if err != nil {
		c.report(scope.Range, dsl.CodeUnavailable, "give the set a fleet that takes it, with redress.WithFleet, or write scope: local", "scope fleet cannot be had: %v", err)
	}
}

// resolve finds the document that a policy refers to, nil if it refers to none.
func (c *setCompiler) resolve(name dsl.Value[string], set bool, kind, what string, uses *[]*dsl.Document) *dsl.Document {
	if !set {
		return nil
	}
	doc := c.set.Find(kind, name.V)
	if doc == nil {
		c.missing(name, what, c.set.Names(kind))
		return nil
	}
	*uses = append(*uses, doc)
	return doc
}

// revisionOf is a short digest of the texts of documents.
func revisionOf(docs []*dsl.Document) string {
	h := sha256.New()
	for _, doc := range docs {
		text := doc.Source.Bytes[doc.Range.Start:doc.Range.End]
		fmt.Fprintf(h, "%d\n", len(text))
		h.Write(text)
		h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// uniqueOperations reports operations that two policies claim.
func (c *setCompiler) uniqueOperations() {
	first := map[string]dsl.Value[string]{}
	for doc := range c.set.All() {
		if doc.Policy == nil {
			continue
		}
		for _, op := range doc.Policy.Operations.V {
			other, taken := first[op.V]
			if !taken {
				first[op.V] = op
				continue
			}
			c.report(op.Range, dsl.CodeDuplicateName, "remove one of them", "operation %q is governed twice", op.V)
			c.found[len(c.found)-1].Related = []dsl.Related{{Range: other.Range, Message: "the first is here"}}
		}
	}
}

// environments checks the names that environments use.
func (c *setCompiler) environments() {
	for doc := range c.set.All() {
		if doc.Environment == nil {
			continue
		}
		for _, p := range doc.Environment.Policies {
			c.knownPolicy(p.Policy)
		}
	}
}

// fallbackPolicy is what the set says, perhaps in several documents, which must agree.
func (c *setCompiler) fallbackPolicy() (first dsl.Value[string]) {
	for doc := range c.set.All() {
		if doc.Settings == nil || !doc.Settings.FallbackPolicy.Set {
			continue
		}
		name := doc.Settings.FallbackPolicy
		c.knownPolicy(name)
		switch {
		case !first.Set:
			first = name
		case name.V != first.V:
			c.report(name.Range, dsl.CodeContradiction, "make one of the two; a Set document of a later layer takes the place of one that has its name",
				"fallback_policy is %q here and %q elsewhere in the set", name.V, first.V)
			c.found[len(c.found)-1].Related = []dsl.Related{{Range: first.Range, Message: "it is said here first"}}
		}
	}
	return first
}

func (c *setCompiler) knownPolicy(name dsl.Value[string]) {
	if known := c.set.Names("Policy"); !slices.Contains(known, name.V) {
		c.missing(name, "policy", known)
	}
}

// policyTest checks the names that a test document uses.
func (c *setCompiler) policyTest(program *Program, doc *dsl.Document) {
	test := doc.Test
	if !test.Policy.Set {
		return
	}
	p := program.Policy(test.Policy.V)
	if p == nil {
		c.missing(test.Policy, "policy", c.set.Names("Policy"))
		return
	}
	if p.provider == nil {
		return
	}
	for i := range test.Cases {
		one := &test.Cases[i]
		c.knownRule(p, one.Expect.Rule)
		c.knownSelector(p, one.Expect.Select)
		for _, r := range recordsOf(one) {
			_, found := p.Failure(r)
			c.found = append(c.found, found...)
		}
	}
	for i := range test.Scenarios {
		for j := range test.Scenarios[i].Calls {
			call := &test.Scenarios[i].Calls[j]
			c.knownRule(p, call.Expect.Rule)
			for k := range call.Outcomes {
				for _, r := range []*dsl.Record{&call.Outcomes[k].Err, &call.Outcomes[k].Result} {
					if r.Set {
						_, found := p.Failure(r)
						c.found = append(c.found, found...)
					}
				}
			}
		}
	}
}

func recordsOf(one *dsl.Case) []*dsl.Record {
	var all []*dsl.Record
	for _, r := range []*dsl.Record{&one.Err, &one.Result} {
		if r.Set {
			all = append(all, r)
		}
	}
	for i := range one.Each {
		all = append(all, &one.Each[i])
	}
	for i := range one.EachResult {
		all = append(all, &one.EachResult[i])
	}
	return all
}

func (c *setCompiler) knownRule(p *Policy, id dsl.Value[string]) {
	if !id.Set || id.V == engine.RuleDefault || id.V == engine.RuleMarker {
		return
	}
	known := []string{engine.RuleDefault, engine.RuleMarker}
	for _, r := range p.Rules() {
		known = append(known, r.ID)
	}
	c.known(id, "rule", p, known)
}

func (c *setCompiler) knownSelector(p *Policy, id dsl.Value[string]) {
	if !id.Set {
		return
	}
	var known []string
	for _, s := range p.selectors {
		known = append(known, s.id)
	}
	c.known(id, "select rule", p, known)
}

func (c *setCompiler) known(id dsl.Value[string], what string, p *Policy, known []string) {
	if slices.Contains(known, id.V) {
		return
	}
	if near, ok := dsl.Nearest(id.V, known); ok {
		c.report(id.Range, dsl.CodeUnknownRef, "", "policy %s has no %s %q; did you mean %q?", p.Name(), what, id.V, near)
		return
	}
	own := slices.DeleteFunc(slices.Clone(known), func(s string) bool { return strings.HasPrefix(s, packPrefix) })
	c.report(id.Range, dsl.CodeUnknownRef, "its own are "+strings.Join(own, ", "), "policy %s has no %s %q", p.Name(), what, id.V)
}
