package celparse

import (
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/parser"
)

// A macroKey tells which calls a macro is for.
type macroKey struct {
	name   string
	args   int
	member bool // called on a target
}

// anyNumber stands for the number of arguments of a macro that takes any.
const anyNumber = -1

// call makes a call, or what its macro makes of it. Target is nil if it has none.
func (p *parsing) call(id int64, name string, target ast.Expr, args []ast.Expr) ast.Expr {
	macro, ok := p.macros[macroKey{name, len(args), target != nil}]
	if !ok {
		macro, ok = p.macros[macroKey{name, anyNumber, target != nil}]
	}
	if ok {
		if expanded := p.expand(macro, id, target, args); expanded != nil {
			p.info.SetMacroCall(expanded.ID(), p.newCall(0, name, p.written(target), p.writtenAll(args)))
			p.dropID(id)
			return expanded
		}
	}
	return p.newCall(id, name, target, args)
}

func (p *parsing) newCall(id int64, name string, target ast.Expr, args []ast.Expr) ast.Expr {
	if target != nil {
		return p.factory.NewMemberCall(id, name, target, args...)
	}
	return p.factory.NewCall(id, name, args...)
}

// expand returns what a macro makes of a call, nil if it leaves it as it is.
func (p *parsing) expand(macro parser.Macro, id int64, target ast.Expr, args []ast.Expr) ast.Expr {
	expanded, err := macro.Expander()(&helper{p, id}, target, args)
	if err != nil || p.nextID-1 > int64(p.limits.Nodes) {
		p.decline()
	}
	return expanded
}

// written is a node as it is remembered among the arguments of a macro: in place of a call
// that a macro has replaced it has a node without content, by whose id the call is found.
// As in cel-go, that is for the call itself and those in calls and lists around it.
func (p *parsing) written(e ast.Expr) ast.Expr {
	if e == nil {
		return nil
	}
	if _, replaced := p.info.GetMacroCall(e.ID()); replaced {
		return p.factory.NewUnspecifiedExpr(e.ID())
	}
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		var target ast.Expr
		if call.IsMemberFunction() {
			target = p.written(call.Target())
		}
		return p.newCall(e.ID(), call.FunctionName(), target, p.writtenAll(call.Args()))
	case ast.ListKind:
		list := e.AsList()
		return p.factory.NewList(e.ID(), p.writtenAll(list.Elements()), list.OptionalIndices())
	}
	return e
}

func (p *parsing) writtenAll(list []ast.Expr) []ast.Expr {
	all := make([]ast.Expr, len(list))
	for i, e := range list {
		all[i] = p.written(e)
	}
	return all
}

// A helper makes nodes for one macro: all of them stand where the call does.
type helper struct {
	*parsing
	callID int64
}

var _ parser.ExprHelper = (*helper)(nil)

// here makes an id at the start of the call.
func (h *helper) here() int64 {
	at, _ := h.info.GetOffsetRange(h.callID)
	return h.newID(ast.OffsetRange{Start: at.Start, Stop: at.Start})
}

func (h *helper) NewLiteral(value ref.Val) ast.Expr { return h.factory.NewLiteral(h.here(), value) }

func (h *helper) NewList(items ...ast.Expr) ast.Expr {
	return h.factory.NewList(h.here(), items, []int32{})
}

func (h *helper) NewMap(entries ...ast.EntryExpr) ast.Expr {
	return h.factory.NewMap(h.here(), entries)
}

func (h *helper) NewMapEntry(key, value ast.Expr, optional bool) ast.EntryExpr {
	return h.factory.NewMapEntry(h.here(), key, value, optional)
}

func (h *helper) NewStruct(typeName string, fields ...ast.EntryExpr) ast.Expr {
	return h.factory.NewStruct(h.here(), typeName, fields)
}

func (h *helper) NewStructField(field string, value ast.Expr, optional bool) ast.EntryExpr {
	return h.factory.NewStructField(h.here(), field, value, optional)
}

func (h *helper) NewComprehension(over ast.Expr, iterVar, accuVar string, init, condition, step, result ast.Expr) ast.Expr {
	return h.factory.NewComprehension(h.here(), over, iterVar, accuVar, init, condition, step, result)
}

func (h *helper) NewComprehensionTwoVar(over ast.Expr, iterVar, iterVar2, accuVar string, init, condition, step, result ast.Expr) ast.Expr {
	return h.factory.NewComprehensionTwoVar(h.here(), over, iterVar, iterVar2, accuVar, init, condition, step, result)
}

func (h *helper) NewIdent(name string) ast.Expr { return h.factory.NewIdent(h.here(), name) }

func (h *helper) NewAccuIdent() ast.Expr { return h.factory.NewAccuIdent(h.here()) }

func (h *helper) AccuIdentName() string { return h.factory.AccuIdentName() }

func (h *helper) NewCall(function string, args ...ast.Expr) ast.Expr {
	return h.factory.NewCall(h.here(), function, args...)
}

func (h *helper) NewMemberCall(function string, target ast.Expr, args ...ast.Expr) ast.Expr {
	return h.factory.NewMemberCall(h.here(), function, target, args...)
}

func (h *helper) NewPresenceTest(operand ast.Expr, field string) ast.Expr {
	return h.factory.NewPresenceTest(h.here(), operand, field)
}

func (h *helper) NewSelect(operand ast.Expr, field string) ast.Expr {
	return h.factory.NewSelect(h.here(), operand, field)
}

func (h *helper) OffsetLocation(id int64) common.Location { return h.info.GetStartLocation(id) }

func (h *helper) NewError(id int64, message string) *common.Error {
	return common.NewError(id, message, h.OffsetLocation(id))
}

// Copy implements parser.ExprHelper: the copy has ids of its own, at the same places.
func (h *helper) Copy(e ast.Expr) ast.Expr {
	at, _ := h.info.GetOffsetRange(e.ID())
	id := h.newID(at)
	switch e.Kind() {
	case ast.LiteralKind:
		return h.factory.NewLiteral(id, e.AsLiteral())
	case ast.IdentKind:
		return h.factory.NewIdent(id, e.AsIdent())
	case ast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			return h.factory.NewPresenceTest(id, h.Copy(s.Operand()), s.FieldName())
		}
		return h.factory.NewSelect(id, h.Copy(s.Operand()), s.FieldName())
	case ast.CallKind:
		call := e.AsCall()
		args := h.copyAll(call.Args())
		if call.IsMemberFunction() {
			return h.factory.NewMemberCall(id, call.FunctionName(), h.Copy(call.Target()), args...)
		}
		return h.factory.NewCall(id, call.FunctionName(), args...)
	case ast.ListKind:
		return h.factory.NewList(id, h.copyAll(e.AsList().Elements()), e.AsList().OptionalIndices())
	case ast.MapKind:
		entries := make([]ast.EntryExpr, e.AsMap().Size())
		for i, entry := range e.AsMap().Entries() {
			m := entry.AsMapEntry()
			entryID := h.here()
			key := h.Copy(m.Key())
			entries[i] = h.factory.NewMapEntry(entryID, key, h.Copy(m.Value()), m.IsOptional())
		}
		return h.factory.NewMap(id, entries)
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		over, init := h.Copy(c.IterRange()), h.Copy(c.AccuInit())
		condition, step := h.Copy(c.LoopCondition()), h.Copy(c.LoopStep())
		return h.factory.NewComprehensionTwoVar(id, over, c.IterVar(), c.IterVar2(), c.AccuVar(), init, condition, step, h.Copy(c.Result()))
	case ast.StructKind:
		h.decline()
	}
	return h.factory.NewUnspecifiedExpr(id)
}

func (h *helper) copyAll(list []ast.Expr) []ast.Expr {
	all := make([]ast.Expr, len(list))
	for i, e := range list {
		all[i] = h.Copy(e)
	}
	return all
}
