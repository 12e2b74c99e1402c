package interp

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/ir"
)

// An Explanation says what a policy makes of one failure or result.
type Explanation struct {
	Policy        string        `json:"policy"`
	Revision      string        `json:"revision"`
	Cause         engine.Cause  `json:"cause"`
	Class         engine.Class  `json:"class"` // empty for a result that no rule recognises: a success
	Rule          string        `json:"rule"`  // that decided; "default" or "marker" if none of the policy's did
	RetryAfter    time.Duration `json:"retry_after_ns"`
	HasRetryAfter bool          `json:"has_retry_after"`
	Selector      string        `json:"select,omitempty"`
	Strategy      string        `json:"strategy"`      // its name, "none" if there is none
	Why           string        `json:"strategy_from"` // where the strategy comes from
	Response      string        `json:"response"`      // what the policy would do, in words
	Rules         []RuleTrace   `json:"rules"`         // tried, in order, up to the one that decided
	Selectors     []RuleTrace   `json:"selectors,omitempty"`

	// Origins says where everything is written in a set of layers, and in others what
	// overrides say.
	Origins []Origin `json:"origins,omitempty"`
}

// A RuleTrace is one rule that was tried.
type RuleTrace struct {
	ID      string      `json:"id"`
	BuiltIn bool        `json:"built_in,omitempty"` // of a built-in pack
	Layer   string      `json:"layer,omitempty"`    // in which it is written, by name
	When    string      `json:"when"`
	Matched bool        `json:"matched"`
	Error   string      `json:"error,omitempty"` // a rule that errs does not match
	Parts   []PartTrace `json:"parts,omitempty"`
}

// A PartTrace is one part of a condition and what it came to.
type PartTrace struct {
	Text  string    `json:"text"`
	Value string    `json:"value"`
	Range dsl.Range `json:"-"` // where it stands; of equal texts the first
}

// StrategyName returns the name of the strategy, "none" if there is none.
func (e *Explanation) StrategyName() string { return e.Strategy }

// RuleErrors counts the rules that erred.
func (e *Explanation) RuleErrors() int {
	n := 0
	for _, list := range [][]RuleTrace{e.Rules, e.Selectors} {
		for _, r := range list {
			if r.Error != "" {
				n++
			}
		}
	}
	return n
}

// Explain has the rules decide as a call would, and keeps what each part of them came
// to. Of in, Class and what follows need not be given.
func (p *Policy) Explain(in *engine.Input, cause engine.Cause) *Explanation {
	e := &Explanation{Policy: p.Name(), Revision: p.revision, Cause: cause, Rule: engine.RuleDefault, Strategy: "none", Origins: p.origins()}
	own := *in
	if cause == engine.CauseResult {
		if !e.classify(p.results, p.classifyResult(), &own) {
			e.Response = "the call succeeds: no rule of classify_result recognises the result"
			return e
		}
	} else {
		e.judge(p, &own)
	}
	own.Class, own.RetryAfter, own.HasRetryAfter = e.Class, e.RetryAfter, e.HasRetryAfter
	own.ClassAttempt = max(own.ClassAttempt, 1)
	e.choose(p, &own)
	spec := p.spec()
	e.respond(spec, &own)
	if spec.Mode != engine.Enforce {
		e.Response = fmt.Sprintf("none, as the mode is %v; enforced, it would %s", spec.Mode, e.Response)
	}
	return e
}

// judge tries the rules on the record and on those of inner calls, then markers, then
// the default, and leaves in with the record that decided.
func (e *Explanation) judge(p *Policy, in *engine.Input) {
	record := in.Failure
	for f := record; f != nil; f = f.Inner {
		in.Failure = f
		if e.classify(p.rules, p.classify(), in) {
			return
		}
	}
	for f := record; f != nil; f = f.Inner {
		if f.Marker != engine.NoClass {
			in.Failure = f
			e.Class, e.Rule = f.Marker, engine.RuleMarker
			e.RetryAfter, e.HasRetryAfter = f.RetryAfter, f.HasRetryAfter
			return
		}
	}
	in.Failure = record
	e.Class = p.spec().DefaultClass
}

// classify asks a list of rules, and reports whether one held.
func (e *Explanation) classify(rules []*rule, list *ir.List, in *engine.Input) bool {
	v := functionsOf(list).Decide(in)
	s := newScene(in)
	for _, r := range rules {
		trace := RuleTrace{ID: r.id, BuiltIn: r.builtIn, Layer: layerOf(r.written), When: r.when.expr.Text, Matched: r.id == v.Rule, Error: errorOf(v.Errors, r.id), Parts: r.when.parts(s)}
		e.Rules = append(e.Rules, trace)
		if trace.Matched {
			e.Class, e.Rule, e.RetryAfter, e.HasRetryAfter = v.Class, v.Rule, v.RetryAfter, v.HasRetryAfter
			return true
		}
	}
	return false
}

// layerOf is the name of the layer in which something is written.
func layerOf(r dsl.Range) string {
	if r.Source == nil {
		return ""
	}
	return r.Source.LayerName
}

// errorOf returns the error of the rule with that id, "" if it has none.
func errorOf(list []engine.RuleError, id string) string {
	for _, e := range list {
		if e.Rule == id {
			return e.Err.Error()
		}
	}
	return ""
}

// parts returns the parts of an expression with what each came to, in the order in
// which they stand: comparisons, calls and fields, but neither literals nor the
// operators that join conditions. Behind a var stand the parts of its definition.
func (p *program) parts(s *scene) []PartTrace {
	traced, err := p.cel.tracing()
	if err != nil {
		return nil
	}
	checked := p.cel.checked.NativeRep()
	s.show(p.attrs)
	_, details, _ := traced.Eval(s)
	if details == nil || details.State() == nil {
		return nil
	}
	spans := newSpans(checked, p.expr.Text)
	type part struct {
		start, end int
		list       []PartTrace
	}
	var found []part
	inLoop := map[int64]bool{} // of loops only the last round is known
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(n ast.Expr) {
		if n.Kind() == ast.ComprehensionKind {
			ast.PreOrderVisit(n.AsComprehension().LoopStep(), ast.NewExprVisitor(func(inner ast.Expr) { inLoop[inner.ID()] = true }))
		}
		start, end, ok := spans.of(n.ID())
		value, known := details.State().Value(n.ID())
		if _, isRecord := value.(*object); !ok || !known || isRecord || inLoop[n.ID()] || !worthShowing(n) {
			return
		}
		list := []PartTrace{{oneLine(string(spans.text[start:end])), valueText(value), p.expr.Place(start, end)}}
		if x := p.variable(n); x != nil {
			list = append(list, x.program.parts(s)...)
		}
		found = append(found, part{start, end, list})
	}))
	slices.SortStableFunc(found, func(a, b part) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	var parts []PartTrace
	for _, f := range found {
		for _, one := range f.list {
			if !slices.ContainsFunc(parts, func(p PartTrace) bool { return p.Text == one.Text && p.Value == one.Value }) {
				parts = append(parts, one)
			}
		}
	}
	return parts
}

// variable returns the var that a node reads, nil if it reads none.
func (p *program) variable(n ast.Expr) *variable { return variableOf(p.vars, n) }

func variableOf(vars map[string]*variable, n ast.Expr) *variable {
	if n.Kind() != ast.SelectKind {
		return nil
	}
	sel := n.AsSelect()
	if operand := sel.Operand(); operand.Kind() != ast.IdentKind || operand.AsIdent() != "vars" {
		return nil
	}
	return vars[sel.FieldName()]
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func worthShowing(n ast.Expr) bool {
	switch n.Kind() {
	case ast.SelectKind, ast.ComprehensionKind:
		return true
	case ast.CallKind:
		name := n.AsCall().FunctionName()
		return name != "_&&_" && name != "_||_" && name != "_?_:_"
	}
	return false
}

func valueText(value ref.Val) string {
	switch v := value.(type) {
	case types.String:
		text := []rune(string(v))
		if len(text) > 80 {
			return fmt.Sprintf("%q...", string(text[:80]))
		}
		return fmt.Sprintf("%q", string(v))
	case *types.Err:
		return "error: " + v.String()
	case types.Duration:
		return v.Duration.String()
	case classValue:
		return engine.Class(v).String()
	case traits.Sizer:
		if v.Size() == types.IntOne {
			return "1 entry"
		}
		return fmt.Sprintf("%v entries", v.Size().Value())
	case *object:
		return "a record"
	case *types.Optional:
		if !v.HasValue() {
			return "nothing"
		}
		return valueText(v.GetValue())
	}
	return fmt.Sprint(value.Value())
}

// choose looks the strategy up: select rules, then that of the class, then the default.
func (e *Explanation) choose(p *Policy, in *engine.Input) {
	spec := p.spec()
	var picked engine.Selection
	if spec.Select != nil {
		picked = spec.Select(in)
	}
	scene := newScene(in)
	for _, s := range p.selectors {
		trace := RuleTrace{ID: s.id, Layer: layerOf(s.written), When: s.when.expr.Text, Matched: s.id == picked.Rule, Error: errorOf(picked.Errors, s.id), Parts: s.when.parts(scene)}
		e.Selectors = append(e.Selectors, trace)
		if trace.Matched {
			e.Selector, e.Strategy, e.Why = s.id, nameOf(picked.Strategy), "retry.select, rule "+s.id
			return
		}
	}
	switch own := spec.Classes[e.Class].Strategy; {
	case own != nil:
		e.Strategy, e.Why = nameOf(own), "retry.classes."+e.Class.String()
	case spec.Strategy == nil:
		e.Why = "the policy writes strategies for other classes and no default"
	case p.doc.Policy.Retry.Strategy == nil:
		e.Strategy, e.Why = nameOf(spec.Strategy), "the default, since the policy writes no strategy"
	default:
		e.Strategy, e.Why = nameOf(spec.Strategy), "retry.strategy"
	}
}

func nameOf(s engine.Strategy) string {
	if s == nil {
		return "none"
	}
	return s.Name()
}

// respond says what the policy would do after this failure, by the class attempt and
// the attempt that in tells.
func (e *Explanation) respond(spec engine.Spec, in *engine.Input) {
	limit := spec.Classes[e.Class].MaxAttempts
	switch {
	case limit > 0 && in.ClassAttempt >= limit:
		e.Response = fmt.Sprintf("stop with MAX_ATTEMPTS_PER_CLASS: %s has max_attempts %d", e.Class, limit)
	case !e.Class.Retryable():
		e.Response = fmt.Sprintf("stop with NON_RETRYABLE_CLASS: %s is never retried", e.Class)
	case e.Class == engine.Unknown && in.ClassAttempt >= spec.MaxUnknownAttempts:
		e.Response = fmt.Sprintf("stop with MAX_UNKNOWN_ATTEMPTS: max_unknown_attempts is %d", spec.MaxUnknownAttempts)
	case !in.Idempotent && in.Failure.Phase != engine.NotSent:
		e.Response = "stop with NOT_IDEMPOTENT: the request may have been sent and must not be sent twice"
	case in.Attempt >= spec.MaxAttempts:
		e.Response = fmt.Sprintf("stop with MAX_ATTEMPTS_GLOBAL: this is attempt %d of %d", in.Attempt, spec.MaxAttempts)
	case e.Strategy == "none":
		e.Response = "stop with NO_STRATEGY: " + e.Why
	case e.Strategy == "stop":
		e.Response = "stop with NON_RETRYABLE_CLASS: the strategy is stop, from " + e.Why
	default:
		e.Response = "retry after a sleep, if deadline, breaker and budget allow"
	}
}

// Print writes the explanation for people.
func (e *Explanation) Print(w io.Writer) {
	what := "failure"
	if e.Cause == engine.CauseResult {
		what = "result"
	}
	fmt.Fprintf(w, "policy %s, revision %s: what it makes of this %s\n", e.Policy, e.Revision, what)
	defer printOrigins(w, e.Origins)
	printTraces(w, e.Rules)
	if e.Class == engine.NoClass {
		fmt.Fprintln(w, e.Response)
		return
	}
	fmt.Fprintf(w, "class %s, by rule %s\n", e.Class, e.Rule)
	if e.HasRetryAfter {
		fmt.Fprintf(w, "the rule's retry_after: %v\n", e.RetryAfter)
	}
	if len(e.Selectors) > 0 {
		fmt.Fprintln(w, "select:")
		printTraces(w, e.Selectors)
	}
	fmt.Fprintf(w, "strategy %s, from %s\n", e.Strategy, e.Why)
	fmt.Fprintf(w, "response: %s\n", e.Response)
}

// printTraces shows the rules that were tried with what their parts came to. Of
// built-in packs it shows what held or erred, and counts the rest.
func printTraces(w io.Writer, traces []RuleTrace) {
	passed := 0
	flush := func() {
		if passed > 0 {
			fmt.Fprintf(w, "  (%d rules of built-in packs that do not hold)\n", passed)
		}
		passed = 0
	}
	for _, t := range traces {
		if t.BuiltIn && !t.Matched && t.Error == "" {
			passed++
			continue
		}
		flush()
		t.print(w)
	}
	flush()
}

func (t RuleTrace) print(w io.Writer) {
	mark, came := " ", "false"
	switch {
	case t.Matched:
		mark, came = ">", "true"
	case t.Error != "":
		came = "error, so it does not match: " + t.Error
	}
	when := oneLine(t.When)
	layer := ""
	if t.Layer != "" {
		layer = ", of layer " + t.Layer
	}
	fmt.Fprintf(w, "%s %s%s: %s = %s\n", mark, t.ID, layer, when, came)
	if t.Matched && t.Error != "" {
		fmt.Fprintf(w, "      %s\n", t.Error)
	}
	for _, part := range t.Parts {
		if part.Text != when {
			fmt.Fprintf(w, "      %s = %s\n", part.Text, part.Value)
		}
	}
}
