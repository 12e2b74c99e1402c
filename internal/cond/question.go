package cond

import "github.com/redress-policy/redress/engine"

// A question is what is left of a condition when no single field decides.
type question struct {
	word word // if its text is not empty, the question is whether the message has it
	value[bool]
}

// ask evaluates the question. An error is put to the others as that of the rule.
func (q *question) ask(in *engine.Input, r *Rule, errors *[]engine.RuleError) bool {
	if q.pure != nil {
		return q.pure(in)
	}
	holds, err := q.risky(in)
	if err != nil {
		*errors = appendError(*errors, r.ID, err)
	}
	return holds && err == nil
}

// What is left of a condition that no field decides by itself.
type remainder int

const (
	noPart    remainder = iota // nothing: it is false
	allParts                   // nothing: it is true
	aQuestion                  // a question
)

// residue is what is left of a rule's condition where single fields neither exclude it nor
// are sure of it. Of the parts that "or" joins, those that one field decides are false then,
// for the whole would be sure. Of those that "and" joins they are true, for the whole would
// be excluded. So they are left out; what is left errs as the whole would.
func residue(r *Rule) (remainder, question) {
	whole := question{value: r.When.value}
	if r.Expr == nil {
		return aQuestion, whole
	}
	operator, rest := "||", []*Expr(nil)
	if r.Expr.joins("&&") {
		operator = "&&"
	}
	parts := r.Expr.parts(operator)
	for _, part := range parts {
		if !isDecided(part) {
			rest = append(rest, part)
		}
	}
	switch {
	case len(rest) == 0 && operator == "&&":
		return allParts, question{}
	case len(rest) == 0:
		return noPart, question{}
	case len(rest) == len(parts):
		whole.word = soleWord(r.Expr)
		return aQuestion, whole
	}
	e := joined(operator, rest)
	if e.ReadsVars() { // which the compiler of the list keeps
		return aQuestion, whole
	}
	made, other := NewCompiler().Condition(e)
	if other != nil {
		return aQuestion, whole
	}
	return aQuestion, question{soleWord(e), made.value}
}

func (e *Expr) joins(operator string) bool { return e.Op == OpCall && e.Name == operator }

// parts are the conditions that an operator joins.
func (e *Expr) parts(operator string) (all []*Expr) {
	if !e.joins(operator) {
		return []*Expr{e}
	}
	for _, arg := range e.Args {
		all = append(all, arg.parts(operator)...)
	}
	return all
}

func joined(operator string, parts []*Expr) *Expr {
	if len(parts) == 1 {
		return parts[0]
	}
	return &Expr{Op: OpCall, Name: operator, Type: "bool", Args: parts}
}

// soleWord is the word that a condition looks for in the message, if it does no more.
func soleWord(e *Expr) (w word) {
	if e.joins("contains") && simpleField(e.Args[0]) == "message" && e.Args[1].Op == OpLiteral {
		if text, _ := e.Args[1].Value.(string); text != "" {
			w = newWord(text)
		}
	}
	return w
}
