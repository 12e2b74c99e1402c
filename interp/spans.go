package interp

import "github.com/google/cel-go/common/ast"

// spans tells where each part of an expression stands, in code points.
type spans struct {
	text []rune
	info *ast.SourceInfo
	root ast.Expr
	by   [][2]int // by id; of those that have no place, the end is 0
}

func newSpans(parsed *ast.AST, text string) *spans {
	s := &spans{text: []rune(text), info: parsed.SourceInfo(), root: parsed.Expr()}
	s.by = make([][2]int, len(s.info.OffsetRanges())+1) // nearly always enough
	s.measure(s.root)
	for _, call := range s.info.MacroCalls() {
		s.measure(call)
	}
	return s
}

// of returns the span of a node; ok is false for nodes that have no place.
func (s *spans) of(id int64) (start, end int, ok bool) {
	if id < 0 || id >= int64(len(s.by)) {
		return 0, 0, false
	}
	span := s.by[id]
	return span[0], span[1], span[1] > 0
}

// measure finds the span of a node: from the first to the last character of it and of
// its parts, widened to the bracket or quote that ends it.
func (s *spans) measure(e ast.Expr) (start, end int) {
	start, end = -1, -1
	include := func(from, to int) {
		if from < 0 {
			return
		}
		if start < 0 || from < start {
			start = from
		}
		end = max(end, to)
	}
	if at, ok := s.info.GetOffsetRange(e.ID()); ok && int(at.Start) <= len(s.text) {
		from := s.callee(int(at.Start))
		include(from, s.token(from, int(at.Stop)))
	}
	closing := rune(0)
	switch e.Kind() {
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			include(s.measure(call.Target()))
		}
		for _, arg := range call.Args() {
			include(s.measure(arg))
		}
		switch name := call.FunctionName(); {
		case name == "_[_]" || name == "_[?_]":
			closing = ']'
		case name[0] != '_' && name[0] != '!' && name[0] != '-' && name[0] != '@':
			closing = ')'
		}
	case ast.SelectKind:
		sel := e.AsSelect()
		include(s.measure(sel.Operand()))
		if end >= 0 {
			end = s.identifierEnd(end)
		}
		if sel.IsTestOnly() { // has(x.y)
			closing = ')'
		}
	case ast.ListKind:
		for _, item := range e.AsList().Elements() {
			include(s.measure(item))
		}
		closing = ']'
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			include(s.measure(entry.AsMapEntry().Key()))
			include(s.measure(entry.AsMapEntry().Value()))
		}
		closing = '}'
	case ast.UnspecifiedExprKind: // a macro among the arguments of another
		if call, ok := s.info.GetMacroCall(e.ID()); ok {
			include(s.measure(call))
		}
	case ast.ComprehensionKind:
		if call, ok := s.info.GetMacroCall(e.ID()); ok {
			include(s.measure(call))
		} else {
			c := e.AsComprehension()
			include(s.measure(c.IterRange()))
		}
		s.measureQuietly(e)
	}
	if closing != 0 && start >= 0 {
		end = s.closedBy(end, closing)
	}
	if start >= 0 {
		s.place(e.ID(), start, min(end, len(s.text)))
	}
	return start, end
}

func (s *spans) place(id int64, start, end int) {
	if more := id + 1 - int64(len(s.by)); more > 0 {
		s.by = append(s.by, make([][2]int, more)...)
	}
	s.by[id] = [2]int{start, end}
}

// measureQuietly gives the parts of a comprehension places without widening it.
func (s *spans) measureQuietly(e ast.Expr) {
	c := e.AsComprehension()
	s.measure(c.IterRange())
	s.measure(c.LoopStep())
}

// callee moves from the bracket of a call to the function's name before it.
func (s *spans) callee(at int) int {
	if at >= len(s.text) || s.text[at] != '(' {
		return at
	}
	name := at
	for name > 0 && (s.text[name-1] == ' ' || s.text[name-1] == '\n') {
		name--
	}
	for name > 0 && isWord(s.text[name-1]) {
		name--
	}
	if isWord(s.text[name]) {
		return name
	}
	return at
}

// token returns the end of the token that begins at from.
func (s *spans) token(from, stop int) int {
	if from >= len(s.text) {
		return from
	}
	if isWord(s.text[from]) {
		end := from
		for end < len(s.text) && isWord(s.text[end]) {
			end++
		}
		if end < len(s.text) && (s.text[end] == '"' || s.text[end] == '\'') && stop > end {
			return stop
		}
		return max(end, stop)
	}
	return max(from+1, stop)
}

// identifierEnd returns the end of the field name behind the dot near at.
func (s *spans) identifierEnd(at int) int {
	for at < len(s.text) && (s.text[at] == '.' || s.text[at] == '?' || s.text[at] == ' ' || s.text[at] == '\n') {
		at++
	}
	for at < len(s.text) && (isWord(s.text[at]) || s.text[at] == '`') {
		at++
	}
	return at
}

// closedBy returns the place behind the closing bracket that follows at, if only
// blanks, commas and brackets stand between.
func (s *spans) closedBy(at int, closing rune) int {
	for i := at; i < len(s.text); i++ {
		switch r := s.text[i]; {
		case r == closing:
			return i + 1
		case r != ' ' && r != '\n' && r != '\t' && r != ',' && r != ')':
			return at
		}
	}
	return at
}

func isWord(r rune) bool {
	return r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
