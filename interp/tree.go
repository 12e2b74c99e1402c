package interp

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/common/ast"
	celop "github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/parser"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/celcheck"
	"github.com/redress-policy/redress/internal/cond"
	"github.com/redress-policy/redress/internal/ir"
)

// operatorNames are the operators as they are written.
var operatorNames = map[string]string{
	celop.LogicalAnd: "&&", celop.LogicalOr: "||", celop.LogicalNot: "!", celop.Conditional: "?:",
	celop.Equals: "==", celop.NotEquals: "!=", celop.Less: "<", celop.LessEquals: "<=", celop.Greater: ">",
	celop.GreaterEquals: ">=", celop.In: "in", celop.Add: "+", celop.Subtract: "-", celop.Multiply: "*",
	celop.Divide: "/", celop.Modulo: "%", celop.Negate: "-()", celop.Index: "[]", celop.OptIndex: "[?]",
}

// A Condition is a rule with its expressions as trees.
type Condition struct {
	RuleInfo
	Pack       string // the classifier in which it is written, "" for the policy itself
	When       *Node
	RetryAfter *Node         // nil without
	Strategy   *dsl.Strategy // of rules of select

	when     *program
	compiled cond.Condition
}

// Compiled returns the condition as a function, for the rest of this module.
func (c *Condition) Compiled() *cond.Condition { return &c.compiled }

// Test evaluates the condition, as a call would.
func (c *Condition) Test(in *engine.Input) (holds bool, err error) {
	if !c.compiled.UsesScratch() {
		return c.compiled.Test(in)
	}
	own := *in
	own.Scratch = engine.Scratch{}
	return c.compiled.Test(&own)
}

// Classify returns the rules of classify, in order, those of classifiers in their place.
// The slice is the policy's own and must not be changed.
func (p *Policy) Classify() []Condition { return p.conditions().classify }

// ClassifyResult returns the rules of classify_result, as Classify does.
func (p *Policy) ClassifyResult() []Condition { return p.conditions().result }

// Select returns the rules of select, as Classify does.
func (p *Policy) Select() []Condition { return p.conditions().choose }

// conditionLists are the rules of a document as trees.
type conditionLists struct{ classify, result, choose []Condition }

// Attributes returns the types of the declared attributes, those of the classifiers
// that the policy uses included.
func (p *Policy) Attributes() map[string]string { return p.declared }

// A Classifier is a rule pack of the set.
type Classifier struct {
	pack       *pack
	conditions func() conditionLists // made when they are first asked for
}

func newClassifier(p *pack) *Classifier {
	return &Classifier{p, sync.OnceValue(func() conditionLists {
		rules, results := p.rules[inClassify], p.rules[inResult]
		return conditionLists{classify: conditions(rules, listOf(rules), "classify"), result: conditions(results, listOf(results), "classify_result")}
	})}
}

// Classifiers returns the rule packs of the set, in the order of their documents.
func (p *Program) Classifiers() []*Classifier { return p.classifiers }

// Document returns what the classifier was compiled from.
func (c *Classifier) Document() *dsl.Document { return c.pack.doc }

// Classify returns the rules of classify, those of other classifiers in their place. The
// slice is the classifier's own and must not be changed.
func (c *Classifier) Classify() []Condition { return c.conditions().classify }

// ClassifyResult returns the rules of classify_result, as Classify does.
func (c *Classifier) ClassifyResult() []Condition { return c.conditions().result }

// Attributes returns the types of the declared attributes.
func (c *Classifier) Attributes() map[string]string { return c.pack.exprs.provider.attributes }

// VarTrees returns the definitions of the policy's vars by name.
func (p *Policy) VarTrees() map[string]*Node { return p.provider.trees() }

// VarTrees returns the definitions of the classifier's vars by name.
func (c *Classifier) VarTrees() map[string]*Node { return c.pack.exprs.provider.trees() }

func (p *provider) trees() map[string]*Node {
	all := map[string]*Node{}
	for name, x := range p.vars {
		all[name] = x.program.tree()
	}
	return all
}

func conditions(rules []*rule, lowered *ir.List, list string) []Condition {
	all := make([]Condition, len(rules))
	functions := functionsOf(lowered).Rules()
	for i, r := range rules {
		c := &all[i]
		*c = Condition{
			RuleInfo: RuleInfo{r.id, list, r.class, r.builtIn, r.written},
			Pack:     r.pack, When: r.when.tree(), Strategy: r.strategy, when: r.when, compiled: functions[i].When,
		}
		if r.hint != nil {
			c.RetryAfter = r.hint.tree()
		}
	}
	return all
}

// tree makes the tree of the expression, without keys and places.
func (s *scope) tree(checked *celcheck.Checked) *Node {
	b := &treeBuilder{scope: s, checked: checked}
	return b.node(checked.Expr())
}

type treeBuilder struct {
	scope   *scope
	checked *celcheck.Checked
	element string // in the condition of exists, the name of the element
}

func (b *treeBuilder) node(e ast.Expr) *Node {
	n := b.build(e)
	n.Type, n.id = b.typeOf(e), e.ID()
	return n
}

func (b *treeBuilder) build(e ast.Expr) *Node {
	switch e.Kind() {
	case ast.LiteralKind:
		switch v := e.AsLiteral().(type) {
		case types.Bool, types.Int, types.Uint, types.Double, types.String:
			return &Node{Op: OpLiteral, Value: v.(interface{ Value() any }).Value()}
		}
	case ast.IdentKind:
		if class, ok := engine.ParseClass(e.AsIdent()); ok {
			return &Node{Op: OpLiteral, Value: class}
		}
		if !strings.HasPrefix(e.AsIdent(), "@") {
			return &Node{Op: OpField, Name: e.AsIdent()}
		}
	case ast.SelectKind:
		return b.field(e)
	case ast.CallKind:
		return b.call(e)
	case ast.ListKind:
		if len(e.AsList().OptionalIndices()) == 0 {
			return &Node{Op: OpList, Args: b.all(e.AsList().Elements())}
		}
	case ast.ComprehensionKind:
		if n := b.exists(e); n != nil {
			return n
		}
	}
	return b.other(e)
}

// exists reads causes.exists(c, ...) and causes.all(c, ...), nil if the loop is another.
// Their macros expand to loops that begin with false and join the conditions by ||, or
// with true and join them by &&: all is that none exists which does not.
func (b *treeBuilder) exists(e ast.Expr) *Node {
	loop := e.AsComprehension()
	of, ok := b.pathOf(loop.IterRange())
	step := loop.LoopStep()
	if !ok || !strings.HasSuffix(of, ".causes") || step.Kind() != ast.CallKind || loop.AccuInit().Kind() != ast.LiteralKind {
		return nil
	}
	begins := types.False
	all := step.AsCall().FunctionName() == celop.LogicalAnd
	if all {
		begins = types.True
	} else if step.AsCall().FunctionName() != celop.LogicalOr {
		return nil
	}
	if loop.AccuInit().AsLiteral() != begins {
		return nil
	}
	b.element = loop.IterVar()
	condition := b.node(step.AsCall().Args()[1])
	b.element = ""
	if !all {
		return &Node{Op: OpExists, Name: of, Args: []*Node{condition}}
	}
	fails := &Node{Op: OpCall, Name: "!", Type: "bool", Args: []*Node{condition}, id: e.ID()}
	one := &Node{Op: OpExists, Name: of, Type: "bool", Args: []*Node{fails}, id: e.ID()}
	return &Node{Op: OpCall, Name: "!", Args: []*Node{one}}
}

func (b *treeBuilder) all(list []ast.Expr) []*Node {
	nodes := make([]*Node, len(list))
	for i, e := range list {
		nodes[i] = b.node(e)
	}
	return nodes
}

// field reads the path of a selection.
func (b *treeBuilder) field(e ast.Expr) *Node {
	if x := variableOf(b.scope.provider.vars, e); x != nil && !e.AsSelect().IsTestOnly() {
		return &Node{Op: OpVar, Name: x.name, Args: []*Node{x.program.root}}
	}
	if selected := e.AsSelect(); b.typeOf(selected.Operand()) == "map" {
		return b.entry(selected)
	}
	path, ok := b.pathOf(e)
	switch {
	case !ok:
		return b.other(e)
	case e.AsSelect().IsTestOnly():
		return &Node{Op: OpHas, Name: path}
	}
	return &Node{Op: OpField, Name: path}
}

// entry reads m.key and has(m.key) of a map, which are m["key"] and "key" in m.
func (b *treeBuilder) entry(selected ast.SelectExpr) *Node {
	m := b.node(selected.Operand())
	if selected.IsTestOnly() {
		return &Node{Op: OpCall, Name: "in", Args: []*Node{keyOf(m, selected.FieldName()), m}}
	}
	return &Node{Op: OpCall, Name: "[]", Args: []*Node{m, keyOf(m, selected.FieldName())}}
}

// keyOf is the key of an entry of m that is written as a field.
func keyOf(m *Node, name string) *Node {
	return &Node{Op: OpLiteral, Value: name, Type: "string", id: m.id}
}

// pathOf spells a selection of the records: "err.attr.tier".
func (b *treeBuilder) pathOf(e ast.Expr) (path string, ok bool) {
	switch e.Kind() {
	case ast.IdentKind:
		name := e.AsIdent()
		if name == b.element {
			return "cause", true
		}
		return name, name == "err" || name == "result"
	case ast.SelectKind:
		of, ok := b.pathOf(e.AsSelect().Operand())
		return of + "." + e.AsSelect().FieldName(), ok
	}
	return "", false
}

func (b *treeBuilder) call(e ast.Expr) *Node {
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	switch {
	case call.IsMemberFunction() && isOptionalOf(call):
		name = "optional." + name
	case call.IsMemberFunction():
		args = append([]ast.Expr{call.Target()}, args...)
	}
	if name == celop.OptSelect {
		of, ok := b.pathOf(args[0])
		field, isText := args[1].AsLiteral().(types.String)
		if isText && b.typeOf(args[0]) == "map" {
			m := b.node(args[0])
			return &Node{Op: OpCall, Name: "[?]", Args: []*Node{m, keyOf(m, string(field))}}
		}
		if !ok || !isText {
			return b.other(e)
		}
		return &Node{Op: OpOptional, Name: of + "." + string(field)}
	}
	if written, ok := operatorNames[name]; ok {
		name = written
	} else if !isWord([]rune(name)[0]) || name[0] == '_' {
		return b.other(e)
	}
	n := &Node{Op: OpCall, Name: name, Args: b.all(args)}
	if name == "duration" && len(n.Args) == 1 && n.Args[0].Op == OpLiteral {
		if text, ok := n.Args[0].Value.(string); ok {
			if d, err := time.ParseDuration(text); err == nil {
				return &Node{Op: OpLiteral, Value: d}
			}
		}
	}
	return n
}

// other is a part that is known by its text alone; without a text it is like no other.
func (b *treeBuilder) other(e ast.Expr) *Node {
	text, err := parser.Unparse(e, b.checked.SourceInfo())
	if err != nil {
		text = fmt.Sprintf("%p/%d", b.scope.cel, e.ID())
	}
	// Vars are the policy's own: the same name means something else elsewhere.
	if strings.Contains(text, "vars.") {
		text = fmt.Sprintf("%p: %s", b.scope.provider.vars, text)
	}
	return &Node{Op: OpOther, Key: "(" + text + ")"}
}

func (b *treeBuilder) typeOf(e ast.Expr) string {
	t := b.checked.TypeOf(e)
	if t == nil {
		return "other"
	}
	switch t.Kind() {
	case types.BoolKind:
		return "bool"
	case types.IntKind:
		return "int"
	case types.UintKind:
		return "uint"
	case types.DoubleKind:
		return "double"
	case types.StringKind:
		return "string"
	case types.DurationKind:
		return "duration"
	case types.ListKind:
		return "list"
	case types.MapKind:
		return "map"
	}
	switch {
	case t.IsExactType(classType):
		return "class"
	case t.Kind() == types.OpaqueKind && t.TypeName() == "optional_type":
		return "optional"
	}
	return "other"
}

// Spec returns what an engine policy of it is made of, defaults filled in. Its breaker
// and budget are nobody else's.
func (p *Policy) Spec() engine.Spec { return p.spec() }

// FleetBudget reports whether the policy's budget is one of scope fleet.
func (p *Policy) FleetBudget() bool { return p.budget != nil && p.budget.Fleet }

// FleetBreaker reports whether the policy's circuit breaker is one of scope fleet.
func (p *Policy) FleetBreaker() bool { return p.breaker != nil && p.breaker.Fleet }

// Parts evaluates the condition and returns its parts that are true or false.
func (c Condition) Parts(in *engine.Input) []PartTrace {
	var parts []PartTrace
	for _, p := range c.when.parts(newScene(in)) {
		if p.Value == "true" || p.Value == "false" {
			parts = append(parts, p)
		}
	}
	return parts
}
