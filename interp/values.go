package interp

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/interpreter"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// An object is a record as a CEL value; its fields are read when an expression asks.
type object struct {
	typeName string
	record   *engine.Failure
	declared map[string]string // types of the attributes that the expression knows
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) { return notNative(o.typeName, t) }
func (o *object) ConvertToType(t ref.Type) ref.Val            { return noConversion(o.typeName, t) }
func (o *object) Equal(other ref.Val) ref.Val {
	same, ok := other.(*object)
	return types.Bool(ok && same.typeName == o.typeName && same.record == o.record)
}

// Get and IsSet are how CEL reads err.?field.

// Get implements traits.Indexer.
func (o *object) Get(field ref.Val) ref.Val {
	name, _ := field.(types.String)
	if o.typeName == attrType {
		value, err := attributeOf(o.record, string(name), o.declared[string(name)])
		if err != nil {
			return types.WrapErr(err)
		}
		return types.DefaultTypeAdapter.NativeToValue(value)
	}
	for _, f := range failureFields {
		if f.name == string(name) {
			return types.DefaultTypeAdapter.NativeToValue(f.get(o))
		}
	}
	return types.NewErr("no such field: %v", name)
}

// IsSet implements traits.FieldTester.
func (o *object) IsSet(field ref.Val) ref.Val {
	name, _ := field.(types.String)
	if o.typeName == attrType {
		_, has := o.record.Attributes[string(name)]
		return types.Bool(has)
	}
	for _, f := range failureFields {
		if f.name == string(name) {
			return types.Bool(f.known(o.record))
		}
	}
	return types.False
}
func (o *object) Type() ref.Type { return types.NewObjectType(o.typeName) }
func (o *object) Value() any     { return o }

func notNative(name string, t reflect.Type) (any, error) {
	return nil, fmt.Errorf("%s cannot become %v", name, t)
}

func noConversion(name string, t ref.Type) ref.Val {
	return types.NewErr("%s cannot become %s", name, t.TypeName())
}

// A causeValue is one error of a chain.
type causeValue struct{ record *engine.CauseRecord }

func (c *causeValue) ConvertToNative(t reflect.Type) (any, error) { return notNative(causeType, t) }
func (c *causeValue) ConvertToType(t ref.Type) ref.Val            { return noConversion(causeType, t) }
func (c *causeValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(*causeValue)
	return types.Bool(ok && *o.record == *c.record)
}
func (c *causeValue) Type() ref.Type { return types.NewObjectType(causeType) }
func (c *causeValue) Value() any     { return c }

func newCauses(causes []engine.CauseRecord) ref.Val {
	values := make([]ref.Val, len(causes))
	for i := range causes {
		values[i] = &causeValue{&causes[i]}
	}
	return types.NewRefValList(types.DefaultTypeAdapter, values)
}

// A headers value looks names up without regard to case; the record's keys are in
// lower case.
type headers struct{ traits.Mapper }

func newHeaders(m map[string]string) ref.Val {
	return &headers{types.NewStringStringMap(types.DefaultTypeAdapter, m)}
}

func lower(key ref.Val) ref.Val {
	if s, ok := key.(types.String); ok {
		return types.String(strings.ToLower(string(s)))
	}
	return key
}

func (h *headers) Contains(key ref.Val) ref.Val     { return h.Mapper.Contains(lower(key)) }
func (h *headers) Find(key ref.Val) (ref.Val, bool) { return h.Mapper.Find(lower(key)) }
func (h *headers) Get(key ref.Val) ref.Val          { return h.Mapper.Get(lower(key)) }

// A classValue is a class as CEL sees it: of a type of its own, equal only to itself.
type classValue engine.Class

func (c classValue) ConvertToNative(t reflect.Type) (any, error) { return notNative("class", t) }
func (c classValue) ConvertToType(t ref.Type) ref.Val            { return noConversion("class", t) }
func (c classValue) Equal(other ref.Val) ref.Val {
	o, ok := other.(classValue)
	return types.Bool(ok && o == c)
}
func (c classValue) Type() ref.Type { return classType }
func (c classValue) Value() any     { return engine.Class(c) }

// classConstants are the class names as variables.
var classConstants = func() map[string]ref.Val {
	m := map[string]ref.Val{}
	for _, c := range engine.Classes() {
		m[c.String()] = classValue(c)
	}
	return m
}()

// attributeOf reads an attribute as it was declared. A value of another type, from an
// extractor, is an error of the expression.
func attributeOf(f *engine.Failure, name, declared string) (any, error) {
	value, ok := f.Attributes[name]
	if !ok {
		value = zeroOf(declared)
	}
	if cond.TypeOf(value) != declared {
		return nil, fmt.Errorf("attribute %s is declared %s and is %s", name, declared, cond.TypeOf(value))
	}
	if d, ok := value.(time.Duration); ok {
		return types.Duration{Duration: d}, nil
	}
	return value, nil
}

// A scene is what one evaluation can see: an activation that computes names when
// they are asked for.
type scene struct {
	in          *engine.Input
	err, result object
	vars        varsValue
}

func newScene(in *engine.Input) *scene {
	in.Failure.Need(engine.ReadAll)
	s := &scene{in: in, err: object{failureType, in.Failure, nil}, result: object{resultType, in.Failure, nil}}
	s.vars.scene = s
	return s
}

// show prepares the scene for expressions that know these attributes.
func (s *scene) show(declared map[string]string) {
	s.err.declared, s.result.declared = declared, declared
}

// ResolveName implements interpreter.Activation.
func (s *scene) ResolveName(name string) (any, bool) {
	switch name {
	case "err":
		return &s.err, true
	case "result":
		return &s.result, true
	case "vars":
		return &s.vars, true
	case "op":
		return types.String(s.in.Operation), true
	case "attempt":
		return types.Int(s.in.Attempt), true
	case "elapsed":
		return types.Duration{Duration: s.in.Elapsed}, true
	case "remaining":
		return types.Duration{Duration: s.in.Remaining}, true
	case "idempotent":
		return types.Bool(s.in.Idempotent), true
	case "class":
		return classValue(s.in.Class), true
	case "class_attempt":
		return types.Int(s.in.ClassAttempt), true
	case "retry_after":
		return types.Duration{Duration: s.in.RetryAfter}, true
	}
	c, ok := classConstants[name]
	return c, ok
}

// Parent implements interpreter.Activation.
func (s *scene) Parent() interpreter.Activation { return nil }

// A varsValue computes vars when they are first asked for and remembers them for
// the scene.
type varsValue struct {
	scene *scene
	known map[*variable]ref.Val
}

func (v *varsValue) ConvertToNative(t reflect.Type) (any, error) { return notNative(varsType, t) }
func (v *varsValue) ConvertToType(t ref.Type) ref.Val            { return noConversion(varsType, t) }
func (v *varsValue) Equal(other ref.Val) ref.Val                 { return types.Bool(other == ref.Val(v)) }
func (v *varsValue) Type() ref.Type                              { return types.NewObjectType(varsType) }
func (v *varsValue) Value() any                                  { return v }

func (v *varsValue) get(x *variable) (any, error) {
	value, ok := v.known[x]
	if !ok {
		value = bounded(x.program.eval(v.scene))
		if v.known == nil {
			v.known = map[*variable]ref.Val{}
		}
		v.known[x] = value
	}
	if e, ok := value.(*types.Err); ok {
		return nil, fmt.Errorf("vars.%s: %w", x.name, e.Unwrap())
	}
	return value, nil
}

// bounded refuses values larger than what estimates of cost go by.
func bounded(value ref.Val) ref.Val {
	switch v := value.(type) {
	case types.String:
		if len(v) > maxText {
			return types.NewErr("its text is longer than %d bytes", maxText)
		}
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok && n > maxEntries {
			return types.NewErr("it has more than %d entries", maxEntries)
		}
	}
	return value
}
