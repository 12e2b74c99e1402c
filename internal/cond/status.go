package cond

import (
	"slices"

	"github.com/redress-policy/redress/engine"
)

// maxTested bounds the literals that statusTest knows: people write status < 600.
const maxTested = 639

// statusTest makes one test of a condition that asks for nothing but the status, however
// it is put together: what it comes to is known for every status.
func statusTest(e *Expr) (v value[bool], ok bool) {
	if !asksStatusOnly(e) {
		return v, false
	}
	holds := func(s int64) bool { return e.outcomes("status", s) == isTrue }
	// Statuses between those that literals name are all alike, those below 0 too.
	starts := []int64{0, 1} // 1 because has asks for 0
	e.literals(func(_, _ string, v any) { starts = append(starts, v.(int64), v.(int64)+1) })
	slices.Sort(starts)
	below, above := holds(-1), holds(maxTested+1)
	var set [maxTested/64 + 1]uint64
	first, last, n := 0, -1, 0
	for i, start := range starts {
		end := int64(maxTested + 1)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		if start >= end || !holds(start) {
			continue
		}
		if n == 0 {
			first = int(start)
		}
		for s := start; s < end; s++ {
			set[s/64] |= 1 << (s % 64)
		}
		last, n = int(end)-1, n+int(end-start)
	}
	switch oneRange := n > 0 && n == last-first+1 && !below; {
	case oneRange && !above && n == 1:
		return field(func(in *engine.Input) bool { return status(in) == first }), true
	case oneRange && !above:
		width := uint(last - first)
		return field(func(in *engine.Input) bool { return uint(status(in)-first) <= width }), true
	case oneRange && above && last == maxTested:
		return field(func(in *engine.Input) bool { return status(in) >= first }), true
	}
	return field(func(in *engine.Input) bool {
		switch s := status(in); {
		case s < 0:
			return below
		case s > maxTested:
			return above
		default:
			return set[s/64]>>(s%64)&1 != 0
		}
	}), true
}

// asksStatusOnly reports whether a condition is made of comparisons of the status with
// literals.
func asksStatusOnly(e *Expr) bool {
	if e.Op == OpHas {
		return recordField(e.Name) == "status"
	}
	if e.Op != OpCall {
		return false
	}
	switch e.Name {
	case "&&", "||", "!":
		return !slices.ContainsFunc(e.Args, func(arg *Expr) bool { return !asksStatusOnly(arg) })
	case "==", "!=", "<", "<=", ">", ">=":
		a, b := e.Args[0], e.Args[1]
		return isStatus(a) && isStatusLiteral(b) || isStatus(b) && isStatusLiteral(a)
	case "in":
		list := e.Args[1]
		return isStatus(e.Args[0]) && list.Op == OpList && !slices.ContainsFunc(list.Args, func(item *Expr) bool { return !isStatusLiteral(item) })
	}
	return false
}

func isStatus(e *Expr) bool {
	return e.Op == OpField && (e.Name == "err.status" || e.Name == "result.status")
}

func isStatusLiteral(e *Expr) bool {
	s, ok := e.Value.(int64)
	return e.Op == OpLiteral && ok && 0 <= s && s <= maxTested
}
