package analysis

import (
	"math"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/redress-policy/redress/interp"
)

// A machine answers a question about a string, which it reads rune by rune. Its states
// are texts, so that they can be compared; equal states have equal futures.
type machine interface {
	start() string
	next(state string, r rune) string
	holds(state string) bool // the answer if the string ends here
	cuts() []rune            // runes below and from which it may answer differently
}

// machineOf makes a machine of what an atom asks of the one string that it reads, nil
// if it is not understood.
func machineOf(n *interp.Node) machine {
	if n.Op != interp.OpCall || len(n.Args) != 2 {
		return nil
	}
	a, b, name := plain(n.Args[0]), plain(n.Args[1]), n.Name
	if a.Op == interp.OpLiteral {
		a, b, name = b, a, mirrored[name]
	}
	if a.Op == interp.OpCall && a.Name == "size" && len(a.Args) == 1 {
		return sizeMachineOf(name, a.Args[0], b)
	}
	var m machine
	switch literals, ok := textsOf(b); {
	case !ok:
		return nil
	case name == "==" || name == "!=" || name == "in":
		m = oneOf(literals)
	case name == "startsWith":
		m = pattern("^" + regexpQuote(literals[0]))
	case name == "endsWith":
		m = pattern(regexpQuote(literals[0]) + "$")
	case name == "contains":
		m = pattern(regexpQuote(literals[0]))
	case name == "matches":
		m = pattern(literals[0])
	case mirrored[name] != "" && isASCII(literals[0]):
		m = ordering{name, literals[0]}
	}
	if m = through(plain(a), m); m != nil && name == "!=" {
		return negated{m}
	}
	return m
}

// mirrored are the operators whose literal may stand first.
var mirrored = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// textsOf returns the texts that a literal holds: its own, or those of a list.
func textsOf(n *interp.Node) (texts []string, ok bool) {
	switch v := n.Value.(type) {
	case string:
		// What is no UTF-8 reads as U+FFFD in patterns, and is not equal to it.
		return []string{v}, n.Op == interp.OpLiteral && !strings.ContainsRune(v, utf8.RuneError)
	}
	if n.Op != interp.OpList {
		return nil, false
	}
	for _, arg := range n.Args {
		one, ok := textsOf(plain(arg))
		if !ok {
			return nil, false
		}
		texts = append(texts, one...)
	}
	return texts, true
}

// regexpQuote is the pattern of a text.
func regexpQuote(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteString(`\x{` + strconv.FormatInt(int64(r), 16) + `}`)
	}
	return b.String()
}

// through leads the machine over what is done to the string before it is asked; nil if
// that is not understood.
func through(n *interp.Node, m machine) machine {
	switch {
	case m == nil:
		return nil
	case n.Op == interp.OpField || isEntryTest(n) || isReading(n):
		return m
	case n.Op != interp.OpCall:
		return nil
	}
	switch n.Name {
	case "orValue": // of an entry; a string that is no literal is there
		if isEntryTest(plain(n.Args[0])) {
			return m
		}
	case "lowerAscii":
		return through(plain(n.Args[0]), mapped{m, lowerRune})
	case "upperAscii":
		return through(plain(n.Args[0]), mapped{m, upperRune})
	}
	return nil
}

func lowerRune(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

func upperRune(r rune) rune {
	if 'a' <= r && r <= 'z' {
		return r - ('a' - 'A')
	}
	return r
}

type mapped struct {
	machine
	by func(rune) rune
}

func (m mapped) next(state string, r rune) string { return m.machine.next(state, m.by(r)) }

func (m mapped) cuts() []rune {
	cuts := m.machine.cuts()
	for r := 'A'; r <= 'Z'+1; r++ {
		cuts = append(cuts, r, lowerRune(r))
	}
	return append(cuts, 'z'+1)
}

type negated struct{ machine }

func (m negated) holds(state string) bool { return !m.machine.holds(state) }

// oneOf asks whether the string is one of some texts. Its state is what was read, as
// long as one of them begins so.
type oneOf []string

const dead = "\xff" // no text

func (m oneOf) start() string { return "" }

func (m oneOf) next(state string, r rune) string {
	if state == dead {
		return dead
	}
	read := state + string(r)
	if slices.ContainsFunc(m, func(text string) bool { return strings.HasPrefix(text, read) }) {
		return read
	}
	return dead
}

func (m oneOf) holds(state string) bool { return slices.Contains(m, state) }

func (m oneOf) cuts() (cuts []rune) {
	for _, text := range m {
		for _, r := range text {
			cuts = append(cuts, r, r+1)
		}
	}
	return cuts
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// ordering compares with a text. Its state is how much was read that is the same, or how
// the texts differ. The text is ASCII: what is no UTF-8 is above it byte by byte, and so
// is U+FFFD.
type ordering struct{ operator, with string }

func (m ordering) start() string { return "" }

func (m ordering) next(state string, r rune) string {
	switch rest, same := strings.CutPrefix(m.with, state); {
	case !same:
		return state
	case rest == "" || r > rune(rest[0]):
		return "\xff+"
	case r < rune(rest[0]):
		return "\xff-"
	}
	return state + string(r)
}

func (m ordering) holds(state string) bool {
	sign := int64(-1) // what ends early is below
	switch state {
	case m.with:
		sign = 0
	case "\xff+":
		sign = 1
	}
	return apply(m.operator, []any{sign, int64(0)}) == true
}

func (m ordering) cuts() []rune { return oneOf{m.with}.cuts() }

// size compares the number of runes with a number.
type size struct {
	most    int64 // above it all numbers compare alike
	compare func(n int64) bool
}

// maxSize bounds the numbers to which runes are counted.
const maxSize = 1000

func sizeMachineOf(name string, of, with *interp.Node) machine {
	limit, ok := with.Value.(int64)
	if !ok || limit < -maxSize || limit > maxSize {
		return nil
	}
	return through(plain(of), size{most: max(limit, 0) + 1, compare: func(n int64) bool { return apply(name, []any{n, limit}) == true }})
}

func (m size) start() string { return "0" }

func (m size) next(state string, _ rune) string {
	n, _ := strconv.ParseInt(state, 10, 64)
	return strconv.FormatInt(min(n+1, m.most), 10)
}

func (m size) holds(state string) bool {
	n, _ := strconv.ParseInt(state, 10, 64)
	return m.compare(n)
}

func (m size) cuts() []rune { return nil }

// A patternMachine asks whether a regular expression matches somewhere in the string. Its
// states are the places in the program at which reading goes on, behind the rune that
// was read last: of that only the kind matters.
type patternMachine struct{ prog *syntax.Prog }

const matched = "match" // whatever follows

// pattern returns nil if it cannot be made. Patterns that name U+FFFD cannot: what is
// no UTF-8 reads as that.
func pattern(text string) machine {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil
	}
	m := &patternMachine{prog}
	if slices.ContainsFunc(m.cuts(), func(r rune) bool { return r == utf8.RuneError || r == utf8.RuneError+1 }) {
		return nil
	}
	return m
}

func (m *patternMachine) start() string { return m.state(-1, nil) }

func (m *patternMachine) state(last rune, at []uint32) string {
	var b strings.Builder
	b.WriteRune(kindOf(last))
	for _, pc := range at {
		b.WriteRune(rune(pc))
	}
	return b.String()
}

// kindOf returns a rune that stands for all that are like r before an assertion; the
// beginning of the text is 0.
func kindOf(r rune) rune {
	switch {
	case r < 0:
		return 0
	case r == '\n':
		return r
	case syntax.IsWordChar(r):
		return 'a'
	}
	return '-'
}

func (m *patternMachine) parse(state string) (last rune, at []uint32) {
	for i, r := range state {
		switch {
		case i > 0:
			at = append(at, uint32(r))
		case r == 0:
			last = -1
		default:
			last = r
		}
	}
	return last, at
}

func (m *patternMachine) next(state string, r rune) string {
	if state == matched {
		return matched
	}
	last, at := m.parse(state)
	reached, match := m.follow(at, syntax.EmptyOpContext(last, r))
	if match {
		return matched
	}
	var next []uint32
	for _, pc := range reached {
		if inst := &m.prog.Inst[pc]; inst.MatchRune(r) {
			next = append(next, inst.Out)
		}
	}
	slices.Sort(next)
	return m.state(r, slices.Compact(next))
}

func (m *patternMachine) holds(state string) bool {
	if state == matched {
		return true
	}
	last, at := m.parse(state)
	_, match := m.follow(at, syntax.EmptyOpContext(last, -1))
	return match
}

// follow returns the places that read a rune and are reached without reading one, from
// some and from the beginning; or that a match is.
func (m *patternMachine) follow(at []uint32, context syntax.EmptyOp) (reached []uint32, match bool) {
	seen := make([]bool, len(m.prog.Inst))
	todo := append(slices.Clone(at), uint32(m.prog.Start))
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &m.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^context == 0 {
				todo = append(todo, inst.Out)
			}
		case syntax.InstMatch:
			return nil, true
		case syntax.InstFail:
		default:
			reached = append(reached, pc)
		}
	}
	return reached, false
}

func (m *patternMachine) cuts() []rune {
	cuts := []rune{'\n', '\n' + 1, '0', '9' + 1, 'A', 'Z' + 1, '_', '_' + 1, 'a', 'z' + 1}
	for i := range m.prog.Inst {
		switch inst := &m.prog.Inst[i]; inst.Op {
		case syntax.InstRune, syntax.InstRune1:
			if len(inst.Rune) == 1 { // perhaps in either case
				for r, first := inst.Rune[0], true; first || r != inst.Rune[0]; r, first = unicode.SimpleFold(r), false {
					cuts = append(cuts, r, r+1)
				}
			}
			for j := 0; j+1 < len(inst.Rune); j += 2 {
				cuts = append(cuts, inst.Rune[j], inst.Rune[j+1]+1)
			}
		}
	}
	return cuts
}

// A question is a machine and the answer that is wanted.
type question struct {
	machine
	answer bool
}

// maxEffort bounds the runes that machines read in the search for one text, and
// maxEfforts in all searches of a space, so that no policy takes long.
const (
	maxEffort  = 10_000
	maxEfforts = 60_000
)

// textFor looks for a shortest text of which every question is answered as wanted, with
// an effort that it adds to spent. It is proven that there is none if known.
func textFor(questions []question, spent *int) (text string, ok, known bool) {
	limit := min(*spent+maxEffort, maxEfforts)
	if *spent >= limit {
		return "", false, false
	}
	alphabet := alphabetOf(questions)
	type visit struct {
		states []string
		from   int
		by     rune
	}
	first := visit{from: -1}
	for _, q := range questions {
		first.states = append(first.states, q.start())
	}
	visits := []visit{first}
	seen := map[string]bool{strings.Join(first.states, "\xfe"): true}
	for i := 0; i < len(visits); i++ {
		here := visits[i]
		if answered(questions, here.states) {
			var runes []rune
			for at := i; visits[at].from >= 0; at = visits[at].from {
				runes = append(runes, visits[at].by)
			}
			slices.Reverse(runes)
			return string(runes), true, true
		}
		if *spent += len(alphabet) * len(questions); *spent > limit {
			return "", false, false
		}
		for _, r := range alphabet {
			next := visit{states: make([]string, len(questions)), from: i, by: r}
			for j, q := range questions {
				next.states[j] = q.next(here.states[j], r)
			}
			if key := strings.Join(next.states, "\xfe"); !seen[key] {
				seen[key] = true
				visits = append(visits, next)
			}
		}
	}
	return "", false, true
}

func answered(questions []question, states []string) bool {
	for i, q := range questions {
		if q.holds(states[i]) != q.answer {
			return false
		}
	}
	return true
}

// alphabetOf picks one rune of each interval in which no question tells runes apart,
// those that read well first.
func alphabetOf(questions []question) []rune {
	cuts := []rune{0, ' ', 0x7f, 0xd800, 0xe000}
	for _, q := range questions {
		cuts = append(cuts, q.cuts()...)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var alphabet []rune
	for i, low := range cuts {
		high := rune(unicode.MaxRune)
		if i+1 < len(cuts) {
			high = cuts[i+1] - 1
		}
		if low >= 0xd800 && low < 0xe000 || low > unicode.MaxRune {
			continue // no runes of texts
		}
		alphabet = append(alphabet, readable(low, high))
	}
	slices.SortStableFunc(alphabet, func(a, b rune) int { return rank(a) - rank(b) })
	return alphabet
}

func readable(low, high rune) rune {
	for _, r := range "xaXA01_- ." {
		if low <= r && r <= high {
			return r
		}
	}
	if low <= utf8.RuneError && utf8.RuneError <= high && low == utf8.RuneError {
		return min(high, low+1)
	}
	return low
}

// rank orders runes by how well they read.
func rank(r rune) int {
	switch {
	case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
		return 0
	case '0' <= r && r <= '9':
		return 1
	case ' ' < r && r < 0x7f:
		return 2
	case r == ' ' || r > 0xa0 && r < math.MaxInt16:
		return 3
	}
	return 4
}
