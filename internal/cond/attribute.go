package cond

import (
	"fmt"
	"strings"
	"time"

	"github.com/redress-policy/redress/engine"
)

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
