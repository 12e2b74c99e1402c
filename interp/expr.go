package interp

import (
	"fmt"
	"math"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/celcheck"
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
	typ   *cel.Type
	cel   *celExpr
	vars  map[string]*variable // that it may read
	attrs map[string]string    // declared types of the attributes that it may read
	size  int                  // of a var's definition: its parts, those of vars counted each time that they are read

	first *program // of the same expression in other places; nil if it is this one

	root     *Node             // what Go functions are made of
	checked  *celcheck.Checked // guarded by treeOnce: what root was made of, until that is complete
	treeOnce sync.Once         // which completes root

	loweredOnce sync.Once
	loweredRoot *cond.Expr // guarded by loweredOnce; of the first, unless it reads vars
}

// eval runs the program; errors are values of type *types.Err.
func (p *program) eval(s *scene) ref.Val {
	s.show(p.attrs)
	run, err := p.cel.program()
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
	lang     *language
	later    map[string]dsl.Range // vars that are declared but not compiled yet
	failed   map[string]bool      // vars that are wrong and were reported
	untyped  map[string]bool      // attributes that are
	found    dsl.Diagnostics
	known    *knownPrograms // that compilers share; nil if nothing of this one is for others
	declares string         // attributes and their types: what a program must agree in to be shared
}

func newCompiler(attributes []dsl.Attribute, vars []dsl.Var) (*compiler, error) {
	lang, err := sharedLanguage()
	if err != nil {
		return nil, err
	}
	p := &provider{lang: lang, attributes: map[string]string{}, vars: map[string]*variable{}}
	untyped := map[string]bool{}
	for _, a := range attributes {
		if !a.Name.Set || attributeTypes[a.Type.V] == nil {
			untyped[a.Name.V] = true
			continue
		}
		p.attributes[a.Name.V] = a.Type.V
		p.attributeNames = append(p.attributeNames, a.Name.V)
	}
	c := &compiler{provider: p, lang: lang, later: map[string]dsl.Range{}, failed: map[string]bool{}, untyped: untyped}
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
	s := &scope{compiler: c, expr: e, site: at, variable: x, cel: &celExpr{text: e.Text, provider: c.provider}}
	defer func() {
		if recover() != nil { // of the CEL library, which has panicked on odd input before
			s.report(s.whole(), dsl.CodeInvalidExpr, "write it in another way, and please report it", "the expression cannot be compiled")
			p = nil
		}
	}()
	if !s.parse() {
		return nil
	}
	s.walk(s.parsed.Expr(), nil)
	checked, ok := s.check()
	if !ok {
		return nil
	}
	if s.inspectMembers(checked); len(s.said) > 0 {
		return nil
	}
	typ := checked.TypeOf(checked.Expr())
	if w != nil && !typ.IsExactType(w.typ) {
		s.report(s.whole(), dsl.CodeWrongExprType, w.help, "%s is %s, and this is %s", w.what, w.text, typeWords(typ))
		return nil
	}
	parts := 0
	if x != nil || mayReadVars(e.Text) { // else nobody asks, and MaxNodes is less than MaxParts
		parts = s.parts(checked)
	}
	if parts > MaxParts {
		s.report(s.whole(), dsl.CodeCost, "divide it into rules, or read vars less often", "the expression has %d parts, those of vars counted each time that they are read; the limit is %d", parts, MaxParts)
		return nil
	}
	tree := s.tree(checked)
	if !s.plan(checked, tree) {
		return nil
	}
	p = &program{expr: e, typ: typ, cel: s.cel, vars: s.provider.vars, attrs: s.provider.attributes, size: parts, root: tree, checked: checked}
	if len(s.said) == 0 && len(c.found) == before {
		c.known.keep(key, p)
	}
	return p
}

// parts counts the parts of an expression, those of vars each time that they are read:
// whoever walks through a tree does as many steps.
func (s *scope) parts(checked *celcheck.Checked) int {
	n := 0
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if checked.TypeOf(e) != nil { // and it is not the name before the dot of optional.of
			n++
		}
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
	return &program{expr: e, typ: p.typ, cel: p.cel, vars: p.vars, attrs: p.attrs, size: p.size, first: p}
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
	cel      *celExpr
	parsed   *ast.AST
	measured *spans      // of parsed; made when they are first asked for
	said     []dsl.Range // where something is wrong, be it that it was said elsewhere
}

// spans tells where the parts of the expression stand.
func (s *scope) spans() *spans {
	if s.measured == nil {
		s.measured = newSpans(s.parsed, s.expr.Text)
	}
	return s.measured
}

func (s *scope) report(at dsl.Range, code dsl.Code, help, format string, args ...any) {
	s.said = append(s.said, at)
	s.found = append(s.found, dsl.Diagnostic{Range: at, Code: code, Message: fmt.Sprintf(format, args...), Help: help})
}

func (s *scope) whole() dsl.Range { return s.expr.Place(0, len([]rune(s.expr.Text))) }

// parse reads the expression's text.
func (s *scope) parse() bool {
	if n := len([]rune(s.expr.Text)); n > MaxExpression {
		s.report(s.whole(), dsl.CodeCost, "divide it into vars or rules", "the expression has %d characters; the limit is %d", n, MaxExpression)
		return false
	}
	var ok bool
	if s.parsed, ok = s.lang.parser.Tree(s.expr.Text); ok {
		return true
	}
	parsed, issues := s.cel.parse() // in most cases it is wrong, and cel-go knows how
	if issues.Err() != nil {
		s.syntaxError(issues)
		return false
	}
	s.parsed = parsed.NativeRep()
	return true
}

// check finds the types of the expression and, if it is right so far, holds it against the
// limit of costs.
func (s *scope) check() (*celcheck.Checked, bool) {
	cost := costOf
	checked, ok := s.lang.checker.Check(s.parsed, s.provider)
	if !ok { // as above
		if checked, ok = s.checkByCEL(); !ok {
			return nil, false
		}
		cost = s.cel.cost
	}
	if len(s.said) > 0 {
		return checked, true
	}
	if most := cost(checked); most > MaxCost {
		s.report(s.whole(), dsl.CodeCost, "compare codes and statuses, or make the regular expression simpler", "the expression can cost %s units; the limit is %d", costText(most), MaxCost)
		return nil, false
	}
	return checked, true
}

// checkByCEL has cel-go find the types, or what is wrong.
func (s *scope) checkByCEL() (*celcheck.Checked, bool) {
	parsed, issues := s.cel.parse()
	if issues.Err() == nil {
		s.parsed, s.measured = parsed.NativeRep(), newSpans(parsed.NativeRep(), s.expr.Text) // before it is changed
		issues = s.cel.check(parsed)
	}
	if issues.Err() != nil {
		s.typeError(issues)
		return nil, false
	}
	return celcheck.Of(s.cel.checked.NativeRep()), true
}

func costText(cost uint64) string {
	if cost == math.MaxUint64 {
		return "any number of"
	}
	return fmt.Sprint(cost)
}

// plan reports whether cel-go can run the checked expression. If that is not known, it is
// planned now, and so it is if there are parts that are known to cel-go alone.
func (s *scope) plan(checked *celcheck.Checked, tree *Node) bool {
	if s.cel.checked == nil && canBePlanned(checked) && !tree.has(OpOther) {
		return true
	}
	if _, err := s.cel.program(); err != nil {
		s.report(s.whole(), dsl.CodeInvalidExpr, "", "the expression cannot be evaluated")
		return false
	}
	return true
}

// canBePlanned reports whether it is known that cel-go can plan a checked expression of
// which walk found no fault. Of what it prepares then, patterns and durations that are
// written out are known to be right; other conversions of literals may fail, and so may what
// is made of maps.
func canBePlanned(checked *celcheck.Checked) bool {
	can := true
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.MapKind, ast.StructKind:
			can = false
		case ast.CallKind:
			can = can && (!overloads.IsTypeConversionFunction(e.AsCall().FunctionName()) || convertsSafely(e.AsCall()))
		}
	}))
	return can
}

func convertsSafely(call ast.CallExpr) bool {
	if len(call.Args()) != 1 {
		return false
	}
	switch call.Args()[0].Kind() {
	case ast.IdentKind, ast.SelectKind: // what they are is known only when it runs
		return true
	case ast.LiteralKind:
		return call.FunctionName() == overloads.TypeConvertDuration
	}
	return false
}
