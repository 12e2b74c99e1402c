package analysis

import (
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/interp"
)

// A Witness is a failure, and what of the call conditions read, that shows something.
type Witness struct {
	Input  *engine.Input
	fields []witnessField // of the record, in the order of the language
	causes []string
	call   []witnessField // operation, attempt, elapsed, remaining, idempotent, ...
}

type witnessField struct{ name, value string }

// Record writes the record as tests write it: {status: 503, code: RATE}.
func (w *Witness) Record() string { return flow(w.fields) }

// Call returns what else matters, as keys of a test's case: "attempt: 3". It is empty
// if any call will do.
func (w *Witness) Call() []string {
	var lines []string
	for _, f := range w.call {
		lines = append(lines, f.name+": "+f.value)
	}
	return lines
}

// String writes both on one line.
func (w *Witness) String() string {
	text := w.Record()
	if len(w.call) > 0 {
		text += " with " + strings.Join(w.Call(), ", ")
	}
	return text
}

func flow(fields []witnessField) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.name + ": " + f.value
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// witness makes a record of an assignment. What is not assigned does not matter. It
// reports whether it could: of atoms that are not understood it cannot, except by luck.
func (s *space) witness(assigned []int) (*Witness, bool) {
	f := &engine.Failure{Kind: engine.UnknownKind, Phase: engine.PhaseUnknown}
	in := &engine.Input{Failure: f, Attempt: 1, ClassAttempt: 1, Remaining: s.scope.Deadline, Idempotent: true}
	if in.Remaining == 0 {
		in.Remaining = engine.DefaultDeadline
	}
	w := &Witness{Input: in}
	attributes, headers := map[string]string{}, map[string]string{}
	for d, i := range assigned {
		dim := &s.dims[d]
		if i >= 0 && dim.node != nil && dim.node.Op == interp.OpExists && dim.cases[i].free == isTrue {
			w.addCause(s.scope, dim.node.Args[0])
		}
		if i < 0 || dim.parent >= 0 || strings.HasPrefix(dim.base, "free ") {
			continue
		}
		r := dim.cases[i].reading
		if r.value == (other{}) && (r.has || !strings.HasSuffix(dim.base, "]")) {
			made := s.otherText(d, assigned)
			if !made.ok {
				return nil, false
			}
			r.value = made.text
		}
		w.set(dim.base, r, attributes, headers)
	}
	slices.SortStableFunc(w.fields, func(a, b witnessField) int {
		return slices.Index(fieldOrder, a.name) - slices.Index(fieldOrder, b.name)
	})
	if len(headers) > 0 {
		w.fields = append(w.fields, witnessField{"headers", flowMap(headers)})
	}
	if len(w.causes) > 0 {
		w.fields = append(w.fields, witnessField{"causes", "[" + strings.Join(w.causes, ", ") + "]"})
	}
	if len(attributes) > 0 {
		w.fields = append(w.fields, witnessField{"attr", flowMap(attributes)})
	}
	return w, true
}

// addCause adds a cause of which the condition of an exists holds, if it reads nothing
// else and one can be made.
func (w *Witness) addCause(scope Scope, condition *interp.Node) {
	s := newSpace(scope, []*interp.Node{condition})
	for _, dim := range s.dims {
		if !strings.HasPrefix(dim.base, "cause.") {
			return
		}
	}
	s.search(goal{want: s.lower(condition), bits: isTrue, show: func(assigned []int) bool {
		cause, ok := s.witness(assigned)
		if !ok {
			return false
		}
		f := cause.Input.Failure
		w.Input.Failure.Causes = append(w.Input.Failure.Causes, engine.CauseRecord{Type: f.Type, Message: f.Message, Code: f.Code, Kind: f.Kind, Status: f.Status})
		w.causes = append(w.causes, cause.Record())
		return true
	}})
}

var fieldOrder = []string{"status", "code", "kind", "type", "message", "timeout", "retry_after", "phase", "marker"}

func flowMap(m map[string]string) string {
	var fields []witnessField
	for name, value := range m {
		fields = append(fields, witnessField{quote(name), value})
	}
	slices.SortFunc(fields, func(a, b witnessField) int { return strings.Compare(a.name, b.name) })
	return flow(fields)
}

// set puts a reading into the record or the call.
func (w *Witness) set(base string, r reading, attributes, headers map[string]string) {
	f := w.Input.Failure
	field := fieldOf(base)
	if field == base {
		w.setCall(base, r)
		return
	}
	if name, ok := strings.CutPrefix(field, "headers["); ok {
		if name = strings.TrimSuffix(name, "]"); r.has {
			if f.Headers == nil {
				f.Headers = map[string]string{}
			}
			f.Headers[name], headers[name] = r.value.(string), quote(r.value.(string))
		}
		return
	}
	if name, ok := strings.CutPrefix(field, "attr."); ok {
		w.setAttribute(name, r, attributes)
		return
	}
	if !r.has {
		return
	}
	text := spell(r.value)
	switch v := r.value.(type) {
	case int64:
		f.Status = int(v)
	case bool:
		f.Timeout = v
	case time.Duration:
		f.RetryAfter, f.HasRetryAfter = v, true
	case string:
		switch field {
		case "code":
			f.Code = v
		case "kind":
			f.Kind = engine.Kind(v)
		case "message":
			f.Message = v
		case "type":
			f.Type = v
		case "phase":
			f.Phase = engine.Phase(v)
		case "marker":
			f.Marker, _ = engine.ParseClass(v)
		}
	}
	w.fields = append(w.fields, witnessField{field, text})
}

func (w *Witness) setAttribute(name string, r reading, attributes map[string]string) {
	f := w.Input.Failure
	if f.Attributes == nil {
		f.Attributes = map[string]any{}
	}
	if of, key, ok := strings.Cut(strings.TrimSuffix(name, "]"), "["); ok {
		if !r.has {
			return
		}
		m, _ := f.Attributes[of].(map[string]string)
		if m == nil {
			m = map[string]string{}
		}
		m[key] = r.value.(string)
		f.Attributes[of] = m
		quoted := map[string]string{}
		for k, v := range m {
			quoted[k] = quote(v)
		}
		attributes[of] = flowMap(quoted)
		return
	}
	if r.has {
		f.Attributes[name] = r.value
		attributes[name] = spell(r.value)
	}
}

func (w *Witness) setCall(name string, r reading) {
	in := w.Input
	switch v := r.value.(type) {
	case string:
		in.Operation, name = v, "operation"
		if v == "" {
			return
		}
	case int64:
		if name == "class_attempt" {
			in.ClassAttempt = int(v)
		} else if in.Attempt = int(v); v == 1 {
			return
		}
	case bool:
		if in.Idempotent = v; v {
			return
		}
	case engine.Class:
		in.Class = v
	case time.Duration:
		switch name {
		case "elapsed":
			if in.Elapsed = v; v == 0 {
				return
			}
		case "remaining":
			in.Remaining = v
		case "retry_after":
			in.RetryAfter, in.HasRetryAfter = v, v != 0
		}
	}
	w.call = append(w.call, witnessField{name, spell(r.value)})
}

func spell(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case float64:
		switch {
		case math.IsNaN(v):
			return ".nan"
		case math.IsInf(v, 1):
			return ".inf"
		case math.IsInf(v, -1):
			return "-.inf"
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// quote writes a text as YAML has it within braces, in quotes where it needs them.
func quote(s string) string {
	plain := s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
	for _, r := range s {
		if r != '_' && r != '-' && r != '.' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') {
			plain = false
		}
	}
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		plain = false
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// A madeText is what came of the search for a string.
type madeText struct {
	text   string
	ok     bool
	absent bool // proven: no string answers so
}

// textsExist reports whether none of the strings that no literal names is proven not
// to exist, with what is asked of them coming to what was assigned.
func (s *space) textsExist(assigned []int) bool {
	for d := range s.dims {
		if i := assigned[d]; i >= 0 && s.dims[d].cases[i].value == (other{}) && s.otherText(d, assigned).absent {
			return false
		}
	}
	return true
}

// otherText makes a string that no literal names, of which what is asked of it comes
// to what was assigned.
func (s *space) otherText(d int, assigned []int) madeText {
	key := []byte(strconv.Itoa(d))
	var questions []question
	for i := range s.dims {
		if q := &s.dims[i]; q.parent == d && assigned[i] >= 0 {
			key = strconv.AppendInt(append(key, ' '), int64(i*2+assigned[i]), 10)
			if q.reads != nil {
				questions = append(questions, question{q.reads, assigned[i] == 1})
			}
		}
	}
	made, known := s.texts[string(key)]
	if known {
		return made
	}
	if made.text, made.ok = s.likelyText(d, assigned); !made.ok && len(questions) > 0 {
		text, ok, known := textFor(append(questions, question{s.literalsOf(d), false}), &s.spent)
		made = madeText{text, ok && s.fits(text, d, assigned), known && !ok}
	}
	if s.texts == nil {
		s.texts = map[string]madeText{}
	}
	s.texts[string(key)] = made
	return made
}

// literalsOf are the strings that are cases of their own.
func (s *space) literalsOf(d int) oneOf {
	var literals oneOf
	for _, c := range s.dims[d].cases {
		if text, ok := c.value.(string); ok {
			literals = append(literals, text)
		}
	}
	return literals
}

// likelyText tries strings that are made of what is asked, which read better than the
// shortest ones.
func (s *space) likelyText(d int, assigned []int) (string, bool) {
	var start, middle, end []string
	lower, upper := false, false
	for i := range s.dims {
		q := &s.dims[i]
		if q.parent != d || assigned[i] != 1 {
			continue
		}
		lower = lower || strings.Contains(q.pred.subject, "lowerAscii")
		upper = upper || strings.Contains(q.pred.subject, "upperAscii")
		switch q.pred.kind {
		case "startsWith":
			start = append(start, q.pred.text)
		case "endsWith":
			end = append(end, q.pred.text)
		case "contains":
			middle = append(middle, q.pred.text)
		default:
			middle = append(middle, samples(q.node)...)
		}
	}
	longest := func(list []string) string {
		best := ""
		for _, text := range list {
			if len(text) > len(best) {
				best = text
			}
		}
		return best
	}
	for _, filler := range []string{"", "x", "X", "other", "0", " ", "é"} {
		for _, text := range []string{
			longest(start) + filler + strings.Join(middle, filler) + filler + longest(end),
			longest(start) + strings.Join(middle, "") + longest(end) + filler,
			filler + longest(middle) + filler, longest(middle), longest(start), longest(end),
		} {
			if s.fits(text, d, assigned) {
				return text, true
			}
		}
	}
	return "", false
}

// fits reports whether a text is none of the literals and answers every question as
// assigned.
func (s *space) fits(text string, d int, assigned []int) bool {
	for _, c := range s.dims[d].cases {
		if c.value == text {
			return false
		}
	}
	for i := range s.dims {
		if q := &s.dims[i]; q.parent == d && assigned[i] >= 0 {
			v := eval(q.node, func(string) (reading, bool) { return reading{true, text}, true })
			if v != (assigned[i] == 1) {
				return false
			}
		}
	}
	return true
}

// samples returns texts that a pattern may match.
func samples(n *interp.Node) []string {
	if n.Op != interp.OpCall || len(n.Args) != 2 {
		return nil
	}
	text, _ := n.Args[1].Value.(string)
	if n.Name != "matches" {
		return []string{text}
	}
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	return []string{sample(re.Simplify())}
}

// sample writes a text that the expression matches, but for what stands around it.
func sample(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			r := re.Rune[0]
			for i := 0; i+1 < len(re.Rune); i += 2 { // rather something that can be read
				if re.Rune[i] <= 'a' && 'a' <= re.Rune[i+1] {
					r = 'a'
				} else if re.Rune[i] <= '0' && '0' <= re.Rune[i+1] {
					r = '0'
				}
			}
			return string(r)
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "x"
	case syntax.OpConcat, syntax.OpCapture, syntax.OpPlus:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(sample(sub))
		}
		return b.String()
	case syntax.OpAlternate:
		return sample(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sample(re.Sub[0]), re.Min)
	}
	return ""
}
