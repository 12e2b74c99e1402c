package cond

import (
	"slices"
	"strings"
)

// An outcome is a set of what a condition can come to.
type outcome uint8

const (
	isTrue outcome = 1 << iota
	isFalse
	isError

	anything = isTrue | isFalse | isError
)

// outcomes are what a condition can come to if a field has a value, for all that can be
// told from that.
func (e *Expr) outcomes(field string, v any) outcome {
	switch e.Op {
	case OpLiteral:
		return truth(e.Value == true)
	case OpVar:
		return e.Args[0].outcomes(field, v)
	case OpHas:
		if recordField(e.Name) == field && v == (other{}) {
			return isTrue | isFalse
		}
		if recordField(e.Name) == field {
			return truth(v != int64(0) && v != "" && (field != "kind" || v != "unknown"))
		}
		return isTrue | isFalse
	case OpCall:
		return e.callOutcomes(field, v)
	}
	return anything
}

func truth(b bool) outcome {
	if b {
		return isTrue
	}
	return isFalse
}

func (e *Expr) callOutcomes(field string, v any) outcome {
	switch e.Name {
	case "&&":
		o := isTrue
		for _, arg := range e.Args {
			o = and2(o, arg.outcomes(field, v))
		}
		return o
	case "||":
		o := isFalse
		for _, arg := range e.Args {
			o = not(and2(not(o), not(arg.outcomes(field, v))))
		}
		return o
	case "!":
		return not(e.Args[0].outcomes(field, v))
	case "==", "!=", "<", "<=", ">", ">=", "in":
		if o := compare(e, field, v); o != 0 {
			return o
		}
	case "startsWith", "endsWith", "contains":
		if o := search(e, field, v); o != 0 {
			return o
		}
	}
	return anything
}

// compare evaluates a comparison of the field with literals; 0 if it is another.
func compare(e *Expr, field string, v any) outcome {
	a, b, op := e.Args[0], e.Args[1], e.Name
	if simpleField(b) == field && a.Op == OpLiteral && op != "in" {
		a, b = b, a
		op = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}[op]
	}
	if simpleField(a) == "" {
		return 0
	}
	if simpleField(a) != field {
		if a.Type == b.Type && b.Op == OpLiteral && !isAttribute(a) {
			return isTrue | isFalse // which cannot err
		}
		return 0
	}
	switch {
	case b.Op == OpLiteral && op == "==":
		return truth(b.Value == v)
	case b.Op == OpLiteral && op == "!=":
		return truth(b.Value != v)
	case op == "in" && b.Op == OpList:
		if slices.ContainsFunc(b.Args, func(item *Expr) bool { return item.Op != OpLiteral }) {
			return 0
		}
		return truth(slices.ContainsFunc(b.Args, func(item *Expr) bool { return item.Value == v }))
	}
	x, isNumber := v.(int64)
	limit, isLimit := b.Value.(int64)
	if !isNumber || !isLimit || b.Op != OpLiteral {
		return 0
	}
	switch op {
	case "<":
		return truth(x < limit)
	case "<=":
		return truth(x <= limit)
	case ">":
		return truth(x > limit)
	case ">=":
		return truth(x >= limit)
	}
	return 0
}

func isAttribute(e *Expr) bool { return strings.HasPrefix(recordField(e.Name), "attr.") }

// search evaluates a test of the field's text for a literal; 0 if it is another.
func search(e *Expr, field string, v any) outcome {
	a, b := e.Args[0], e.Args[1]
	part, ok := b.Value.(string)
	if simpleField(a) == "" || a.Type != "string" || isAttribute(a) || b.Op != OpLiteral || !ok {
		return 0
	}
	text, known := v.(string)
	if simpleField(a) != field || !known {
		return isTrue | isFalse
	}
	switch e.Name {
	case "startsWith":
		return truth(strings.HasPrefix(text, part))
	case "endsWith":
		return truth(strings.HasSuffix(text, part))
	}
	return truth(strings.Contains(text, part))
}

func not(o outcome) outcome { return o&isError | (o&isTrue)<<1 | (o&isFalse)>>1 }

// and2 joins outcomes as CEL does: what is false decides, whatever else errs.
func and2(a, b outcome) outcome {
	var o outcome
	if (a|b)&isFalse != 0 {
		o |= isFalse
	}
	if a&isTrue != 0 && b&isTrue != 0 {
		o |= isTrue
	}
	if a&isError != 0 && b&^isFalse != 0 || b&isError != 0 && a&^isFalse != 0 {
		o |= isError
	}
	return o
}
