package engine

// maxChain is how many errors of a chain are looked at.
const maxChain = 128

// A link is one error of a chain.
type link struct {
	err    error
	parent int  // index of the error that wraps it; -1 for the first
	leaf   bool // wraps nothing, or nothing that is looked at
	what   finding
}

// A chain is an error and all that it wraps, depth first, cut after maxChain errors.
// It ends at the error of an inner call: what that wraps has a record of its own.
type chain []link

// recognise finds out what every error of the chain says.
func (c chain) recognise() {
	for i := range c {
		c[i].what = recognise(c[i].err)
	}
}

// walk lists the errors of a chain behind those of c, which is usually empty. Through says
// whether it goes on into what the error of an inner call wraps.
func walk(err error, through bool, c chain) chain {
	if !wraps(err) {
		c = append(c, link{})
		last := &c[len(c)-1]
		last.err, last.parent, last.leaf = err, -1, true
		return c
	}
	return walkAll(err, through, c)
}

func walkAll(err error, through bool, c chain) chain {
	var room [8]wrapped
	todo := append(room[:0], wrapped{err, -1})
	for len(todo) > 0 && len(c) < maxChain {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		at, before := len(c), len(todo)
		if _, ok := next.err.(*Error); !ok || through {
			todo = pushWrapped(todo, next.err, at)
		}
		c = append(c, link{err: next.err, parent: next.by, leaf: len(todo) == before})
	}
	for i := range todo { // wrapped, but cut off
		c[todo[i].by].leaf = true
	}
	return c
}

// A wrapped error, with the index of the one that wraps it; -1 for the first.
type wrapped struct {
	err error
	by  int
}

// pushWrapped pushes what err wraps, the first on top.
func pushWrapped(todo []wrapped, err error, at int) []wrapped {
	many, one := unwrap(err)
	if one != nil {
		return append(todo, wrapped{one, at})
	}
	for i := min(len(many), maxChain) - 1; i >= 0; i-- {
		if many[i] != nil {
			todo = append(todo, wrapped{many[i], at})
		}
	}
	return todo
}

func unwrap(err error) (many []error, one error) {
	defer contain()
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return nil, e.Unwrap()
	case interface{ Unwrap() []error }:
		return e.Unwrap(), nil
	}
	return nil, nil
}

// wraps reports whether err may wrap others: most errors do not.
func wraps(err error) bool {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }:
		return true
	}
	return false
}

// contain, deferred, ends a panic in a method of somebody's error: the function that
// asked then returns its zero results. It cannot help where a method never returns.
func contain() { _ = recover() }

// is reports whether err itself is target, or says so.
func is(err, target error) (yes bool) {
	defer contain()
	if err == target {
		return true
	}
	e, ok := err.(interface{ Is(error) bool })
	return ok && e.Is(target)
}

// anyIs is errors.Is, bounded and with panics contained.
func anyIs(err, target error) bool {
	if !wraps(err) {
		return is(err, target)
	}
	return anyOfAllIs(err, target)
}

func anyOfAllIs(err, target error) bool {
	var room [4]link
	for _, l := range walk(err, true, room[:0]) {
		if is(l.err, target) {
			return true
		}
	}
	return false
}

// finding returns what the most telling error of the chain is, the outermost among
// equals.
func (c chain) finding() finding {
	best := finding{kind: UnknownKind}
	for _, l := range c {
		if l.what.rank > best.rank {
			best = l.what
		}
	}
	return best
}

// Evidence of the phase, in the order in which it counts along one branch.
const (
	noEvidence = iota
	saysUnknown
	saysNotSent
	saysSent
)

func (l link) evidence() int {
	switch {
	case l.what.phase == Sent:
		return saysSent
	case l.what.phase == NotSent || safeToRetry(l.err):
		return saysNotSent
	case l.what.rank > 0:
		return saysUnknown
	}
	return noEvidence
}

// phase is not_sent only if all branches that say anything agree on it.
func (c chain) phase() Phase {
	branch := make([]int, len(c))
	seen := [saysSent + 1]bool{}
	for i, l := range c {
		word, known := phaseKnown(l.err)
		switch p := l.parent; {
		case p >= 0 && c[p].what.settled:
			branch[i], c[i].what.settled = branch[p], true
		case known:
			branch[i], c[i].what.settled = word, true
		case p >= 0:
			branch[i] = max(l.evidence(), branch[p])
		default:
			branch[i] = l.evidence()
		}
		if l.leaf {
			seen[branch[i]] = true
		}
	}
	switch {
	case seen[saysSent]:
		return Sent
	case seen[saysNotSent] && !seen[saysUnknown]:
		return NotSent
	}
	return PhaseUnknown
}

// A phased error knows the phase of the failure that it wraps better than that does: a
// client that watched the connection adds it. Otherwise it says nothing, and rules do
// not see it.
type phased interface{ FailurePhase() Phase }

func phaseKnown(err error) (evidence int, ok bool) {
	defer contain()
	e, ok := err.(phased)
	if !ok {
		return noEvidence, false
	}
	switch e.FailurePhase() {
	case NotSent:
		return saysNotSent, true
	case Sent:
		return saysSent, true
	}
	return saysUnknown, true
}

// safeToRetry asks what pgconn's errors know: true promises that nothing was sent. Of
// "conn closed" it is not believed: pgx (5.12) says so too when the connection is lost
// between a statement of the simple protocol and its answer.
func safeToRetry(err error) (safe bool) {
	defer contain()
	e, ok := err.(interface{ SafeToRetry() bool })
	return ok && e.SafeToRetry() && err.Error() != connClosed
}

const connClosed = "conn closed"

// innerCall returns the error of an inner call of this library, if there is one.
func (c chain) innerCall() (*Error, bool) {
	for i := range c { // without copying links
		if e, ok := c[i].err.(*Error); ok && e != nil {
			return e, true
		}
	}
	return nil, false
}

// phaseKnown returns the phase of the outermost error of the chain that knows it.
func (c chain) phaseKnown() (Phase, bool) {
	for _, l := range c {
		switch evidence, ok := phaseKnown(l.err); {
		case !ok:
		case evidence == saysNotSent:
			return NotSent, true
		case evidence == saysSent:
			return Sent, true
		default:
			return PhaseUnknown, true
		}
	}
	return "", false
}

func (c chain) marker() Class {
	for _, l := range c {
		if m, ok := l.err.(*markedError); ok {
			return m.class
		}
	}
	return NoClass
}

func (c chain) typeName() string {
	for _, l := range c {
		if !shapeOf(l.err).wrapper {
			return typeName(l.err)
		}
	}
	return typeName(c[len(c)-1].err)
}

func (c chain) status() int {
	for i := range c {
		if status := statusOf(c[i].err); status != 0 {
			return status
		}
	}
	return 0
}

func (c chain) timeout() bool {
	for _, l := range c {
		if l.what.timeout || timedOut(l.err) {
			return true
		}
	}
	return false
}

func (c chain) headers() map[string]string {
	for _, l := range c {
		if h := headersOf(l.err); h != nil {
			return h
		}
	}
	return nil
}

func (c chain) causes() []CauseRecord {
	causes := make([]CauseRecord, 0, min(len(c), MaxCauses))
	for _, l := range c {
		if len(causes) == MaxCauses {
			break
		}
		if isMarker(l.err) {
			continue
		}
		causes = append(causes, CauseRecord{
			Type:    typeName(l.err),
			Message: messageOf(l.err),
			Code:    l.what.code,
			Kind:    kindOr(l.what.kind),
			Status:  statusOf(l.err),
		})
	}
	return causes
}

func isMarker(err error) bool {
	switch err.(type) {
	case *markedError, *abortError, phased:
		return true
	}
	return false
}

func kindOr(k Kind) Kind {
	if k == "" {
		return UnknownKind
	}
	return k
}

// messageOf returns the text of err, bounded.
func messageOf(err error) (text string) {
	text = "(its Error method panicked)"
	defer contain()
	return bounded(err.Error(), MaxMessage)
}
