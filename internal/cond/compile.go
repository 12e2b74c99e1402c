package cond

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/engine"
)

// A value is an expression of type T as a function of what a rule may know. Exactly one
// of its functions is set.
type value[T any] struct {
	pure  func(*engine.Input) T          // of expressions that cannot err
	risky func(*engine.Input) (T, error) // of those that can
	fixed bool                           // a constant
}

// try is the value as a function that may err.
func (v value[T]) try() func(*engine.Input) (T, error) {
	if v.risky != nil {
		return v.risky
	}
	pure := v.pure
	return func(in *engine.Input) (T, error) { return pure(in), nil }
}

func constant[T any](x T) value[T] {
	return value[T]{pure: func(*engine.Input) T { return x }, fixed: true}
}

func field[T any](get func(*engine.Input) T) value[T] { return value[T]{pure: get} }

// constantOf returns what a constant comes to.
func (v value[T]) constantOf() (x T, ok bool) {
	if v.fixed {
		x = v.pure(nil)
	}
	return x, v.fixed
}

// one applies f to a value.
func one[A, T any](a value[A], f func(A) T) value[T] {
	if a.pure != nil {
		get := a.pure
		return value[T]{pure: func(in *engine.Input) T { return f(get(in)) }}
	}
	return oneRisky(a, func(x A) (T, error) { return f(x), nil })
}

func oneRisky[A, T any](a value[A], f func(A) (T, error)) value[T] {
	get := a.try()
	return value[T]{risky: func(in *engine.Input) (zero T, err error) {
		x, err := get(in)
		if err != nil {
			return zero, err
		}
		return f(x)
	}}
}

// two applies f to two values; of two errors the first counts.
func two[A, B, T any](a value[A], b value[B], f func(A, B) T) value[T] {
	if a.pure != nil && b.pure != nil {
		x, y := a.pure, b.pure
		return value[T]{pure: func(in *engine.Input) T { return f(x(in), y(in)) }}
	}
	return twoRisky(a, b, func(x A, y B) (T, error) { return f(x, y), nil })
}

func twoRisky[A, B, T any](a value[A], b value[B], f func(A, B) (T, error)) value[T] {
	getA, getB := a.try(), b.try()
	return value[T]{risky: func(in *engine.Input) (zero T, err error) {
		x, err := getA(in)
		if err != nil {
			return zero, err
		}
		y, err := getB(in)
		if err != nil {
			return zero, err
		}
		return f(x, y)
	}}
}

// A Compiler makes functions of the expressions of one list, among which it shares the
// values of vars.
type Compiler struct {
	slots map[*Expr]int // of the definitions of vars
	other *Expr         // the first part of the expression that it cannot make a function of
}

// NewCompiler returns a compiler for one list.
func NewCompiler() *Compiler { return &Compiler{slots: map[*Expr]int{}} }

// unsupported notes a part that cannot be compiled. What is made around it is not used.
func unsupported[T any](c *Compiler, e *Expr) value[T] {
	if c.other == nil {
		c.other = e
	}
	return value[T]{pure: func(*engine.Input) (zero T) { return zero }}
}

// A Condition is a compiled condition.
type Condition struct{ value[bool] }

// Opaque makes a condition of a function.
func Opaque(test func(*engine.Input) (bool, error)) Condition {
	return Condition{value[bool]{risky: test}}
}

// Test evaluates the condition. The scratch space of in must be empty, but for what other
// conditions of the same compiler left there.
func (c Condition) Test(in *engine.Input) (bool, error) {
	if c.pure != nil {
		return c.pure(in), nil
	}
	return c.risky(in)
}

// Condition makes a function of a condition. If it cannot, other is the part that it
// cannot make a function of.
func (c *Compiler) Condition(e *Expr) (made Condition, other *Expr) {
	c.other = nil
	return Condition{c.boolean(e)}, c.other
}

// A Hint is a compiled duration.
type Hint struct{ value[time.Duration] }

// OpaqueHint makes a hint of a function.
func OpaqueHint(get func(*engine.Input) (time.Duration, error)) Hint {
	return Hint{value[time.Duration]{risky: get}}
}

// Get evaluates the duration, as Test does a condition.
func (h Hint) Get(in *engine.Input) (time.Duration, error) {
	if h.pure != nil {
		return h.pure(in), nil
	}
	return h.risky(in)
}

// Hint makes a function of a duration, as Condition does of a condition.
func (c *Compiler) Hint(e *Expr) (made Hint, other *Expr) {
	c.other = nil
	return Hint{c.duration(e)}, c.other
}

// variable evaluates what a var stands for, once for all rules of the list. Its errors say
// which var it was, and its values are bounded, as estimates of cost go by that.
func variable[T any](c *Compiler, e *Expr, compile func(*Expr) value[T], tooLarge func(T) error) value[T] {
	definition := e.Args[0]
	v := compile(definition)
	if v.pure != nil && tooLarge == nil && len(definition.Args) == 0 {
		return v // a field or a literal is not worth remembering
	}
	slot, ok := c.slots[definition]
	if !ok {
		slot = len(c.slots)
		c.slots[definition] = slot
	}
	if pure, ok := any(v.pure).(func(*engine.Input) bool); ok && pure != nil && tooLarge == nil && slot < 128 {
		return any(rememberedBool(pure, slot)).(value[T])
	}
	get, name := v.try(), e.Name
	return value[T]{risky: func(in *engine.Input) (x T, err error) {
		memo, _ := in.Scratch.Memo.(map[int]any)
		switch known := memo[slot].(type) {
		case T:
			return known, nil
		case error:
			return x, known
		}
		x, err = get(in)
		if err == nil && tooLarge != nil {
			err = tooLarge(x)
		}
		if memo == nil {
			memo = map[int]any{}
			in.Scratch.Memo = memo
		}
		if err != nil {
			err = fmt.Errorf("vars.%s: %w", name, err)
			memo[slot] = err
			return x, err
		}
		memo[slot] = x
		return x, nil
	}}
}

// rememberedBool keeps two bits of the scratch space: whether the value is known, and what
// it is.
func rememberedBool(pure func(*engine.Input) bool, slot int) value[bool] {
	word, shift := slot/32, slot%32*2
	return value[bool]{pure: func(in *engine.Input) bool {
		switch in.Scratch.Words[word] >> shift & 3 {
		case 1:
			return false
		case 3:
			return true
		}
		is := pure(in)
		bits := uint64(1)
		if is {
			bits = 3
		}
		in.Scratch.Words[word] |= bits << shift
		return is
	}}
}

// Limits of the values of vars.
const (
	maxText    = engine.MaxMessage // bytes
	maxEntries = 1024
)

func longText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("its text is longer than %d bytes", maxText)
	}
	return nil
}

func longList(list []string) error { return manyEntries(len(list)) }

func longMap(m map[string]string) error { return manyEntries(len(m)) }

func manyEntries(n int) error {
	if n > maxEntries {
		return fmt.Errorf("it has more than %d entries", maxEntries)
	}
	return nil
}

// boolean compiles an expression that is true or false.
func (c *Compiler) boolean(e *Expr) value[bool] {
	switch e.Op {
	case OpLiteral:
		if b, ok := e.Value.(bool); ok {
			return constant(b)
		}
	case OpField:
		switch e.Name {
		case "err.timeout":
			return field(func(in *engine.Input) bool { return timeout(in) })
		case "idempotent":
			return field(func(in *engine.Input) bool { return in.Idempotent })
		}
		return attribute[bool](c, e)
	case OpHas:
		return c.has(e)
	case OpVar:
		return variable(c, e, c.boolean, nil)
	case OpExists:
		return c.exists(e)
	case OpCall:
		return c.boolCall(e)
	}
	return unsupported[bool](c, e)
}

func (c *Compiler) boolCall(e *Expr) value[bool] {
	switch e.Name {
	case "&&", "||":
		parts := make([]value[bool], len(e.Args))
		for i, arg := range e.Args {
			parts[i] = c.boolean(arg)
		}
		if e.Name == "&&" {
			return and(parts)
		}
		return or(parts)
	case "!":
		return one(c.boolean(e.Args[0]), func(b bool) bool { return !b })
	case "?:":
		return choose(c.boolean(e.Args[0]), c.boolean(e.Args[1]), c.boolean(e.Args[2]))
	case "==", "!=":
		return c.equality(e)
	case "<", "<=", ">", ">=":
		return c.order(e)
	case "in":
		return c.membership(e)
	case "startsWith", "endsWith", "contains", "matches":
		return c.textTest(e)
	case "hasValue":
		return c.hasValue(e)
	case "value", "orValue", "[]":
		return unsupported[bool](c, e)
	}
	return unsupported[bool](c, e)
}

// and joins conditions as CEL does: what is false decides, whatever else errs.
func and(parts []value[bool]) value[bool] { return absorb(parts, false) }

// or joins conditions: what is true decides, whatever else errs.
func or(parts []value[bool]) value[bool] { return absorb(parts, true) }

// absorb joins conditions of which one that comes to decisive decides. Otherwise the first
// error counts.
func absorb(parts []value[bool], decisive bool) value[bool] {
	if i := slices.IndexFunc(parts, func(v value[bool]) bool { return v.pure == nil }); i < 0 {
		return absorbPure(parts, decisive)
	}
	tries := make([]func(*engine.Input) (bool, error), len(parts))
	for i, v := range parts {
		tries[i] = v.try()
	}
	return value[bool]{risky: func(in *engine.Input) (bool, error) {
		var first error
		for _, try := range tries {
			switch b, err := try(in); {
			case err != nil:
				if first == nil {
					first = err
				}
			case b == decisive:
				return decisive, nil
			}
		}
		return !decisive && first == nil, first
	}}
}

func absorbPure(parts []value[bool], decisive bool) value[bool] {
	a := parts[0].pure
	switch {
	case len(parts) == 1:
		return parts[0]
	case len(parts) == 2 && decisive:
		b := parts[1].pure
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) || b(in) }}
	case len(parts) == 2:
		b := parts[1].pure
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) && b(in) }}
	}
	rest := absorbPure(parts[1:], decisive).pure
	if decisive {
		return value[bool]{pure: func(in *engine.Input) bool { return a(in) || rest(in) }}
	}
	return value[bool]{pure: func(in *engine.Input) bool { return a(in) && rest(in) }}
}

// choose is the conditional operator: of its branches only one is evaluated.
func choose[T any](test value[bool], yes, no value[T]) value[T] {
	if test.pure != nil && yes.pure != nil && no.pure != nil {
		cond, a, b := test.pure, yes.pure, no.pure
		return value[T]{pure: func(in *engine.Input) T {
			if cond(in) {
				return a(in)
			}
			return b(in)
		}}
	}
	cond, a, b := test.try(), yes.try(), no.try()
	return value[T]{risky: func(in *engine.Input) (zero T, err error) {
		is, err := cond(in)
		switch {
		case err != nil:
			return zero, err
		case is:
			return a(in)
		}
		return b(in)
	}}
}

// equality compares two values of one type.
func (c *Compiler) equality(e *Expr) value[bool] {
	a, b := e.Args[0], e.Args[1]
	if a.Op == OpLiteral {
		a, b = b, a
	}
	if a.Type != b.Type {
		return unsupported[bool](c, e)
	}
	var same value[bool]
	switch a.Type {
	case "bool":
		same = equal(c.boolean(a), c.boolean(b))
	case "int":
		if want, ok := b.Value.(int64); ok && isStatus(a) && b.Op == OpLiteral {
			other := int(want)
			if e.Name == "!=" {
				return field(func(in *engine.Input) bool { return status(in) != other })
			}
			return field(func(in *engine.Input) bool { return status(in) == other })
		}
		same = equal(c.integer(a), c.integer(b))
	case "double":
		same = equal(c.double(a), c.double(b))
	case "string":
		if want, ok := b.Value.(string); ok && b.Op == OpLiteral && a.Op == OpField && a.Name == "err.code" && e.Name == "==" {
			return field(func(in *engine.Input) bool { return code(in) == want })
		}
		same = equal(c.text(a), c.text(b))
	case "duration":
		same = equal(c.duration(a), c.duration(b))
	case "class":
		same = equal(c.class(a), c.class(b))
	default:
		return unsupported[bool](c, e)
	}
	if e.Name == "!=" {
		return one(same, func(b bool) bool { return !b })
	}
	return same
}

func isStatus(e *Expr) bool {
	return e.Op == OpField && (e.Name == "err.status" || e.Name == "result.status")
}

func equal[T comparable](a, b value[T]) value[bool] {
	if want, ok := b.constantOf(); ok && a.pure != nil {
		get := a.pure
		return value[bool]{pure: func(in *engine.Input) bool { return get(in) == want }}
	}
	return two(a, b, func(x, y T) bool { return x == y })
}

// order compares two values that have an order.
func (c *Compiler) order(e *Expr) value[bool] {
	a, b := e.Args[0], e.Args[1]
	if a.Type != b.Type {
		return unsupported[bool](c, e)
	}
	switch a.Type {
	case "int":
		if limit, ok := b.Value.(int64); ok && isStatus(a) && b.Op == OpLiteral {
			return statusOrder(e.Name, int(limit))
		}
		return ordered(e.Name, c.integer(a), c.integer(b))
	case "double":
		return ordered(e.Name, c.double(a), c.double(b))
	case "string":
		return ordered(e.Name, c.text(a), c.text(b))
	case "duration":
		return ordered(e.Name, c.duration(a), c.duration(b))
	}
	return unsupported[bool](c, e)
}

func statusOrder(op string, limit int) value[bool] {
	switch op {
	case "<":
		return field(func(in *engine.Input) bool { return status(in) < limit })
	case "<=":
		return field(func(in *engine.Input) bool { return status(in) <= limit })
	case ">":
		return field(func(in *engine.Input) bool { return status(in) > limit })
	}
	return field(func(in *engine.Input) bool { return status(in) >= limit })
}

func ordered[T int64 | float64 | string | time.Duration](op string, a, b value[T]) value[bool] {
	switch op {
	case "<":
		return two(a, b, func(x, y T) bool { return x < y })
	case "<=":
		return two(a, b, func(x, y T) bool { return x <= y })
	case ">":
		return two(a, b, func(x, y T) bool { return x > y })
	}
	return two(a, b, func(x, y T) bool { return x >= y })
}

// membership looks for a value in a list, or for a key in a map.
func (c *Compiler) membership(e *Expr) value[bool] {
	x, of := e.Args[0], e.Args[1]
	switch {
	case of.Type == "map" && x.Type == "string":
		return two(c.key(x, of), c.entries(of), func(key string, m map[string]string) bool { _, is := m[key]; return is })
	case of.Op != OpList && of.Type == "list" && x.Type == "string":
		return two(c.text(x), c.texts(of), func(s string, list []string) bool { return slices.Contains(list, s) })
	case of.Op != OpList || slices.ContainsFunc(of.Args, func(item *Expr) bool { return item.Type != x.Type }):
		return unsupported[bool](c, e)
	}
	switch x.Type {
	case "int":
		if isStatus(x) {
			if list, ok := literals[int64](of); ok {
				return statusIn(list)
			}
		}
		return within(c.integer(x), of, c.integer)
	case "string":
		return within(c.text(x), of, c.text)
	case "double":
		return within(c.double(x), of, c.double)
	case "bool":
		return within(c.boolean(x), of, c.boolean)
	case "duration":
		return within(c.duration(x), of, c.duration)
	case "class":
		return within(c.class(x), of, c.class)
	}
	return unsupported[bool](c, e)
}

// literals returns the items of a list that are all literals.
func literals[T any](list *Expr) ([]T, bool) {
	var items []T
	for _, item := range list.Args {
		x, ok := item.Value.(T)
		if !ok || item.Op != OpLiteral {
			return nil, false
		}
		items = append(items, x)
	}
	return items, true
}

// statusIn tests a status against a set of bits.
func statusIn(list []int64) value[bool] {
	var set [10]uint64 // of 0 to 639
	for _, s := range list {
		if s >= 0 && s < 640 {
			set[s/64] |= 1 << (s % 64)
		}
	}
	return field(func(in *engine.Input) bool {
		s := uint(status(in))
		return s < 640 && set[s/64]>>(s%64)&1 != 0
	})
}

// manyItems is from how many on a set is asked rather than a list.
const manyItems = 8

func within[T comparable](x value[T], of *Expr, compile func(*Expr) value[T]) value[bool] {
	items := make([]value[T], len(of.Args))
	fixed := make([]T, len(of.Args))
	allFixed := true
	for i, item := range of.Args {
		items[i] = compile(item)
		var is bool
		fixed[i], is = items[i].constantOf()
		allFixed = allFixed && is
	}
	if allFixed && len(fixed) >= manyItems {
		set := map[T]bool{}
		for _, item := range fixed {
			set[item] = true
		}
		return one(x, func(x T) bool { return set[x] })
	}
	if allFixed {
		return one(x, func(x T) bool { return slices.Contains(fixed, x) })
	}
	return two(x, list(items), func(x T, items []T) bool { return slices.Contains(items, x) })
}

// list evaluates its items in order.
func list[T any](items []value[T]) value[[]T] {
	tries := make([]func(*engine.Input) (T, error), len(items))
	for i, item := range items {
		tries[i] = item.try()
	}
	return value[[]T]{risky: func(in *engine.Input) ([]T, error) {
		all := make([]T, len(tries))
		for i, try := range tries {
			var err error
			if all[i], err = try(in); err != nil {
				return nil, err
			}
		}
		return all, nil
	}}
}

// textTest asks something of a text.
func (c *Compiler) textTest(e *Expr) value[bool] {
	if len(e.Args) != 2 {
		return unsupported[bool](c, e)
	}
	s, arg := c.text(e.Args[0]), c.text(e.Args[1])
	if e.Name == "matches" {
		pattern, ok := arg.constantOf()
		re, err := regexp.Compile(pattern)
		if !ok || err != nil {
			return unsupported[bool](c, e)
		}
		if scan := literalScan(pattern); scan != nil {
			return one(s, func(s string) bool { return scan(s, re) })
		}
		return one(s, re.MatchString)
	}
	test := map[string]func(s, part string) bool{"startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix, "contains": strings.Contains}[e.Name]
	if part, ok := arg.constantOf(); ok && s.pure != nil {
		get := s.pure
		switch e.Name {
		case "startsWith":
			return field(func(in *engine.Input) bool { return strings.HasPrefix(get(in), part) })
		case "endsWith":
			return field(func(in *engine.Input) bool { return strings.HasSuffix(get(in), part) })
		}
		return field(func(in *engine.Input) bool { return strings.Contains(get(in), part) })
	}
	return two(s, arg, test)
}

// has reports whether a field is set.
func (c *Compiler) has(e *Expr) value[bool] {
	if name, ok := strings.CutPrefix(e.Name, "cause."); ok {
		switch name {
		case "status":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Status != 0 })
		case "code":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Code != "" })
		case "kind":
			return field(func(in *engine.Input) bool { return kindOf(in.Scratch.Cause.Kind) != "unknown" })
		case "message":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Message != "" })
		case "type":
			return field(func(in *engine.Input) bool { return in.Scratch.Cause.Type != "" })
		}
		return unsupported[bool](c, e)
	}
	switch name := recordField(e.Name); name {
	case "status":
		return field(func(in *engine.Input) bool { return status(in) != 0 })
	case "code":
		return field(func(in *engine.Input) bool { return code(in) != "" })
	case "kind":
		return field(func(in *engine.Input) bool { return kindOf(kind(in)) != "unknown" })
	case "message":
		return field(func(in *engine.Input) bool { return message(in) != "" })
	case "type":
		return field(func(in *engine.Input) bool { return typeName(in) != "" })
	case "timeout":
		return field(func(in *engine.Input) bool { return timeout(in) })
	case "retry_after":
		return field(func(in *engine.Input) bool { return hasRetryAfter(in) })
	case "headers":
		return field(func(in *engine.Input) bool { return len(headers(in)) > 0 })
	case "phase":
		return field(func(in *engine.Input) bool { return phaseOf(phase(in)) != "unknown" })
	case "marker":
		return field(func(in *engine.Input) bool { return marker(in) != engine.NoClass })
	case "causes":
		return field(func(in *engine.Input) bool { return len(causes(in)) > 0 })
	case "attr":
		return constant(true)
	default:
		if attr, ok := strings.CutPrefix(name, "attr."); ok {
			return field(func(in *engine.Input) bool { _, is := in.Failure.Attributes[attr]; return is })
		}
	}
	return unsupported[bool](c, e)
}

// recordField is the name of a field of err or result, "" for others.
func recordField(path string) string {
	record, name, _ := strings.Cut(path, ".")
	if record != "err" && record != "result" {
		return ""
	}
	return name
}

func kindOf(k engine.Kind) string {
	if k == "" {
		return string(engine.UnknownKind)
	}
	return string(k)
}

func phaseOf(p engine.Phase) string {
	if p == "" {
		return string(engine.PhaseUnknown)
	}
	return string(p)
}

// exists looks for a cause of which the condition holds.
func (c *Compiler) exists(e *Expr) value[bool] {
	condition := c.boolean(e.Args[0])
	if condition.pure != nil {
		holds := condition.pure
		return field(func(in *engine.Input) bool {
			causes := causes(in)
			for i := range causes {
				if in.Scratch.Cause = &causes[i]; holds(in) {
					return true
				}
			}
			return false
		})
	}
	holds := condition.try()
	return value[bool]{risky: func(in *engine.Input) (bool, error) {
		var first error
		causes := causes(in)
		for i := range causes {
			in.Scratch.Cause = &causes[i]
			switch is, err := holds(in); {
			case err != nil:
				if first == nil {
					first = err
				}
			case is:
				return true, nil
			}
		}
		return false, first
	}}
}

// attribute reads an attribute as it was declared: zero if the record does not have it,
// and an error if it has something else.
func attribute[T any](c *Compiler, e *Expr) value[T] {
	name, ok := strings.CutPrefix(recordField(e.Name), "attr.")
	if !ok {
		return unsupported[T](c, e)
	}
	declared := e.Attr
	return value[T]{risky: func(in *engine.Input) (x T, err error) {
		v, has := in.Failure.Attributes[name]
		if !has {
			return x, nil
		}
		if i, isInt := v.(int); isInt {
			v = int64(i)
		}
		if x, ok := v.(T); ok {
			return x, nil
		}
		return x, wrongType(name, declared, v)
	}}
}

func wrongType(name, declared string, v any) error {
	return fmt.Errorf("attribute %s is declared %s and is %s", name, declared, TypeOf(v))
}

// TypeOf names the type of an attribute's value as declarations do.
func TypeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case int64, int:
		return "int"
	case float64:
		return "double"
	case bool:
		return "bool"
	case time.Duration:
		return "duration"
	case []string:
		return "list(string)"
	case map[string]string:
		return "map(string, string)"
	}
	return fmt.Sprintf("%T", v)
}

// integer compiles a whole number.
func (c *Compiler) integer(e *Expr) value[int64] {
	switch e.Op {
	case OpLiteral:
		if i, ok := e.Value.(int64); ok {
			return constant(i)
		}
	case OpField:
		switch e.Name {
		case "err.status", "result.status":
			return field(func(in *engine.Input) int64 { return int64(status(in)) })
		case "cause.status":
			return field(func(in *engine.Input) int64 { return int64(in.Scratch.Cause.Status) })
		case "attempt":
			return field(func(in *engine.Input) int64 { return int64(in.Attempt) })
		case "class_attempt":
			return field(func(in *engine.Input) int64 { return int64(in.ClassAttempt) })
		}
		return attribute[int64](c, e)
	case OpVar:
		return variable(c, e, c.integer, nil)
	case OpCall:
		return c.integerCall(e)
	}
	return unsupported[int64](c, e)
}

var (
	errOverflow = errors.New("integer overflow")
	errDivision = errors.New("division by zero")
	errModulus  = errors.New("modulus by zero")
)

func (c *Compiler) integerCall(e *Expr) value[int64] {
	switch {
	case e.Name == "?:":
		return choose(c.boolean(e.Args[0]), c.integer(e.Args[1]), c.integer(e.Args[2]))
	case e.Name == "orValue":
		return orValue(c, e, "int", c.integer)
	case e.Name == "-()":
		return oneRisky(c.integer(e.Args[0]), func(x int64) (int64, error) {
			if x == math.MinInt64 {
				return 0, errOverflow
			}
			return -x, nil
		})
	case e.Name == "size" && e.Args[0].Type == "string":
		return one(c.text(e.Args[0]), func(s string) int64 { return int64(utf8.RuneCountInString(s)) })
	case e.Name == "size" && e.Args[0].Type == "map":
		return one(c.entries(e.Args[0]), func(m map[string]string) int64 { return int64(len(m)) })
	case e.Name == "size" && e.Args[0].Op == OpField && recordField(e.Args[0].Name) == "causes":
		return field(func(in *engine.Input) int64 { return int64(len(causes(in))) })
	case e.Name == "size" && e.Args[0].Type == "list":
		return one(c.texts(e.Args[0]), func(l []string) int64 { return int64(len(l)) })
	case e.Name == "int" && e.Args[0].Type == "int":
		return c.integer(e.Args[0])
	case len(e.Args) != 2 || e.Args[0].Type != "int" || e.Args[1].Type != "int":
		return unsupported[int64](c, e)
	}
	a, b := c.integer(e.Args[0]), c.integer(e.Args[1])
	switch e.Name {
	case "+":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			if y > 0 && x > math.MaxInt64-y || y < 0 && x < math.MinInt64-y {
				return 0, errOverflow
			}
			return x + y, nil
		})
	case "-":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			if y < 0 && x > math.MaxInt64+y || y > 0 && x < math.MinInt64+y {
				return 0, errOverflow
			}
			return x - y, nil
		})
	case "*":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			z := x * y
			if x != 0 && (z/x != y || x == -1 && y == math.MinInt64) {
				return 0, errOverflow
			}
			return z, nil
		})
	case "/":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			switch {
			case y == 0:
				return 0, errDivision
			case x == math.MinInt64 && y == -1:
				return 0, errOverflow
			}
			return x / y, nil
		})
	case "%":
		return twoRisky(a, b, func(x, y int64) (int64, error) {
			switch {
			case y == 0:
				return 0, errModulus
			case x == math.MinInt64 && y == -1:
				return 0, errOverflow
			}
			return x % y, nil
		})
	}
	return unsupported[int64](c, e)
}

// double compiles a number with a fraction.
func (c *Compiler) double(e *Expr) value[float64] {
	switch e.Op {
	case OpLiteral:
		if x, ok := e.Value.(float64); ok {
			return constant(x)
		}
	case OpField:
		return attribute[float64](c, e)
	case OpVar:
		return variable(c, e, c.double, nil)
	case OpCall:
		switch {
		case e.Name == "?:":
			return choose(c.boolean(e.Args[0]), c.double(e.Args[1]), c.double(e.Args[2]))
		case e.Name == "orValue":
			return orValue(c, e, "double", c.double)
		case e.Name == "-()":
			return one(c.double(e.Args[0]), func(x float64) float64 { return -x })
		case e.Name == "double" && e.Args[0].Type == "int":
			return one(c.integer(e.Args[0]), func(x int64) float64 { return float64(x) })
		case e.Name == "double" && e.Args[0].Type == "double":
			return c.double(e.Args[0])
		case len(e.Args) != 2 || e.Args[0].Type != "double" || e.Args[1].Type != "double":
			return unsupported[float64](c, e)
		}
		a, b := c.double(e.Args[0]), c.double(e.Args[1])
		switch e.Name {
		case "+":
			return two(a, b, func(x, y float64) float64 { return x + y })
		case "-":
			return two(a, b, func(x, y float64) float64 { return x - y })
		case "*":
			return two(a, b, func(x, y float64) float64 { return x * y })
		case "/":
			return two(a, b, func(x, y float64) float64 { return x / y })
		}
	}
	return unsupported[float64](c, e)
}

// duration compiles a duration.
func (c *Compiler) duration(e *Expr) value[time.Duration] {
	switch e.Op {
	case OpLiteral:
		if d, ok := e.Value.(time.Duration); ok {
			return constant(d)
		}
	case OpField:
		switch e.Name {
		case "err.retry_after", "result.retry_after":
			return field(func(in *engine.Input) time.Duration { return retryAfter(in) })
		case "elapsed":
			return field(func(in *engine.Input) time.Duration { return in.Elapsed })
		case "remaining":
			return field(func(in *engine.Input) time.Duration { return in.Remaining })
		case "retry_after":
			return field(func(in *engine.Input) time.Duration { return in.RetryAfter })
		}
		return attribute[time.Duration](c, e)
	case OpVar:
		return variable(c, e, c.duration, nil)
	case OpCall:
		switch {
		case e.Name == "?:":
			return choose(c.boolean(e.Args[0]), c.duration(e.Args[1]), c.duration(e.Args[2]))
		case e.Name == "orValue":
			return orValue(c, e, "duration", c.duration)
		}
	}
	return unsupported[time.Duration](c, e)
}

// class compiles a class.
func (c *Compiler) class(e *Expr) value[engine.Class] {
	switch {
	case e.Op == OpLiteral:
		if class, ok := e.Value.(engine.Class); ok {
			return constant(class)
		}
	case e.Op == OpField && e.Name == "class":
		return field(func(in *engine.Input) engine.Class { return in.Class })
	case e.Op == OpVar:
		return variable(c, e, c.class, nil)
	case e.Op == OpCall && e.Name == "?:":
		return choose(c.boolean(e.Args[0]), c.class(e.Args[1]), c.class(e.Args[2]))
	}
	return unsupported[engine.Class](c, e)
}

// text compiles a text.
func (c *Compiler) text(e *Expr) value[string] {
	switch e.Op {
	case OpLiteral:
		if s, ok := e.Value.(string); ok {
			return constant(s)
		}
	case OpField:
		return c.textField(e)
	case OpVar:
		return variable(c, e, c.text, longText)
	case OpCall:
		return c.textCall(e)
	}
	return unsupported[string](c, e)
}

func (c *Compiler) textField(e *Expr) value[string] {
	switch e.Name {
	case "op":
		return field(func(in *engine.Input) string { return in.Operation })
	case "cause.code":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Code })
	case "cause.kind":
		return field(func(in *engine.Input) string { return kindOf(in.Scratch.Cause.Kind) })
	case "cause.message":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Message })
	case "cause.type":
		return field(func(in *engine.Input) string { return in.Scratch.Cause.Type })
	}
	switch recordField(e.Name) {
	case "code":
		return field(func(in *engine.Input) string { return code(in) })
	case "kind":
		return field(func(in *engine.Input) string { return kindOf(kind(in)) })
	case "message":
		return field(func(in *engine.Input) string { return message(in) })
	case "type":
		return field(func(in *engine.Input) string { return typeName(in) })
	case "phase":
		return field(func(in *engine.Input) string { return phaseOf(phase(in)) })
	case "marker":
		return field(func(in *engine.Input) string { return marker(in).String() })
	}
	return attribute[string](c, e)
}

func (c *Compiler) textCall(e *Expr) value[string] {
	args := e.Args
	switch {
	case e.Name == "?:":
		return choose(c.boolean(args[0]), c.text(args[1]), c.text(args[2]))
	case e.Name == "orValue":
		return orValue(c, e, "string", c.text)
	case e.Name == "[]" && args[0].Type == "map" && args[1].Type == "string":
		return c.entry(args[0], args[1])
	case e.Name == "+" && args[0].Type == "string" && args[1].Type == "string":
		return two(c.text(args[0]), c.text(args[1]), func(a, b string) string { return a + b })
	case e.Name == "string" && args[0].Type == "string":
		return c.text(args[0])
	case e.Name == "string" && args[0].Type == "int":
		return one(c.integer(args[0]), func(x int64) string { return strconv.FormatInt(x, 10) })
	case e.Name == "lowerAscii" && len(args) == 1:
		return one(c.text(args[0]), func(s string) string { return mapASCII(s, 'A', 'Z', 'a'-'A') })
	case e.Name == "upperAscii" && len(args) == 1:
		return one(c.text(args[0]), func(s string) string { return mapASCII(s, 'a', 'z', -('a' - 'A')) })
	}
	return unsupported[string](c, e)
}

// mapASCII moves the letters from one case to the other. Bytes that are no text become the
// replacement character, as they do in cel-go.
func mapASCII(s string, from, to rune, by rune) string {
	return strings.Map(func(r rune) rune {
		if from <= r && r <= to {
			return r + by
		}
		return r
	}, s)
}

// entry reads an entry of a map.
func (c *Compiler) entry(of, key *Expr) value[string] {
	written := c.text(key)
	find := func(m map[string]string, key string) (string, error) {
		if isHeaders(of) {
			if s, ok := m[strings.ToLower(key)]; ok {
				return s, nil
			}
		} else if s, ok := m[key]; ok {
			return s, nil
		}
		return "", fmt.Errorf("no such key: %s", key)
	}
	return twoRisky(c.entries(of), written, find)
}

// key compiles a key of a map. Names of headers have no case.
func (c *Compiler) key(e, of *Expr) value[string] {
	key := c.text(e)
	if isHeaders(of) {
		if text, ok := key.constantOf(); ok {
			return constant(strings.ToLower(text))
		}
		return one(key, strings.ToLower)
	}
	return key
}

func isHeaders(e *Expr) bool {
	for e.Op == OpVar {
		e = e.Args[0]
	}
	return e.Op == OpField && recordField(e.Name) == "headers"
}

// entries compiles a map of texts.
func (c *Compiler) entries(e *Expr) value[map[string]string] {
	switch {
	case e.Op == OpField && recordField(e.Name) == "headers":
		return field(func(in *engine.Input) map[string]string { return headers(in) })
	case e.Op == OpField:
		return attribute[map[string]string](c, e)
	case e.Op == OpVar:
		return variable(c, e, c.entries, longMap)
	}
	return unsupported[map[string]string](c, e)
}

// texts compiles a list of texts.
func (c *Compiler) texts(e *Expr) value[[]string] {
	switch {
	case e.Op == OpField:
		return attribute[[]string](c, e)
	case e.Op == OpVar:
		return variable(c, e, c.texts, longList)
	}
	return unsupported[[]string](c, e)
}

// orValue reads an optional value, or what stands in for it.
func orValue[T any](c *Compiler, e *Expr, typ string, compile func(*Expr) value[T]) value[T] {
	if len(e.Args) != 2 || e.Args[1].Type != typ {
		return unsupported[T](c, e)
	}
	set, get := c.optional(e.Args[0])
	if set.pure == nil && set.risky == nil {
		return unsupported[T](c, e)
	}
	return choose(set, compile(get), compile(e.Args[1]))
}

func (c *Compiler) hasValue(e *Expr) value[bool] {
	set, _ := c.optional(e.Args[0])
	if set.pure == nil && set.risky == nil {
		return unsupported[bool](c, e)
	}
	return set
}

// optional takes an optional value apart: whether there is one, and the expression that
// reads it.
func (c *Compiler) optional(e *Expr) (set value[bool], get *Expr) {
	get = &Expr{Op: OpField, Name: e.Name, Type: e.Type, Attr: e.Attr}
	name, isAttribute := strings.CutPrefix(recordField(e.Name), "attr.")
	switch {
	case e.Op == OpOptional && isAttribute:
		return value[bool]{risky: func(in *engine.Input) (bool, error) {
			v, has := in.Failure.Attributes[name]
			if has && TypeOf(v) != e.Attr {
				return false, wrongType(name, e.Attr, v)
			}
			return has, nil
		}}, get
	case e.Op == OpOptional:
		return c.has(&Expr{Op: OpHas, Name: e.Name, Type: "bool"}), get
	case e.Op == OpCall && e.Name == "[?]" && e.Args[0].Type == "map" && e.Args[1].Type == "string":
		in := &Expr{Op: OpCall, Name: "in", Type: "bool", Args: []*Expr{e.Args[1], e.Args[0]}}
		return c.boolean(in), &Expr{Op: OpCall, Name: "[]", Type: "string", Args: e.Args}
	}
	return value[bool]{}, nil
}
