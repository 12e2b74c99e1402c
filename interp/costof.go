package interp

import (
	"math"
	"unicode/utf8"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/internal/celcheck"
)

// costOf is what evaluating an expression that celcheck has taken costs at most: the Max of
// cel-go's estimate by sizes, which it repeats without the memory that this needs.
func costOf(checked *celcheck.Checked) uint64 {
	c := &coster{checked: checked}
	return c.estimate(checked.Expr()).cost.Max
}

type coster struct {
	checked *celcheck.Checked
	locals  []localCost // the innermost last
}

// A localCost is what is known of a variable of a loop.
type localCost struct {
	name  string
	about estimate
}

// An estimate is what is known of a part. Of sizes and costs only Max is filled in.
type estimate struct {
	cost  checker.CostEstimate
	size  checker.SizeEstimate
	sized bool   // the size is known, though it may be known to be of any size
	path  string // the last word of the path from a variable to it; "" without one

	entry   checker.SizeEstimate // of the largest entry of what is written as a list or map
	entries bool                 // that is known
}

var (
	oneUnit = checker.CostEstimate{Max: 1}
	anySize = checker.SizeEstimate{Max: math.MaxUint64}
)

func sizeUpTo(n int) checker.SizeEstimate { return checker.SizeEstimate{Max: uint64(n)} }

func larger(a, b checker.SizeEstimate) checker.SizeEstimate {
	return checker.SizeEstimate{Max: max(a.Max, b.Max)}
}

// traversed is the cost of reading a text, or comparing lists.
func traversed(size checker.SizeEstimate) checker.CostEstimate {
	return size.MultiplyByCostFactor(common.StringTraversalCostFactor)
}

// estimate estimates a part.
func (c *coster) estimate(e ast.Expr) (about estimate) {
	switch e.Kind() {
	case ast.LiteralKind:
		about.size, about.sized = sizeUpTo(1), true
		switch v := e.AsLiteral().(type) {
		case types.String:
			about.size = sizeUpTo(utf8.RuneCountInString(string(v)))
		case types.Bytes:
			about.size = sizeUpTo(len(v))
		}
	case ast.IdentKind:
		about = c.variable(e.AsIdent())
		about.cost = oneUnit
	case ast.SelectKind:
		about = c.selection(e.AsSelect())
	case ast.CallKind:
		about = c.call(e)
	case ast.ListKind:
		about = c.list(e.AsList())
	case ast.MapKind:
		about = c.mapping(e.AsMap())
	case ast.ComprehensionKind:
		about = c.loop(e.AsComprehension())
	}
	if !about.sized {
		about.size, about.sized = sizeByType(about.path, c.checked.TypeOf(e))
	}
	return about
}

// sizeByType is the size of a part of which only its path and its type are known.
func sizeByType(path string, t *types.Type) (size checker.SizeEstimate, known bool) {
	if path != "" {
		return checker.SizeEstimate{Max: sizeAt(path, t)}, true
	}
	if isScalar(t) {
		return sizeUpTo(1), true
	}
	return anySize, false
}

// isScalar reports whether all values of a type have the size 1 to cel-go.
func isScalar(t *types.Type) bool {
	switch t.Kind() {
	case types.BoolKind, types.DoubleKind, types.DurationKind, types.IntKind, types.TimestampKind, types.UintKind:
		return true
	case types.OpaqueKind:
		return t.TypeName() == "optional_type" && isScalar(t.Parameters()[0])
	}
	return false
}

func (c *coster) variable(name string) estimate {
	for i := len(c.locals) - 1; i >= 0; i-- {
		if c.locals[i].name == name {
			return c.locals[i].about
		}
	}
	return estimate{path: name}
}

func (c *coster) selection(s ast.SelectExpr) estimate {
	cost := c.estimate(s.Operand()).cost.Add(oneUnit)
	if s.IsTestOnly() {
		return estimate{cost: cost}
	}
	return estimate{cost: cost, path: s.FieldName()}
}

func (c *coster) list(l ast.ListExpr) estimate {
	about := estimate{cost: checker.CostEstimate{Max: common.ListCreateBaseCost}, size: sizeUpTo(l.Size()), sized: true, entries: true}
	for _, e := range l.Elements() {
		one := c.estimate(e)
		about.cost, about.entry = about.cost.Add(one.cost), larger(about.entry, one.size)
	}
	return about
}

func (c *coster) mapping(m ast.MapExpr) estimate {
	about := estimate{cost: checker.CostEstimate{Max: common.MapCreateBaseCost}, size: sizeUpTo(m.Size()), sized: true, entries: true}
	for _, e := range m.Entries() {
		key, value := c.estimate(e.AsMapEntry().Key()), c.estimate(e.AsMapEntry().Value())
		about.cost = about.cost.Add(key.cost).Add(value.cost)
		about.entry = larger(about.entry, value.size)
	}
	return about
}

// loop estimates what exists and all and their like have become.
func (c *coster) loop(l ast.ComprehensionExpr) estimate {
	over, begin := c.estimate(l.IterRange()), c.estimate(l.AccuInit())
	item := "@items"
	if c.checked.TypeOf(l.IterRange()).Kind() == types.MapKind {
		item = "@keys"
	}
	outer := len(c.locals)
	c.locals = append(c.locals, localCost{l.AccuVar(), estimate{size: begin.size, sized: begin.sized}}, localCost{l.IterVar(), estimate{path: item}})
	round := c.estimate(l.LoopCondition()).cost.Add(c.estimate(l.LoopStep()).cost)
	c.locals = c.locals[:outer+1]
	end := c.estimate(l.Result())
	c.locals = c.locals[:outer]

	about := estimate{cost: over.cost.Add(begin.cost).Add(over.size.MultiplyByCost(round)).Add(end.cost)}
	if l.AccuInit().Kind() == ast.LiteralKind {
		about.size, about.sized = begin.size, begin.sized
	}
	return about
}

// call estimates a call: of its operands, and of the function itself.
func (c *coster) call(e ast.Expr) estimate {
	call := e.AsCall()
	var list [4]estimate
	operands := list[:0]
	if call.IsMemberFunction() && c.checked.TypeOf(call.Target()) != nil { // and not optional.of
		operands = append(operands, c.estimate(call.Target()))
	}
	for _, arg := range call.Args() {
		operands = append(operands, c.estimate(arg))
	}
	overload := c.checked.OverloadOf(e)
	if overload == overloads.Conditional {
		return conditional(operands)
	}
	about := function(call, overload, operands)
	for _, one := range operands {
		about.cost = about.cost.Add(one.cost)
	}
	return about
}

// conditional estimates a ? b : c.
func conditional(of []estimate) estimate {
	about := either(of[1], of[2])
	about.size, about.sized = larger(of[1].size, of[2].size), true
	about.cost = of[0].cost.Add(checker.CostEstimate{Max: max(of[1].cost.Max, of[2].cost.Max)})
	return about
}

// either is what is known of the entries of a value that has those of one or the other.
func either(a, b estimate) (about estimate) {
	if about.entries = a.entries && b.entries; about.entries {
		about.entry = larger(a.entry, b.entry)
	}
	return about
}

// function estimates a call without what its operands cost, of which the target is the
// first one.
func function(call ast.CallExpr, overload string, of []estimate) (about estimate) {
	about.cost = oneUnit
	switch overload {
	case overloads.StartsWithString, overloads.EndsWithString:
		about.cost = traversed(of[1].size)
	case overloads.InList:
		about.cost = of[1].size.MultiplyByCostFactor(1)
	case overloads.Matches, overloads.MatchesString:
		pattern := of[1].size.MultiplyByCostFactor(common.RegexStringLengthCostFactor)
		about.cost = traversed(of[0].size.Add(sizeUpTo(1))).Multiply(pattern)
	case overloads.ContainsString:
		about.cost = traversed(of[0].size).Multiply(traversed(of[1].size))
	case overloads.LogicalOr, overloads.LogicalAnd:
		about.cost = checker.CostEstimate{}
	case overloads.AddString, overloads.AddBytes, overloads.AddList:
		about = either(of[0], of[1])
		about.size, about.sized = of[0].size.Add(of[1].size), true
		if about.cost = traversed(about.size); overload == overloads.AddList {
			about.cost = oneUnit
		}
	case overloads.IndexList:
		about.size, about.sized, about.path = of[0].entry, of[0].entries, "@items"
	case overloads.IndexMap:
		about.size, about.sized, about.path = of[0].entry, of[0].entries, "@values"
	case overloads.LessString, overloads.GreaterString, overloads.LessEqualsString, overloads.GreaterEqualsString,
		overloads.LessBytes, overloads.GreaterBytes, overloads.LessEqualsBytes, overloads.GreaterEqualsBytes,
		overloads.Equals, overloads.NotEquals:
		about.cost = traversed(checker.SizeEstimate{Max: min(of[0].size.Max, of[1].size.Max)})
	default:
		if call.IsMemberFunction() && ofText(call.FunctionName()) {
			about.cost, about.size = costOfText(call.FunctionName(), textSizes(of))
			about.sized = true
		}
	}
	return about
}

// textSizes are sizes as costOfText takes them: where nothing is known, that of the longest
// text.
func textSizes(of []estimate) []checker.SizeEstimate {
	list := make([]checker.SizeEstimate, len(of))
	for i, one := range of {
		if list[i] = one.size; !one.sized {
			list[i] = sizeUpTo(maxText)
		}
	}
	return list
}
