package cond

import (
	"fmt"

	"github.com/redress-policy/redress/engine"
)

// variable evaluates what a var stands for, once for all rules of the list. Its errors say
// which var it was, and its values are bounded, as estimates of cost go by that. It is
// compiled once, however many read it.
func variable[T any](c *Compiler, e *Expr, compile func(*Expr) value[T], tooLarge func(T) error) value[T] {
	key := varKey{e.Name, e.Args[0]}
	if known, ok := c.vars[key].(value[T]); ok {
		return known
	}
	v := remembered(c, e.Name, compile(e.Args[0]), len(e.Args[0].Args) == 0, tooLarge)
	if c.other == nil {
		c.vars[key] = v
	}
	return v
}

// remembered keeps the value of a var for the rules behind.
func remembered[T any](c *Compiler, name string, v value[T], simple bool, tooLarge func(T) error) value[T] {
	if v.pure != nil && tooLarge == nil && simple {
		return v // a field or a literal is not worth remembering
	}
	c.scratch = true
	slot := c.slots
	c.slots++
	if pure, ok := any(v.pure).(func(*engine.Input) bool); ok && pure != nil && tooLarge == nil && slot < 128 {
		return any(rememberedBool(pure, slot)).(value[T])
	}
	get := v.try()
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
