package interp

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	celop "github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/celparse"
	"github.com/redress-policy/redress/internal/cond"
)

// A site is where an expression stands; it decides what the expression can see.
type site uint8

const (
	inClassify site = iota
	inResult
	inSelect
	inVars
)

var siteNames = [...]string{"classify", "classify_result", "select", "vars"}

// hidden lists the names that are not to be seen at a site.
var hidden = [...][]string{
	inClassify: {"result", "class", "class_attempt", "retry_after"},
	inResult:   {"err", "class", "class_attempt", "retry_after"},
	inSelect:   {"result"},
	inVars:     nil,
}

// A program is a compiled expression. It is safe for use by many goroutines.
type program struct {
	expr  dsl.Expr
	ast   *cel.Ast
	typ   *cel.Type
	run   func() (cel.Program, error) // planned when it is first asked for: Go functions mostly take its place
	trace func() (cel.Program, error) // evaluates everything, and remembers it; made when first asked for
	vars  map[string]*variable        // that it may read
	attrs map[string]string           // declared types of the attributes that it may read
	size  int                         // that it has, those of vars counted each time that they are read

	first *program // of the same expression in other places; nil if it is this one

	treeOnce sync.Once
	treeRoot *Node // guarded by treeOnce

	loweredOnce sync.Once
	loweredRoot *cond.Expr // guarded by loweredOnce; of the first, unless it reads vars
}

// eval runs the program; errors are values of type *types.Err.
func (p *program) eval(s *scene) ref.Val {
	s.show(p.attrs)
	run, err := p.run()
	if err != nil {
		return types.WrapErr(err)
	}
	value, _, err := run.Eval(s)
	if err != nil {
		return types.WrapErr(err)
	}
	return value
}

// A variable is one entry of vars.
type variable struct {
	name    string
	typ     *cel.Type // nil while it is not compiled, or if it could not be
	program *program
	reads   map[string]bool // names of the environment that it reads, through other vars too
	rng     dsl.Range
}

// A compiler compiles the expressions of one policy or classifier.
type compiler struct {
	provider *provider
	env      *cel.Env
	parser   *celparse.Parser
	later    map[string]dsl.Range // vars that are declared but not compiled yet
	failed   map[string]bool      // vars that are wrong and were reported
	untyped  map[string]bool      // attributes that are
	found    dsl.Diagnostics
	known    *knownPrograms // that compilers share; nil if nothing of this one is for others
	declares string         // attributes and their types: what a program must agree in to be shared
}

func newCompiler(attributes []dsl.Attribute, vars []dsl.Var) (*compiler, error) {
	p := &provider{attributes: map[string]string{}, vars: map[string]*variable{}}
	untyped := map[string]bool{}
	for _, a := range attributes {
		if !a.Name.Set || attributeTypes[a.Type.V] == nil {
			untyped[a.Name.V] = true
			continue
		}
		p.attributes[a.Name.V] = a.Type.V
		p.attributeNames = append(p.attributeNames, a.Name.V)
	}
	env, parser, err := newEnv(p)
	if err != nil {
		return nil, fmt.Errorf("interp: %w", err)
	}
	c := &compiler{provider: p, env: env, parser: parser, later: map[string]dsl.Range{}, failed: map[string]bool{}, untyped: untyped}
	for _, v := range vars {
		if v.Name.Set {
			c.later[v.Name.V] = v.Name.Range
		}
	}
	for _, v := range vars {
		c.variable(v)
	}
	return c, nil
}

// variable compiles one var, which then can be read by those behind it.
func (c *compiler) variable(v dsl.Var) {
	if !v.Name.Set {
		return
	}
	name := v.Name.V
	x := &variable{name: name, reads: map[string]bool{}, rng: v.Name.Range}
	if v.Expr.Set {
		x.program = c.compile(v.Expr, inVars, nil, x)
	}
	delete(c.later, name)
	if x.program == nil {
		c.failed[name] = true
		return
	}
	x.typ = x.program.typ
	c.provider.vars[name] = x
	c.provider.varNames = append(c.provider.varNames, name)
}

// A want is the type that an expression must have, with words for messages.
type want struct {
	typ  *cel.Type
	what string // "when"
	text string // "true or false"
	help string
}

var (
	wantBool     = &want{cel.BoolType, "when", "a condition that is true or false", `compare it with something, as in err.status == 429`}
	wantDuration = &want{cel.DurationType, "retry_after", "a duration", `write duration("5s") or err.retry_after`}
)

// compile checks and plans an expression; nil if it is wrong, which is then reported.
// x is the var that the expression defines, nil elsewhere.
func (c *compiler) compile(e dsl.Expr, at site, w *want, x *variable) (p *program) {
	key := programKey{c.declares, e.Text, at, w}
	if known := c.known.find(key); known != nil {
		return known.at(e)
	}
	before := len(c.found)
	s := &scope{compiler: c, expr: e, site: at, variable: x}
	defer func() {
		if recover() != nil { // of the CEL library, which has panicked on odd input before
			s.report(s.whole(), dsl.CodeInvalidExpr, "write it in another way, and please report it", "the expression cannot be compiled")
			p = nil
		}
	}()
	parsed, ok := s.parse()
	if !ok {
		return nil
	}
	s.walk(parsed.NativeRep().Expr(), nil)
	checked, ok := s.check(parsed)
	if !ok {
		return nil
	}
	if s.inspectMembers(checked); len(s.said) > 0 {
		return nil
	}
	if w != nil && !checked.OutputType().IsExactType(w.typ) {
		s.report(s.whole(), dsl.CodeWrongExprType, w.help, "%s is %s, and this is %s", w.what, w.text, typeWords(checked.OutputType()))
		return nil
	}
	parts := s.parts(checked)
	if parts > MaxParts {
		s.report(s.whole(), dsl.CodeCost, "divide it into rules, or read vars less often", "the expression has %d parts, those of vars counted each time that they are read; the limit is %d", parts, MaxParts)
		return nil
	}
	if p = s.plan(checked); p != nil {
		p.size = parts
	}
	if len(s.said) == 0 && len(c.found) == before {
		c.known.keep(key, p)
	}
	return p
}

// parts counts the parts of an expression, those of vars each time that they are read:
// whoever walks through a tree does as many steps.
func (s *scope) parts(checked *cel.Ast) int {
	n := 0
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		n++
		if x := variableOf(s.provider.vars, e); x != nil {
			n += x.program.size
		}
	}))
	return n
}

// KnownPrograms are expressions that were compiled for one policy and are the same for
// others: for all that declare the same attributes, if they read no vars, which are each
// policy's own. It is safe for use by many goroutines, and nil knows nothing.
type knownPrograms struct {
	mu       sync.Mutex
	programs map[programKey]*program
}

type programKey struct {
	declares string
	text     string
	site     site
	want     *want
}

// mayReadVars reports whether the name vars stands in the text, be it in quotes.
func mayReadVars(text string) bool { return strings.Contains(text, "vars") }

// maxKnown bounds what is remembered: sets are large, and their parts are let go. Of a
// set few expressions recur, and where none does, that should not cost memory.
const maxKnown = 256

func (k *knownPrograms) find(key programKey) *program {
	if k == nil || mayReadVars(key.text) {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.programs[key]
}

func (k *knownPrograms) keep(key programKey, p *program) {
	if k == nil || p == nil || mayReadVars(key.text) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.programs == nil || len(k.programs) >= maxKnown {
		k.programs = map[programKey]*program{}
	}
	k.programs[key] = p
}

// at is the program of the same expression in another place.
func (p *program) at(e dsl.Expr) *program {
	return &program{expr: e, ast: p.ast, typ: p.typ, run: p.run, trace: p.trace, vars: p.vars, attrs: p.attrs, size: p.size, first: p}
}

// plainEnv is the environment of policies and classifiers without attributes and vars.
var plainEnv = sync.OnceValues(func() (*compiler, error) { return newCompiler(nil, nil) })

// expressions returns the compiler for a document's expressions.
func (c *setCompiler) expressions(attributes []dsl.Attribute, vars []dsl.Var) (*compiler, error) {
	var own compiler
	if len(attributes)+len(vars) > 0 {
		made, err := newCompiler(attributes, vars)
		if err != nil {
			return nil, err
		}
		own = *made
	} else {
		plain, err := plainEnv()
		if err != nil {
			return nil, err
		}
		own = *plain
	}
	if c.shared != nil && len(own.untyped) == 0 { // built-in packs are compiled once anyway
		own.known, own.declares = &c.shared.known, own.provider.declares()
	}
	return &own, nil
}

// A scope is one expression while it is compiled.
type scope struct {
	*compiler
	expr     dsl.Expr
	site     site
	variable *variable // that the expression defines, nil elsewhere
	spans    *spans
	said     []dsl.Range // where something is wrong, be it that it was said elsewhere
}

func (s *scope) report(at dsl.Range, code dsl.Code, help, format string, args ...any) {
	s.said = append(s.said, at)
	s.found = append(s.found, dsl.Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
}

func (s *scope) whole() dsl.Range { return s.expr.Place(0, len([]rune(s.expr.Text))) }

// parse reads the expression's text.
func (s *scope) parse() (*cel.Ast, bool) {
	if n := len([]rune(s.expr.Text)); n > MaxExpression {
		s.report(s.whole(), dsl.CodeCost, "divide it into vars or rules", "the expression has %d characters; the limit is %d", n, MaxExpression)
		return nil, false
	}
	parsed, ok := s.parser.Parse(s.expr.Text)
	if !ok { // in most cases it is wrong, and cel-go knows how
		var issues *cel.Issues
		if parsed, issues = s.env.Parse(s.expr.Text); issues.Err() != nil {
			s.syntaxError(issues)
			return nil, false
		}
	}
	s.spans = newSpans(parsed, s.expr.Text)
	return parsed, true
}

// check type-checks the expression and, if it is right so far, holds it against the
// limit of costs.
func (s *scope) check(parsed *cel.Ast) (*cel.Ast, bool) {
	checked, issues := s.env.Check(parsed)
	if issues.Err() != nil {
		s.typeError(issues)
		return nil, false
	}
	if len(s.said) > 0 {
		return checked, true
	}
	cost, err := s.env.EstimateCost(checked, sizes{})
	if err != nil {
		s.report(s.whole(), dsl.CodeInvalidExpr, "", "the cost of the expression cannot be told")
		return nil, false
	}
	if cost.Max > MaxCost {
		s.report(s.whole(), dsl.CodeCost, "compare codes and statuses, or make the regular expression simpler", "the expression can cost %s units; the limit is %d", costText(cost.Max), MaxCost)
		return nil, false
	}
	return checked, true
}

func costText(cost uint64) string {
	if cost == math.MaxUint64 {
		return "any number of"
	}
	return fmt.Sprint(cost)
}

// plan makes the checked expression runnable.
func (s *scope) plan(checked *cel.Ast) *program {
	env := s.env // and nothing else of the scope is kept
	run := sync.OnceValues(func() (cel.Program, error) { return env.Program(checked, cel.EvalOptions(cel.OptOptimize)) })
	if !canBePlanned(checked) {
		if _, err := run(); err != nil {
			s.report(s.whole(), dsl.CodeInvalidExpr, "", "the expression cannot be evaluated")
			return nil
		}
	}
	return &program{
		expr: s.expr, ast: checked, typ: checked.OutputType(), run: run, vars: s.provider.vars, attrs: s.provider.attributes,
		trace: sync.OnceValues(func() (cel.Program, error) {
			return env.Program(checked, cel.EvalOptions(cel.OptTrackState, cel.OptExhaustiveEval))
		}),
	}
}

// canBePlanned reports whether it is known that cel-go can plan a checked expression: it
// can if there is nothing in it that is prepared when it is planned, such as regular
// expressions and conversions of literals, which may fail.
func canBePlanned(checked *cel.Ast) bool {
	can := true
	ast.PreOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.LiteralKind, ast.IdentKind, ast.SelectKind, ast.ListKind:
		case ast.CallKind:
			can = can && plainFunctions[e.AsCall().FunctionName()]
		default:
			can = false
		}
	}))
	return can
}

// plainFunctions are those of which nothing is prepared.
var plainFunctions = map[string]bool{
	celop.LogicalAnd: true, celop.LogicalOr: true, celop.LogicalNot: true, celop.Equals: true, celop.NotEquals: true,
	celop.Less: true, celop.LessEquals: true, celop.Greater: true, celop.GreaterEquals: true, celop.In: true,
	"startsWith": true, "endsWith": true, "contains": true,
}

// Sizes that estimates of cost go by. The engine bounds messages, codes, headers and
// causes, vars are bounded when they are read, and attributes are taken to be no
// larger than messages.
const (
	maxText    = engine.MaxMessage // bytes
	maxEntries = 1024              // of a list or map
)

// sizes bounds values for the estimate of costs.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	limit := uint64(maxText)
	switch kind := node.Type().Kind(); {
	case path[len(path)-1] == "causes":
		limit = engine.MaxCauses
	case path[len(path)-1] == "headers":
		limit = engine.MaxHeaders
	case kind == types.ListKind || kind == types.MapKind:
		limit = maxEntries
	}
	return &checker.SizeEstimate{Min: 0, Max: limit}
}

// EstimateCallCost implements checker.CostEstimator: it knows the functions of texts,
// which CEL does not. All of them read their target once.
func (sizes) EstimateCallCost(function, _ string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target == nil || !slices.Contains([]string{"lowerAscii", "upperAscii", "trim", "substring", "charAt", "split", "replace", "indexOf", "lastIndexOf"}, function) {
		return nil
	}
	result := sizeOf(*target)
	switch {
	case function == "replace" && len(args) >= 2: // each character at most by the whole replacement, and one more in front
		result = result.Add(checker.SizeEstimate{Max: 1}).Multiply(sizeOf(args[1]).Add(checker.SizeEstimate{Max: 1}))
	case function == "split":
		result = result.Add(checker.SizeEstimate{Max: 1})
	}
	cost := result.MultiplyByCostFactor(0.1).Add(checker.CostEstimate{Min: 1, Max: 1})
	return &checker.CallEstimate{CostEstimate: cost, ResultSize: &result}
}

// sizeOf returns the size of a value; without better knowledge that of the longest
// text.
func sizeOf(node checker.AstNode) checker.SizeEstimate {
	if size := node.ComputedSize(); size != nil {
		return checker.SizeEstimate{Max: size.Max}
	}
	if size := (sizes{}).EstimateSize(node); size != nil {
		return *size
	}
	return checker.SizeEstimate{Max: maxText}
}
