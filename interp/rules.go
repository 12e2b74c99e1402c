package interp

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
)

// A rule is one rule of classify, classify_result or select, compiled.
type rule struct {
	id      string
	class   engine.Class // NoClass in select
	when    *program
	hint    *program // nil without retry_after
	pack    string   // in which it is written; "" for the policy itself
	builtIn bool
	written dsl.Range

	strategy *dsl.Strategy // of select

	once    sync.Once
	lowered *ir.Rule // guarded by once; of rules that read no vars
}

// An origin is where rules come from.
type origin struct {
	pack    string // "" for the policy itself
	builtIn bool
}

// A pack is a Classifier with its expressions' compiler.
type pack struct {
	doc     *dsl.Document
	origin  origin
	exprs   *compiler
	rules   map[site][]*rule // its own, splices left out
	opening bool             // while it is being spliced, to find cycles
}

// pack finds a Classifier of the set or a built-in pack; nil if there is none.
func (c *setCompiler) pack(name string) *pack {
	if p, ok := c.packs[name]; ok {
		return p
	}
	if IsBuiltIn(name) && !c.builtIn {
		return builtIn(name)
	}
	if c.builtIn {
		c.readBuiltIn(name)
	}
	doc, from := c.set.Find("Classifier", name), origin{pack: name, builtIn: c.builtIn}
	if doc == nil {
		return nil
	}
	shared := slices.Contains(c.set.Library, doc)
	if shared {
		if p := c.fromLibrary(doc); p != nil {
			return p
		}
	}
	before := len(c.found)
	exprs, err := c.expressions(doc.Classifier.Attributes, doc.Classifier.Vars)
	if err != nil {
		c.report(doc.Name.Range, dsl.CodeInvalidExpr, "", "%v", err)
		return nil
	}
	p := &pack{doc: doc, origin: from, exprs: exprs, rules: map[site][]*rule{}}
	c.packs[name] = p
	// Compiled also where nobody uses it: what is written must be right.
	for at, list := range map[site][]dsl.Rule{inClassify: doc.Classifier.Classify, inResult: doc.Classifier.ClassifyResult} {
		p.opening = true
		splice := &splicer{set: c, uses: &[]*dsl.Document{}, seen: map[string]bool{name: true}}
		p.rules[at] = splice.splice(exprs, list, at, from)
		p.opening = false
	}
	c.found = append(c.found, exprs.found...)
	exprs.found = nil
	if shared {
		c.shared.keep(doc, compiledPack{p, slices.Clone(c.found[before:])})
	}
	return p
}

// fromLibrary returns a document of the library that was compiled for another part, with
// those that it uses; nil if there is none.
func (c *setCompiler) fromLibrary(doc *dsl.Document) *pack {
	k := c.shared
	k.mu.Lock()
	made, ok := k.library[doc]
	k.mu.Unlock()
	if !ok {
		return nil
	}
	c.found = append(c.found, made.found...)
	c.packs[doc.Name.V] = made.pack
	for _, r := range slices.Concat(doc.Classifier.Classify, doc.Classifier.ClassifyResult) {
		if r.Use.Set {
			c.pack(r.Use.V)
		}
	}
	return made.pack
}

func (k *Compiler) keep(doc *dsl.Document, made compiledPack) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.library[doc] = made
}

// A splicer puts the rules of packs in the place of `use`, each pack once.
type splicer struct {
	set  *setCompiler
	uses *[]*dsl.Document
	seen map[string]bool
}

func (s *splicer) splice(exprs *compiler, list []dsl.Rule, at site, from origin) []*rule {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	var rules []*rule
	for i := range list {
		written := &list[i]
		if written.Use.Set {
			rules = append(rules, s.use(written.Use, at)...)
			continue
		}
		if r := compileRule(exprs, written, at, from); r != nil {
			rules = append(rules, r)
		}
	}
	return rules
}

// use returns the rules of a pack that this list does not have yet.
func (s *splicer) use(name dsl.Value[string], at site) []*rule {
	if p := s.set.packs[name.V]; p != nil && p.opening {
		s.set.report(name.Range, dsl.CodeCycle, "remove one of the splices", "%s uses itself, directly or through others", name.V)
		return nil
	}
	p := s.set.pack(name.V)
	if p == nil {
		known := append(slices.Clone(s.set.set.Names("Classifier")), Packs()...)
		s.set.missing(name, "classifier", known)
		return nil
	}
	if at == inResult && len(p.doc.Classifier.ClassifyResult) == 0 {
		s.set.report(name.Range, dsl.CodeUnknownRef, "use it in classify", "%s has no classify_result", name.V)
		return nil
	}
	if at == inClassify && len(p.doc.Classifier.Classify) == 0 {
		s.set.report(name.Range, dsl.CodeUnknownRef, "use it in classify_result", "%s has no classify", name.V)
		return nil
	}
	s.note(p, name.V)
	var rules []*rule
	spliced := map[string]bool{}
	for _, r := range p.rules[at] {
		if !s.seen[r.pack] {
			rules = append(rules, r)
			spliced[r.pack] = true
		}
	}
	for name := range spliced {
		s.seen[name] = true
	}
	return rules
}

// note remembers that the policy depends on a document of the set.
func (s *splicer) note(p *pack, name string) {
	if !p.origin.builtIn && !slices.Contains(*s.uses, p.doc) {
		*s.uses = append(*s.uses, p.doc)
		for _, list := range [][]dsl.Rule{p.doc.Classifier.Classify, p.doc.Classifier.ClassifyResult} {
			for _, r := range list {
				if inner := s.set.packs[r.Use.V]; r.Use.Set && inner != nil {
					s.note(inner, r.Use.V)
				}
			}
		}
	}
}

func compileRule(exprs *compiler, written *dsl.Rule, at site, from origin) *rule {
	class, _ := engine.ParseClass(written.Class.V)
	r := &rule{id: written.ID.V, class: class, pack: from.pack, builtIn: from.builtIn, written: written.Range}
	if from.pack != "" {
		r.id = from.pack + "/" + r.id
	}
	if written.When.Set {
		r.when = exprs.compile(written.When, at, wantBool, nil)
	}
	if written.RetryAfter.Set {
		r.hint = exprs.compile(written.RetryAfter, at, wantDuration, nil)
	}
	if !written.ID.Set {
		return nil
	}
	return r
}

func (c *setCompiler) selector(exprs *compiler, written *dsl.Selection) *rule {
	s := &rule{id: written.ID.V, strategy: written.Strategy, written: written.Range}
	if written.When.Set {
		s.when = exprs.compile(written.When, inSelect, wantBool, nil)
	}
	return s
}

// truth reads what a condition came to.
func truth(value any) (bool, error) {
	switch v := value.(type) {
	case types.Bool:
		return bool(v), nil
	case *types.Err:
		return false, fmt.Errorf("%s", strings.TrimPrefix(v.String(), "error: "))
	}
	return false, fmt.Errorf("the condition came to %T", value)
}
