package interp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/cond"
)

// An Op is what a Node is.
type Op uint8

// The kinds of nodes.
const (
	OpOther    = Op(cond.OpOther)    // something that is only known by its text
	OpLiteral  = Op(cond.OpLiteral)  // Value
	OpField    = Op(cond.OpField)    // Name, a path: "err.status", "err.attr.tier", "op"
	OpHas      = Op(cond.OpHas)      // has(Name); or, of type optional, the field if it is set
	OpOptional = Op(cond.OpOptional) // Name as an optional value: err.attr.?tier
	OpVar      = Op(cond.OpVar)      // vars.Name, whose definition is Args[0]
	OpCall     = Op(cond.OpCall)     // Name of Args: an operator as it is written, a function or a method with its target first
	OpList     = Op(cond.OpList)     // of Args
	OpExists   = Op(cond.OpExists)   // err.causes.exists: whether Args[0] holds for one of Name; there "cause.code" is a field of the element
)

// A Node is a part of a checked expression, for those who look at expressions without
// evaluating them. It is immutable.
type Node struct {
	Op    Op
	Name  string
	Args  []*Node
	Value any       // bool, int64, uint64, float64, string, time.Duration, engine.Class
	Type  string    // bool, int, uint, double, string, duration, class, list, map, optional or other
	Key   string    // equal keys mean equal values, whatever the failure
	Range dsl.Range // where it stands

	id         int64 // of what it was made of
	start, end int   // in the expression's text, in code points; 0 if it is not known
}

// tree returns the program as a tree with keys and places, which are found when it is first
// asked for: what becomes a Go function needs none.
func (p *program) tree() *Node {
	p.treeOnce.Do(func() {
		if p.first != nil {
			p.root = p.first.tree().at(&p.expr)
			return
		}
		p.complete(p.root, newSpans(p.checked.AST, p.expr.Text))
		p.checked = nil
	})
	return p.root
}

// complete finds keys and places of a node and of all in it.
func (p *program) complete(n *Node, spans *spans) {
	if n.Op == OpVar {
		p.vars[n.Name].program.tree()
	} else {
		for _, arg := range n.Args {
			p.complete(arg, spans)
		}
	}
	if n.Key == "" {
		n.Key = n.key()
	}
	n.start, n.end, _ = spans.of(n.id)
	n.stands(&p.expr)
}

// stands sets where the node stands, as part of the expression.
func (n *Node) stands(e *dsl.Expr) {
	n.Range = e.Range
	if n.end > 0 {
		n.Range = e.Place(n.start, n.end)
	}
}

// at is the same node in another place.
func (n *Node) at(e *dsl.Expr) *Node {
	moved := *n
	moved.stands(e)
	if n.Op != OpVar { // whose definition stands where it stands
		moved.Args = make([]*Node, len(n.Args))
		for i, arg := range n.Args {
			moved.Args[i] = arg.at(e)
		}
	}
	return &moved
}

// key spells a node such that equal spellings mean equal values.
func (n *Node) key() string {
	switch n.Op {
	case OpLiteral:
		if s, ok := n.Value.(string); ok {
			return strconv.Quote(s)
		}
		return fmt.Sprintf("%T(%v)", n.Value, n.Value)
	case OpField:
		return n.Name
	case OpHas:
		return "has(" + n.Name + ")"
	case OpOptional:
		return "?" + n.Name
	case OpVar:
		return n.Args[0].Key
	}
	var b strings.Builder
	if n.Op == OpExists {
		b.WriteString("exists ")
	}
	b.WriteString(n.Name)
	b.WriteByte('(')
	for i, arg := range n.Args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(arg.Key)
	}
	b.WriteByte(')')
	return b.String()
}

// Walk calls f for the node and all in it, the definitions of vars included.
func (n *Node) Walk(f func(*Node)) {
	f(n)
	for _, arg := range n.Args {
		arg.Walk(f)
	}
}

// has reports whether a part is of a kind.
func (n *Node) has(op Op) (has bool) {
	n.Walk(func(part *Node) { has = has || part.Op == op })
	return has
}
