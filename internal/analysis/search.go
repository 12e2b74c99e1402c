package analysis

import (
	"slices"

	"github.com/redress-policy/redress/interp"
)

// A condition is a rule's condition over the cases of a space.
type condition struct {
	op    conditionOp
	args  []*condition
	dim   int       // of atoms
	table []outcome // of atoms: what it comes to in each case of dim
	pred  int       // of atoms that ask something of a string: the dimension that answers for other strings, else -1
	all   outcome   // of atoms: what it can come to at all
}

type conditionOp uint8

const (
	atomOp conditionOp = iota
	constOp
	andOp
	orOp
	notOp
	condOp
	sameOp
)

// eval returns what the condition can come to under a partial assignment of cases.
func (c *condition) eval(assigned []int) outcome {
	switch c.op {
	case constOp:
		return c.all
	case atomOp:
		i := assigned[c.dim]
		if i < 0 {
			return c.all
		}
		if o := c.table[i]; o != 0 {
			return o
		}
		if j := assigned[c.pred]; j >= 0 {
			return [...]outcome{isFalse, isTrue}[j]
		}
		return isTrue | isFalse
	case notOp:
		return not(c.args[0].eval(assigned))
	case andOp:
		o := isTrue
		for _, arg := range c.args {
			if o = and(o, arg.eval(assigned)); o == isFalse {
				break
			}
		}
		return o
	case orOp:
		o := isFalse
		for _, arg := range c.args {
			if o = not(and(not(o), not(arg.eval(assigned)))); o == isTrue {
				break
			}
		}
		return o
	case condOp:
		test := c.args[0].eval(assigned)
		o := test & isError
		if test&isTrue != 0 {
			o |= c.args[1].eval(assigned)
		}
		if test&isFalse != 0 {
			o |= c.args[2].eval(assigned)
		}
		return o
	}
	a, b := c.args[0].eval(assigned), c.args[1].eval(assigned)
	o := (a | b) & isError
	if a&isTrue != 0 && b&isTrue != 0 || a&isFalse != 0 && b&isFalse != 0 {
		o |= isTrue
	}
	if a&isTrue != 0 && b&isFalse != 0 || a&isFalse != 0 && b&isTrue != 0 {
		o |= isFalse
	}
	return o
}

func not(o outcome) outcome {
	return o&isError | (o&isTrue)<<1 | (o&isFalse)>>1
}

// and is CEL's: what is false absorbs errors.
func and(a, b outcome) outcome { return ands[a][b] }

var ands = func() (table [8][8]outcome) {
	one := func(x, y outcome) outcome {
		switch {
		case x == isFalse || y == isFalse:
			return isFalse
		case x == isError || y == isError:
			return isError
		}
		return isTrue
	}
	for a := range outcome(8) {
		for b := range outcome(8) {
			for _, x := range []outcome{isTrue, isFalse, isError} {
				for _, y := range []outcome{isTrue, isFalse, isError} {
					if a&x != 0 && b&y != 0 {
						table[a][b] |= one(x, y)
					}
				}
			}
		}
	}
	return table
}()

// lower turns a condition into one over the cases of the space, to which it adds
// dimensions for what it does not understand.
func (s *space) lower(n *interp.Node) *condition {
	switch {
	case n.Op == interp.OpLiteral:
		return &condition{op: constOp, all: truthOf(n.Value)}
	case n.Op == interp.OpVar && n.Type == "bool":
		return s.lower(n.Args[0])
	case !isLogic(n):
		return s.atom(n)
	}
	c := &condition{}
	for _, arg := range n.Args {
		c.args = append(c.args, s.lower(arg))
	}
	switch n.Name {
	case "&&":
		c.op = andOp
	case "||":
		c.op = orOp
	case "!":
		c.op = notOp
	case "?:":
		c.op = condOp
	case "==":
		c.op = sameOp
	case "!=":
		c.op = sameOp
		c = &condition{op: notOp, args: []*condition{c}}
	}
	return c
}

func truthOf(v any) outcome {
	switch v := v.(type) {
	case bool:
		if v {
			return isTrue
		}
		return isFalse
	case errs:
		return isError
	}
	return 0
}

// atom lowers an atom, equal ones once.
func (s *space) atom(n *interp.Node) *condition {
	c := s.atoms[n.Key]
	if c == nil {
		c = s.newAtom(n)
		s.atoms[n.Key] = c
	}
	return c
}

// newAtom finds out what an atom comes to in each case of the field that it reads.
func (s *space) newAtom(n *interp.Node) *condition {
	if n.Op == interp.OpExists && Constant(s.scope, n.Args[0]) == AlwaysFalse {
		return &condition{op: constOp, all: isFalse}
	}
	bases := basesOf(n)
	if len(bases) == 0 {
		if v := truthOf(eval(n, func(string) (reading, bool) { return reading{}, false })); v != 0 {
			return &condition{op: constOp, all: v}
		}
	}
	if len(bases) != 1 || !s.divided(n, bases[0]) {
		return s.free(n)
	}
	at := s.index[bases[0]]
	c := &condition{op: atomOp, dim: at, pred: -1, table: make([]outcome, len(s.dims[at].cases))}
	answer := answering(n)
	for i, one := range s.dims[at].cases {
		switch o := truthOf(answer(one.reading)); {
		case o != 0:
			c.table[i], c.all = o, c.all|o
		case one.value == (other{}) && !mayErr(n):
			c.pred = s.predicate(n, at)
			c.all |= isTrue | isFalse
		default:
			return s.free(n)
		}
	}
	s.register(c)
	return c
}

// answering prepares to evaluate an atom for each reading of the field that it reads. The
// literals with which a field is compared are evaluated once.
func answering(n *interp.Node) func(reading) any {
	if isComparison(n) && len(n.Args) == 2 && !isEntryTest(n) {
		unread := func(string) (reading, bool) { return reading{}, false }
		switch a, b := plain(n.Args[0]), plain(n.Args[1]); {
		case a.Op == interp.OpField:
			with := eval(b, unread)
			return func(r reading) any { return apply(n.Name, []any{r.value, with}) }
		case b.Op == interp.OpField:
			with := eval(a, unread)
			return func(r reading) any { return apply(n.Name, []any{with, r.value}) }
		}
	}
	return func(r reading) any {
		return eval(n, func(string) (reading, bool) { return r, true })
	}
}

// register notes the table of an atom, by which cases are told apart.
func (s *space) register(c *condition) {
	d := &s.dims[c.dim]
	d.tables, d.groups = append(d.tables, c.table), nil
}

// divided reports whether the atom comes to one thing in each case of the field: whether
// the cases are its values, or the literals of the atom are among those by which they
// were made.
func (s *space) divided(n *interp.Node, base string) bool {
	at, known := s.index[base]
	if !known {
		return false
	}
	cases := s.dims[at].cases
	switch {
	case isFinite(base):
		return true
	case fieldOf(base) == "status" && len(cases) == 1+maxStatus-minStatus+1:
		return true
	case (base == "attempt" || base == "class_attempt") && s.scope.MaxAttempts > 0 && len(cases) == s.scope.MaxAttempts:
		return true
	}
	if _, own := s.atoms[n.Key]; !own {
		return false
	}
	isText := cases[len(cases)-1].value == (other{})
	return isText && !computes(n) || isComparison(n) || n.Op == interp.OpHas || n.Op == interp.OpField || isEntryTest(n)
}

// computes reports whether the atom makes a text of literals, which no case is for.
func computes(n *interp.Node) bool {
	if n.Op == interp.OpCall && n.Name != "==" && n.Name != "!=" && len(basesOf(n)) == 0 {
		return true
	}
	return slices.ContainsFunc(n.Args, computes)
}

func isEntryTest(n *interp.Node) bool {
	_, ok := entryOf(n)
	return ok
}

// isComparison recognises a number compared with literals: the field alone on one
// side, perhaps read as an optional.
func isComparison(n *interp.Node) bool {
	if n.Op != interp.OpCall {
		return false
	}
	switch n.Name {
	case "hasValue":
		return n.Args[0].Op == interp.OpOptional
	case "==", "!=", "<", "<=", ">", ">=", "in":
	default:
		return false
	}
	a, b := plain(n.Args[0]), plain(n.Args[1])
	return isReading(a) && isConstant(b) || isConstant(a) && isReading(b)
}

// plain sees through vars.
func plain(n *interp.Node) *interp.Node {
	for n.Op == interp.OpVar {
		n = n.Args[0]
	}
	return n
}

func isReading(n *interp.Node) bool {
	return n.Op == interp.OpField || n.Op == interp.OpCall && n.Name == "orValue" && plain(n.Args[0]).Op == interp.OpOptional && isConstant(n.Args[1])
}

func isConstant(n *interp.Node) bool {
	n = plain(n)
	return n.Op == interp.OpLiteral || n.Op == interp.OpList && !slices.ContainsFunc(n.Args, func(arg *interp.Node) bool { return !isConstant(arg) })
}

// predicate returns the dimension that says what an atom comes to for strings that
// no literal names.
func (s *space) predicate(n *interp.Node, parent int) int {
	i := len(s.dims)
	s.dims = append(s.dims, dimension{
		base: n.Key, parent: parent, pred: predicateOf(n), node: n, reads: machineOf(n),
		cases: []caseOf{{free: isFalse}, {free: isTrue}}, tables: [][]outcome{{isFalse, isTrue}},
	})
	return i
}

// free is an atom of which nothing is known but its text.
func (s *space) free(n *interp.Node) *condition {
	d := dimension{base: "free " + n.Key, parent: -1, node: n, cases: []caseOf{{free: isFalse}, {free: isTrue}}}
	if mayErr(n) {
		d.cases = append(d.cases, caseOf{free: isError})
	}
	c := &condition{op: atomOp, dim: len(s.dims), pred: -1}
	s.dims = append(s.dims, d)
	for _, one := range d.cases {
		c.table = append(c.table, one.free)
		c.all |= one.free
	}
	s.register(c)
	return c
}

// safeCalls are the functions that never err on values of their types.
var safeCalls = []string{"==", "!=", "<", "<=", ">", ">=", "in", "startsWith", "endsWith", "contains", "lowerAscii", "upperAscii", "trim",
	"size", "orValue", "hasValue", "&&", "||", "!", "?:", "[?]"}

// mayErr reports whether evaluating can err, for all that is known.
func mayErr(n *interp.Node) bool {
	switch n.Op {
	case interp.OpOther:
		return true
	case interp.OpCall:
		safe := slices.Contains(safeCalls, n.Name) || n.Name == "matches" && len(n.Args) == 2 && n.Args[1].Op == interp.OpLiteral
		return !safe || slices.ContainsFunc(n.Args, mayErr)
	}
	return slices.ContainsFunc(n.Args, mayErr)
}

// maxSteps bounds a search. Beyond it nothing is said.
const maxSteps = 100_000

// A goal is what a search looks for.
type goal struct {
	want   *condition
	bits   outcome      // that want shall come to, all of them decided: isTrue, isError, isFalse|isError
	except []*condition // that shall not be true
	also   []*condition // that accept looks at
	accept func(assigned []int) verdict
	show   func(assigned []int) bool // whether a failure can be made of it; may be nil
}

type verdict uint8

const (
	open verdict = iota // not decided yet
	yes
	no
)

// maxShown bounds the assignments that are tried as failures: of atoms that are not
// understood some answers may be impossible.
const maxShown = 64

// search looks for an assignment of cases that reaches the goal and of which a failure
// can be made. exhausted is false if the search gave up before it found anything, so that
// nothing is known.
func (s *space) search(g goal) (found, exhausted bool) {
	r := s.idle
	if s.idle = nil; r == nil {
		r = &run{space: s}
	}
	defer func() { s.idle = r }()
	r.begin(g)
	if g.want.eval(r.assigned)&g.bits == 0 {
		return false, true
	}
	r.order = r.dimensions()
	r.descend(0, g.except)
	return r.found > 0, r.found > 0 || r.steps <= maxSteps
}

// A run is one search. Its memory serves the next.
type run struct {
	*space
	goal
	assigned []int // a case to each dimension, -1 without
	order    []int
	excepted []*condition // a stack: of those of except what is not decided yet
	steps    int
	found    int
}

func (r *run) begin(g goal) {
	r.goal, r.steps, r.found = g, 0, 0
	r.assigned, r.order, r.excepted = r.assigned[:0], r.order[:0], r.excepted[:0]
	for range r.dims {
		r.assigned = append(r.assigned, -1)
	}
}

// dimensions orders what the goal reads: first what is wanted reads.
func (r *run) dimensions() []int {
	order := r.want.dimensions(r.order)
	for _, c := range r.except {
		order = c.dimensions(order)
	}
	for _, c := range r.also {
		order = c.dimensions(order)
	}
	return order
}

// dimensions adds those that the condition reads and that are not there yet.
func (c *condition) dimensions(order []int) []int {
	if c.op == atomOp && !slices.Contains(order, c.dim) {
		order = append(order, c.dim)
	}
	if c.op == atomOp && c.pred >= 0 && !slices.Contains(order, c.pred) {
		order = append(order, c.pred)
	}
	for _, arg := range c.args {
		order = arg.dimensions(order)
	}
	return order
}

// descend assigns cases to the dimensions from depth on, and reports whether the search
// is over. except are those of the goal's that are not false already.
func (r *run) descend(depth int, except []*condition) bool {
	if r.steps++; r.steps > maxSteps {
		return false
	}
	o := r.want.eval(r.assigned)
	if o&r.bits == 0 {
		return false
	}
	decided := o&^r.bits == 0
	bottom := len(r.excepted)
	for _, c := range except {
		switch o := c.eval(r.assigned); {
		case o == isTrue:
			return false
		case o&isTrue != 0:
			r.excepted = append(r.excepted, c)
		}
	}
	left := r.excepted[bottom:]
	decided = decided && len(left) == 0
	if r.accept != nil {
		switch r.accept(r.assigned) {
		case no:
			return false
		case open:
			decided = false
		}
	}
	if decided && !r.textsExist(r.assigned) {
		return false
	}
	if decided {
		r.found++
		return r.show == nil || r.show(r.assigned) || r.found >= maxShown && r.stop()
	}
	for depth < len(r.order) && !r.applies(r.order[depth]) {
		depth++
	}
	if depth == len(r.order) {
		return false
	}
	d, top := r.order[depth], len(r.excepted)
	for _, i := range r.groups(d) {
		if r.assigned[d] = i; r.consistent(d) && r.descend(depth+1, left) {
			return true
		}
		r.excepted = r.excepted[:top]
		if r.steps > maxSteps {
			break
		}
	}
	r.assigned[d] = -1
	return false
}

// stop ends the search without success.
func (r *run) stop() bool {
	r.steps = maxSteps
	return false
}

// applies reports whether a dimension matters: a question about other strings does
// only if the string is one of those.
func (r *run) applies(d int) bool {
	p := r.dims[d].parent
	return p < 0 || r.assigned[p] >= 0 && r.dims[p].cases[r.assigned[p]].value == (other{})
}

// groups returns the cases of a dimension, of those in which every atom comes to the
// same only the first.
func (s *space) groups(at int) []int {
	d := &s.dims[at]
	if d.groups != nil {
		return d.groups
	}
	seen := map[string]bool{}
	signature := make([]byte, 0, len(d.tables)+1)
	for i := range d.cases {
		signature = signature[:0]
		for _, table := range d.tables {
			signature = append(signature, byte(table[i]))
		}
		if d.cases[i].value == (other{}) {
			signature = append(signature, 'o')
		}
		if !seen[string(signature)] {
			seen[string(signature)] = true
			d.groups = append(d.groups, i)
		}
	}
	return d.groups
}

// consistent reports whether what was assigned to a question about a string agrees
// with the answers to other questions about it.
func (r *run) consistent(d int) bool {
	mine := &r.dims[d]
	switch {
	case mine.node != nil && mine.node.Op == interp.OpExists:
		return r.consistentExists(d)
	case mine.parent < 0:
		return true
	}
	holds := r.assigned[d] == 1
	if mine.pred.kind != "" && mine.pred.text == "" && !holds {
		return false
	}
	for i := range r.dims {
		theirs := &r.dims[i]
		if i == d || theirs.parent != mine.parent || r.assigned[i] < 0 {
			continue
		}
		other := r.assigned[i] == 1
		switch {
		case holds && !other && mine.pred.implies(theirs.pred),
			other && !holds && theirs.pred.implies(mine.pred),
			holds && other && mine.pred.excludes(theirs.pred):
			return false
		}
	}
	return true
}

// consistentExists reports whether the answer to whether a cause of some sort exists
// agrees with the answers about other sorts: one of a narrower sort is one of a wider.
func (r *run) consistentExists(d int) bool {
	for i := range r.dims {
		if theirs := r.dims[i].node; i == d || r.assigned[i] < 0 || theirs == nil || theirs.Op != interp.OpExists || theirs.Name != r.dims[d].node.Name {
			continue
		}
		mine, other := r.dims[d].cases[r.assigned[d]].free, r.dims[i].cases[r.assigned[i]].free
		if mine == isTrue && other != isTrue && r.existsImplies(d, i) || other == isTrue && mine != isTrue && r.existsImplies(i, d) {
			return false
		}
	}
	return true
}

// existsImplies reports whether it is proven that each cause of which the condition of
// the exists at d holds is one of which that at e does.
func (s *space) existsImplies(d, e int) bool {
	key := [2]int{d, e}
	implies, known := s.implied[key]
	if !known {
		narrow, wide := s.dims[d].node.Args[0], s.dims[e].node.Args[0]
		causes := newSpace(s.scope, []*interp.Node{narrow, wide})
		implies = causes.never(goal{want: causes.lower(narrow), bits: isTrue, except: []*condition{causes.lower(wide)}})
		if s.implied == nil {
			s.implied = map[[2]int]bool{}
		}
		s.implied[key] = implies
	}
	return implies
}
