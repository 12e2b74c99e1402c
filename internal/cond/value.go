package cond

import (
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
