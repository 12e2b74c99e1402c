package analysis

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// Values that are none: what errs, what cannot be told, and the strings that no
// literal of the policy names.
type (
	errs    struct{}
	unknown struct{}
	other   struct{}
	none    struct{} // an optional without a value
	some    struct{ value any }
)

// A reading is what a base field reads as: whether has() holds, and its value.
type reading struct {
	has   bool
	value any // bool, int64, float64, string, time.Duration, engine.Class or other
}

// eval evaluates a node as CEL does, given what its base fields read as. It says
// unknown where it knows no better.
func eval(n *interp.Node, read func(base string) (reading, bool)) any {
	switch n.Op {
	case interp.OpLiteral:
		return n.Value
	case interp.OpVar:
		return eval(n.Args[0], read)
	case interp.OpField:
		if r, ok := read(n.Name); ok {
			return r.value
		}
	case interp.OpHas:
		if r, ok := read(n.Name); ok {
			return r.has
		}
	case interp.OpOptional:
		if r, ok := read(n.Name); ok {
			return optional(r)
		}
	case interp.OpList:
		list := make([]any, len(n.Args))
		for i, arg := range n.Args {
			if list[i] = eval(arg, read); isUnknown(list[i]) || list[i] == (errs{}) {
				return list[i]
			}
		}
		return list
	case interp.OpCall:
		return evalCall(n, read)
	}
	return unknown{}
}

func isUnknown(v any) bool { _, ok := v.(unknown); return ok }

func optional(r reading) any {
	if !r.has {
		return none{}
	}
	return some{r.value}
}

func evalCall(n *interp.Node, read func(string) (reading, bool)) any {
	if base, ok := entryOf(n); ok {
		r, known := read(base)
		switch {
		case !known:
			return unknown{}
		case n.Name == "in":
			return r.has
		case n.Name == "[?]":
			return optional(r)
		case !r.has:
			return errs{}
		}
		return r.value
	}
	if n.Name == "&&" || n.Name == "||" || n.Name == "?:" {
		return evalLogic(n, read)
	}
	if n.Name == "in" && n.Args[1].Op == interp.OpList && len(n.Args[1].Args) == 0 {
		return false // even if the value sought errs
	}
	args := make([]any, 0, 4) // most need no more, which stay on the stack
	for _, arg := range n.Args {
		args = append(args, eval(arg, read))
	}
	for _, v := range args {
		if isUnknown(v) {
			return v
		}
	}
	for _, v := range args {
		if v == (errs{}) {
			return v
		}
	}
	return apply(n.Name, args)
}

// entryOf recognises what reads one entry of a map of texts by a literal key:
// m["k"], m[?"k"] and "k" in m. The base names the entry.
func entryOf(n *interp.Node) (base string, ok bool) {
	if n.Op != interp.OpCall || len(n.Args) != 2 {
		return "", false
	}
	m, key := n.Args[0], n.Args[1]
	switch n.Name {
	case "in":
		m, key = key, m
	case "[]", "[?]":
	default:
		return "", false
	}
	text, isText := key.Value.(string)
	if m.Op != interp.OpField || m.Type != "map" || key.Op != interp.OpLiteral || !isText {
		return "", false
	}
	if strings.HasSuffix(m.Name, ".headers") {
		text = strings.ToLower(text)
	}
	return m.Name + "[" + text + "]", true
}

func evalLogic(n *interp.Node, read func(string) (reading, bool)) any {
	if n.Name == "?:" {
		switch c := eval(n.Args[0], read).(type) {
		case bool:
			if c {
				return eval(n.Args[1], read)
			}
			return eval(n.Args[2], read)
		case errs:
			return c
		}
		return unknown{}
	}
	absorbing := n.Name == "||"
	var rest any = !absorbing
	for _, arg := range n.Args {
		switch v := eval(arg, read).(type) {
		case bool:
			if v == absorbing {
				return v
			}
		case errs:
			if !isUnknown(rest) {
				rest = v
			}
		default:
			rest = unknown{}
		}
	}
	return rest
}

// apply evaluates a function or an operator of plain values.
func apply(name string, args []any) any {
	for _, v := range args {
		if v == (other{}) && name != "==" && name != "!=" && name != "in" {
			return unknown{}
		}
	}
	switch name {
	case "==", "!=":
		equal, ok := same(args[0], args[1])
		if !ok {
			return unknown{}
		}
		return equal == (name == "==")
	case "in":
		return within(args[0], args[1])
	case "!":
		if b, ok := args[0].(bool); ok {
			return !b
		}
	case "<", "<=", ">", ">=":
		return compare(name, args[0], args[1])
	case "optional.none":
		return none{}
	case "orValue":
		switch o := args[0].(type) {
		case none:
			return args[1]
		case some:
			return o.value
		}
	case "hasValue":
		_, is := args[0].(some)
		return is
	case "value":
		if o, ok := args[0].(some); ok {
			return o.value
		}
		return errs{}
	}
	if a, ok := args[0].(string); ok {
		return applyText(name, a, args[1:])
	}
	if a, ok := args[0].(int64); ok {
		return applyInt(name, a, args[1:])
	}
	return unknown{}
}

// same compares two values of one type. Of strings that no literal names it is only
// known that no literal is equal to them.
func same(a, b any) (equal, ok bool) {
	if a == (other{}) && b == (other{}) {
		return false, false
	}
	switch a.(type) {
	case bool, int64, uint64, string, time.Duration, engine.Class, other:
		return a == b, true
	case float64:
		y, isDouble := b.(float64)
		return isDouble && a.(float64) == y, isDouble
	}
	return false, false
}

func within(v, list any) any {
	items, ok := list.([]any)
	if !ok {
		return unknown{}
	}
	for _, item := range items {
		equal, ok := same(v, item)
		if !ok {
			return unknown{}
		}
		if equal {
			return true
		}
	}
	return false
}

func compare(name string, a, b any) any {
	var sign int
	switch x := a.(type) {
	case int64:
		y, ok := b.(int64)
		if !ok {
			return unknown{}
		}
		sign = order(x, y)
	case time.Duration:
		y, ok := b.(time.Duration)
		if !ok {
			return unknown{}
		}
		sign = order(x, y)
	case string:
		y, ok := b.(string)
		if !ok {
			return unknown{}
		}
		sign = strings.Compare(x, y)
	case float64:
		y, ok := b.(float64)
		switch {
		case !ok:
			return unknown{}
		case math.IsNaN(x) || math.IsNaN(y):
			return false
		}
		sign = order(x, y)
	default:
		return unknown{}
	}
	switch name {
	case "<":
		return sign < 0
	case "<=":
		return sign <= 0
	case ">":
		return sign > 0
	}
	return sign >= 0
}

func order[T int64 | float64 | time.Duration](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func applyText(name, a string, args []any) any {
	if len(args) == 0 {
		switch name {
		case "lowerAscii":
			return mapASCII(a, 'A', 'Z', 'a'-'A')
		case "upperAscii":
			return mapASCII(a, 'a', 'z', -('a' - 'A'))
		case "size":
			return int64(utf8.RuneCountInString(a))
		case "string":
			return a
		}
		return unknown{}
	}
	b, ok := args[0].(string)
	if !ok || len(args) > 1 {
		return unknown{}
	}
	switch name {
	case "startsWith":
		return strings.HasPrefix(a, b)
	case "endsWith":
		return strings.HasSuffix(a, b)
	case "contains":
		return strings.Contains(a, b)
	case "+":
		return a + b
	case "matches":
		re := compiled(b)
		if re == nil {
			return errs{}
		}
		return re.MatchString(a)
	}
	return unknown{}
}

// patterns are those that were compiled last, nil for what is none.
var patterns struct {
	sync.Mutex
	byText map[string]*regexp.Regexp
}

// maxPatterns bounds the patterns that are kept.
const maxPatterns = 500

// compiled compiles a pattern; nil if it is none.
func compiled(text string) *regexp.Regexp {
	patterns.Lock()
	defer patterns.Unlock()
	re, known := patterns.byText[text]
	if !known {
		if re, _ = regexp.Compile(text); patterns.byText == nil || len(patterns.byText) >= maxPatterns {
			patterns.byText = map[string]*regexp.Regexp{}
		}
		patterns.byText[text] = re
	}
	return re
}

func mapASCII(s string, from, to rune, by rune) string {
	return strings.Map(func(r rune) rune {
		if from <= r && r <= to {
			return r + by
		}
		return r
	}, s)
}

func applyInt(name string, a int64, args []any) any {
	if len(args) == 0 {
		switch name {
		case "-()":
			if a == math.MinInt64 {
				return errs{}
			}
			return -a
		case "int":
			return a
		case "double":
			return float64(a)
		}
		return unknown{}
	}
	b, ok := args[0].(int64)
	// Larger numbers could overflow, which CEL reports as an error.
	const small = 1 << 31
	if !ok || slices.ContainsFunc([]int64{a, b}, func(x int64) bool { return x < -small || x > small }) {
		return unknown{}
	}
	switch name {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/", "%":
		if b == 0 {
			return errs{}
		}
		if name == "/" {
			return a / b
		}
		return a % b
	}
	return unknown{}
}
