package interp

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/env"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/ext"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/celcheck"
	"github.com/redress-policy/redress/internal/celparse"
)

// Limits of expressions. With sizes of values bounded they bound what evaluating any
// expression can cost. Besides, exists and all cannot stand within each other.
const (
	MaxExpression = 4096    // code points
	MaxDepth      = 32      // nested brackets and calls
	MaxNodes      = 2000    // parts of an expression
	MaxParts      = 10_000  // parts of an expression, those of the vars that it reads counted each time
	MaxRegex      = 1000    // instructions of a compiled regular expression
	MaxCost       = 100_000 // CEL cost units, as estimated for the largest record
)

// Names of the record types in CEL.
const (
	failureType = "redress.Failure"
	resultType  = "redress.Result"
	causeType   = "redress.Cause"
	attrType    = "redress.Attributes"
	varsType    = "redress.Vars"
)

var (
	classType     = cel.OpaqueType("redress.Class")
	failureObject = cel.ObjectType(failureType)
	resultObject  = cel.ObjectType(resultType)
	varsObject    = cel.ObjectType(varsType)
)

// A language is what all policies share: the environment that theirs extend, and the parser
// and the checker of their expressions, since all have its macros, functions and limits.
type language struct {
	env     *cel.Env
	parser  *celparse.Parser
	checker *celcheck.Checker
}

// base is the language. Nothing of CEL is done before the first policy is compiled, which
// makes it; then it never changes.
var base struct {
	once sync.Once
	lang *language
	err  error
}

func sharedLanguage() (*language, error) {
	base.once.Do(func() {
		env, err := makeBaseEnv()
		if err != nil {
			base.err = fmt.Errorf("interp: %w", err)
			return
		}
		base.lang = &language{
			env:     env,
			parser:  celparse.New(env.Macros(), celparse.Limits{Size: MaxExpression, Depth: MaxDepth, Nodes: MaxNodes}),
			checker: celcheck.New(env.Functions(), MaxNodes),
		}
	})
	return base.lang, base.err
}

func makeBaseEnv() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			ExcludeMacros:    []string{"map", "filter"},
			ExcludeFunctions: functions("timestamp", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMonth", "type", "dyn", "bytes"),
		})),
		cel.OptionalTypes(),
		ext.Strings(ext.StringsVersion(0)), // later ones make texts of any size
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(uniformLiterals{cel.ValidateHomogeneousAggregateLiterals()}),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ParserRecursionLimit(MaxDepth),
		cel.ExpressionNodeLimit(MaxNodes),
		cel.EnableMacroCallTracking(),
	}
	for _, name := range slices.Concat(globals, dsl.ClassNames()) {
		opts = append(opts, cel.Variable(name, nameType(name)))
	}
	return cel.NewCustomEnv(opts...)
}

// nameType returns the type of what an expression can name; nil if there is no such name.
func nameType(name string) *cel.Type {
	switch name {
	case "err":
		return failureObject
	case "result":
		return resultObject
	case "vars":
		return varsObject
	case "op":
		return cel.StringType
	case "attempt", "class_attempt":
		return cel.IntType
	case "elapsed", "remaining", "retry_after":
		return cel.DurationType
	case "idempotent":
		return cel.BoolType
	case "class":
		return classType
	}
	if _, ok := engine.ParseClass(name); ok {
		return classType
	}
	return nil
}

// uniformLiterals is CEL's validator of lists and maps that are written out. It walks
// through an expression several times, so it is asked only where there are any.
type uniformLiterals struct{ cel.ASTValidator }

// Validate implements cel.ASTValidator.
func (v uniformLiterals) Validate(env *cel.Env, config cel.ValidatorConfig, checked *ast.AST, issues *cel.Issues) {
	literals := false
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		literals = literals || e.Kind() == ast.ListKind || e.Kind() == ast.MapKind
	}))
	if literals {
		v.ASTValidator.Validate(env, config, checked, issues)
	}
}

func functions(names ...string) []*env.Function {
	var list []*env.Function
	for _, name := range names {
		list = append(list, env.NewFunction(name))
	}
	return list
}

// environment returns cel-go's environment of the policy: the base, with the types of records.
// It is made when it is first asked for, since most expressions need only parser and checker.
func (p *provider) environment() (*cel.Env, error) {
	p.once.Do(func() {
		p.Provider = p.lang.env.CELTypeProvider()
		p.env, p.err = p.lang.env.Extend(cel.CustomTypeProvider(p))
	})
	return p.env, p.err
}

// attributeTypes are the types that attributes can be declared with.
var attributeTypes = map[string]*cel.Type{
	"string":              cel.StringType,
	"int":                 cel.IntType,
	"double":              cel.DoubleType,
	"bool":                cel.BoolType,
	"duration":            cel.DurationType,
	"list(string)":        cel.ListType(cel.StringType),
	"map(string, string)": cel.MapType(cel.StringType, cel.StringType),
}

// zeroOf is what an attribute reads as that the record does not have.
func zeroOf(typeName string) any {
	switch typeName {
	case "int":
		return int64(0)
	case "double":
		return float64(0)
	case "bool":
		return false
	case "duration":
		return time.Duration(0)
	case "list(string)":
		return []string{}
	case "map(string, string)":
		return map[string]string{}
	}
	return ""
}

// A provider tells CEL the record types of one policy or classifier.
type provider struct {
	attributes     map[string]string // name, type as declared
	vars           map[string]*variable
	varNames       []string // in order
	attributeNames []string

	lang           *language
	once           sync.Once
	types.Provider          // guarded by once, as all that follows; of the base environment
	env            *cel.Env // that has these types
	err            error
}

// A recordField is one field of a record.
type recordField struct {
	name  string
	typ   *cel.Type
	known func(*engine.Failure) bool
	get   func(*object) any
}

var failureFields = []recordField{
	{"status", cel.IntType, func(f *engine.Failure) bool { return f.Status != 0 }, func(o *object) any { return types.Int(o.record.Status) }},
	{"code", cel.StringType, func(f *engine.Failure) bool { return f.Code != "" }, func(o *object) any { return types.String(o.record.Code) }},
	{"kind", cel.StringType, func(f *engine.Failure) bool { return kindOf(f.Kind) != "unknown" }, func(o *object) any { return types.String(kindOf(o.record.Kind)) }},
	{"message", cel.StringType, func(f *engine.Failure) bool { return f.Message != "" }, func(o *object) any { return types.String(o.record.Message) }},
	{"type", cel.StringType, func(f *engine.Failure) bool { return f.Type != "" }, func(o *object) any { return types.String(o.record.Type) }},
	{"timeout", cel.BoolType, func(f *engine.Failure) bool { return f.Timeout }, func(o *object) any { return types.Bool(o.record.Timeout) }},
	{"retry_after", cel.DurationType, func(f *engine.Failure) bool { return f.HasRetryAfter }, func(o *object) any { return types.Duration{Duration: o.record.RetryAfter} }},
	{"headers", cel.MapType(cel.StringType, cel.StringType), func(f *engine.Failure) bool { return len(f.Headers) > 0 }, func(o *object) any { return newHeaders(o.record.Headers) }},
	{"phase", cel.StringType, func(f *engine.Failure) bool { return phaseOf(f.Phase) != "unknown" }, func(o *object) any { return types.String(phaseOf(o.record.Phase)) }},
	{"marker", cel.StringType, func(f *engine.Failure) bool { return f.Marker != engine.NoClass }, func(o *object) any { return types.String(o.record.Marker.String()) }},
	{"causes", cel.ListType(cel.ObjectType(causeType)), func(f *engine.Failure) bool { return len(f.Causes) > 0 }, func(o *object) any { return newCauses(o.record.Causes) }},
	{"attr", cel.ObjectType(attrType), func(f *engine.Failure) bool { return true }, func(o *object) any { return &object{attrType, o.record, o.declared} }},
}

// resultFieldNames are those of failureFields that results have.
var resultFieldNames = map[string]bool{"status": true, "code": true, "message": true, "type": true, "headers": true, "retry_after": true, "attr": true}

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

var causeFields = map[string]struct {
	typ *cel.Type
	get func(*engine.CauseRecord) ref.Val
}{
	"type":    {cel.StringType, func(c *engine.CauseRecord) ref.Val { return types.String(c.Type) }},
	"message": {cel.StringType, func(c *engine.CauseRecord) ref.Val { return types.String(c.Message) }},
	"code":    {cel.StringType, func(c *engine.CauseRecord) ref.Val { return types.String(c.Code) }},
	"kind":    {cel.StringType, func(c *engine.CauseRecord) ref.Val { return types.String(kindOf(c.Kind)) }},
	"status":  {cel.IntType, func(c *engine.CauseRecord) ref.Val { return types.Int(c.Status) }},
}

// declares is one text for all that declare the same attributes.
func (p *provider) declares() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p.attributes)) {
		fmt.Fprintf(&b, "%q: %s\n", name, p.attributes[name])
	}
	return b.String()
}

// recordNames are the names of the fields of failures and results.
var recordNames = map[string][]string{failureType: namesIn(failureType), resultType: namesIn(resultType)}

func namesIn(record string) []string {
	var names []string
	for _, f := range failureFields {
		if record == failureType || resultFieldNames[f.name] {
			names = append(names, f.name)
		}
	}
	return names
}

var causeNames = []string{"type", "message", "code", "kind", "status"}

// fieldNames lists the fields of a record type in their documented order; nil for
// types that are not ours. The list is not the caller's.
func (p *provider) fieldNames(typeName string) []string {
	switch typeName {
	case failureType, resultType:
		return recordNames[typeName]
	case causeType:
		return causeNames
	case attrType:
		return p.attributeNames
	case varsType:
		return p.varNames
	}
	return nil
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	switch name {
	case failureType, resultType, causeType, attrType, varsType:
		return types.NewTypeTypeWithParam(types.NewObjectType(name)), true
	}
	return p.Provider.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	if names := p.fieldNames(name); names != nil {
		return names, true
	}
	return p.Provider.FindStructFieldNames(name)
}

// Variable implements celcheck.Names.
func (p *provider) Variable(name string) *types.Type { return nameType(name) }

// Field implements celcheck.Names.
func (p *provider) Field(record, name string) *types.Type {
	switch record {
	case failureType, resultType:
		if f := recordFieldOf(record, name); f != nil {
			return f.typ
		}
	case causeType:
		return causeFields[name].typ
	case attrType:
		return attributeTypes[p.attributes[name]]
	case varsType:
		if v := p.vars[name]; v != nil {
			return v.typ
		}
	}
	return nil
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(typeName, field string) (*types.FieldType, bool) {
	switch typeName {
	case failureType, resultType:
		return recordFieldType(typeName, field)
	case causeType:
		c, ok := causeFields[field]
		if !ok {
			return nil, false
		}
		cause := func(target any) *engine.CauseRecord { return target.(*causeValue).record }
		return &types.FieldType{
			Type:    c.typ,
			IsSet:   func(target any) bool { return c.get(cause(target)) != c.get(&engine.CauseRecord{}) },
			GetFrom: func(target any) (any, error) { return c.get(cause(target)), nil },
		}, true
	case attrType:
		return p.attributeFieldType(field)
	case varsType:
		v, ok := p.vars[field]
		if !ok || v.typ == nil {
			return nil, false
		}
		return &types.FieldType{
			Type:    v.typ,
			IsSet:   func(any) bool { return true },
			GetFrom: func(target any) (any, error) { return target.(*varsValue).get(v) },
		}, true
	}
	return p.Provider.FindStructFieldType(typeName, field)
}

func recordFieldOf(typeName, field string) *recordField {
	for i := range failureFields {
		if f := &failureFields[i]; f.name == field && (typeName == failureType || resultFieldNames[field]) {
			return f
		}
	}
	return nil
}

func recordFieldType(typeName, field string) (*types.FieldType, bool) {
	f := recordFieldOf(typeName, field)
	if f == nil {
		return nil, false
	}
	return &types.FieldType{
		Type:    f.typ,
		IsSet:   func(target any) bool { return f.known(target.(*object).record) },
		GetFrom: func(target any) (any, error) { return f.get(target.(*object)), nil },
	}, true
}

func (p *provider) attributeFieldType(field string) (*types.FieldType, bool) {
	declared, ok := p.attributes[field]
	if !ok {
		return nil, false
	}
	return &types.FieldType{
		Type: attributeTypes[declared],
		IsSet: func(target any) bool {
			_, has := target.(*object).record.Attributes[field]
			return has
		},
		GetFrom: func(target any) (any, error) { return attributeOf(target.(*object).record, field, declared) },
	}, true
}
