package ir

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// The format of bundles is told in docs/bundles.md, which must be changed with it.

// Version is the newest version of the format. A change that older programs would misread
// or refuse needs a new one. Encode writes the oldest that can say what the set says, so
// that older programs read what they can.
const Version = 2

// The versions that differ from those before.
const withFallback = 2 // the policies are followed by the number of the fallback policy

// magic begins every bundle. Its last bytes show that nobody took it for a text.
const magic = "rbundle\x1a"

// header is the length of what stands before the payload: the magic, the version, the
// payload's length and its digest.
const header = len(magic) + 4 + 8 + sha256.Size

// MaxSize bounds bundles, in bytes.
const MaxSize = 16 << 20

// Encode writes a set as a bundle. Equal sets give equal bytes. It is an error if a rule
// needs CEL, and if the set breaks a limit of Decode.
func Encode(set *Set) ([]byte, error) {
	e := &encoder{
		strings: table[string]{}, nodes: table[string]{}, rules: table[string]{},
		node: map[*cond.Expr]uint64{}, rule: map[*Rule]uint64{}, breakers: table[*Breaker]{}, budgets: table[*Budget]{},
	}
	var policies buffer
	policies.count(len(set.Policies))
	for _, p := range set.Policies {
		e.policy(&policies, p)
	}
	version := uint32(1)
	if set.FallbackPolicy != "" {
		version = withFallback
		i := slices.IndexFunc(set.Policies, func(p *Policy) bool { return p.Name == set.FallbackPolicy })
		if i < 0 {
			return nil, fmt.Errorf("the fallback policy %q is not in the set", set.FallbackPolicy)
		}
		policies.count(i)
	}
	payload := e.join(policies)
	if len(payload) > MaxSize-header {
		return nil, fmt.Errorf("the bundle would have more than %d MiB", MaxSize>>20)
	}
	bundle := buffer(magic)
	bundle = binary.BigEndian.AppendUint32(bundle, version)
	bundle = binary.BigEndian.AppendUint64(bundle, uint64(len(payload)))
	sum := sha256.Sum256(payload)
	bundle = append(append(bundle, sum[:]...), payload...)
	decoded, err := Decode(bundle)
	if err != nil {
		return nil, fmt.Errorf("the policies do not fit into a bundle: %w", err)
	}
	return bundle, decoded.Set.compile()
}

// compile makes functions of all rules.
func (s *Set) compile() error {
	var wrong []error
	for _, p := range s.Policies {
		for _, list := range p.Lists() {
			if _, err := list.Compile(); err != nil {
				wrong = append(wrong, fmt.Errorf("policy %q: %w", p.Name, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// Lists are classify, classify_result and select.
func (p *Policy) Lists() []*List { return []*List{p.Classify, p.ClassifyResult, p.Select} }

// An encoder collects what policies refer to by number, in the order in which they do.
type encoder struct {
	strings, nodes, rules table[string] // the last two by their bytes

	node map[*cond.Expr]uint64 // numbers of expressions that were met
	rule map[*Rule]uint64

	breakers table[*Breaker] // by identity: two that are alike are not one
	budgets  table[*Budget]

	bodies struct{ strings, nodes, rules, breakers, budgets buffer }
}

// A table numbers things in the order in which they are first met.
type table[T comparable] map[T]uint64

// number returns the number of x, and whether it is new.
func (t table[T]) number(x T) (n uint64, fresh bool) {
	n, known := t[x]
	if !known {
		n = uint64(len(t))
		t[x] = n
	}
	return n, !known
}

// join puts the tables before the policies.
func (e *encoder) join(policies buffer) []byte {
	var all buffer
	for _, part := range []struct {
		n    int
		body buffer
	}{
		{len(e.strings), e.bodies.strings},
		{len(e.nodes), e.bodies.nodes},
		{len(e.rules), e.bodies.rules},
		{len(e.breakers), e.bodies.breakers},
		{len(e.budgets), e.bodies.budgets},
	} {
		all.count(part.n)
		all = append(all, part.body...)
	}
	return append(all, policies...)
}

// A buffer is bytes that grow.
type buffer []byte

func (b *buffer) number(n uint64)          { *b = binary.AppendUvarint(*b, n) }
func (b *buffer) count(n int)              { b.number(uint64(n)) }
func (b *buffer) signed(n int64)           { *b = binary.AppendVarint(*b, n) }
func (b *buffer) float(f float64)          { *b = binary.BigEndian.AppendUint64(*b, math.Float64bits(f)) }
func (b *buffer) duration(d time.Duration) { b.signed(int64(d)) }
func (b *buffer) byte(c byte)              { *b = append(*b, c) }

func (e *encoder) text(b *buffer, s string) {
	n, fresh := e.strings.number(s)
	if fresh {
		e.bodies.strings.count(len(s))
		e.bodies.strings = append(e.bodies.strings, s...)
	}
	b.number(n)
}

func (e *encoder) policy(b *buffer, p *Policy) {
	e.text(b, p.Name)
	e.text(b, p.Revision)
	b.count(len(p.Operations))
	for _, op := range p.Operations {
		e.text(b, op)
	}
	b.duration(p.Deadline)
	b.duration(p.AttemptTimeout)
	b.count(p.MaxAttempts)
	b.count(p.MaxUnknownAttempts)
	b.byte(byte(p.DefaultClass) | byte(p.Mode)<<modeShift) // of a program without modes, no class it knows
	e.strategy(b, p.Strategy)
	b.count(len(p.Classes))
	for _, c := range p.Classes {
		b.byte(byte(c.Class))
		b.count(c.MaxAttempts)
		e.strategy(b, c.Strategy)
	}
	e.list(b, p.Classify)
	e.list(b, p.ClassifyResult)
	e.list(b, p.Select)
	for _, s := range p.Selected {
		e.strategy(b, s)
	}
	e.breaker(b, p.Breaker)
	e.budget(b, p.Budget)
}

// Fields of a strategy, as bits of what it has.
const (
	hasBase = 1 << iota
	hasMax
	hasStep
	hasDelay
	hasJitter
	hasCap
	hasWindow
	hasFactor
	hasTarget
	hasMinMultiplier
	hasMaxMultiplier
	hasFunc
	hasFallback
	allFields = 1<<iota - 1
)

// strategy writes the name, which fields there are, and those; an empty name for none.
func (e *encoder) strategy(b *buffer, s *Strategy) {
	if s == nil {
		e.text(b, "")
		return
	}
	e.text(b, s.Kind)
	has, fields := uint64(0), buffer{}
	for bit, d := range s.durations() {
		if *d != 0 {
			has |= 1 << bit
			fields.duration(*d)
		}
	}
	for i, f := range s.numbers() {
		if *f != 0 {
			has |= hasFactor << i
			fields.float(*f)
		}
	}
	if s.Func != "" {
		has |= hasFunc
		e.text(&fields, s.Func)
	}
	if s.Fallback != nil {
		has |= hasFallback
		e.strategy(&fields, s.Fallback)
	}
	b.number(has)
	*b = append(*b, fields...)
}

// durations are the fields that are durations, in the order of their bits.
func (s *Strategy) durations() []*time.Duration {
	return []*time.Duration{&s.Base, &s.Max, &s.Step, &s.Delay, &s.Jitter, &s.Cap, &s.Window}
}

// numbers are the fields that are numbers, in the order of their bits from hasFactor on.
func (s *Strategy) numbers() []*float64 {
	return []*float64{&s.Factor, &s.TargetSuccess, &s.MinMultiplier, &s.MaxMultiplier}
}

// breaker writes the breaker's number plus one, 0 for none.
func (e *encoder) breaker(b *buffer, x *Breaker) {
	if x == nil {
		b.number(0)
		return
	}
	n, fresh := e.breakers.number(x)
	b.number(n + 1)
	if !fresh {
		return
	}
	body := &e.bodies.breakers
	e.text(body, x.Name)
	body.count(x.FailureThreshold)
	body.duration(x.Window)
	body.duration(x.RecoveryTimeout)
	body.duration(x.ProbeTimeout)
	body.count(len(x.TripOn))
	for _, class := range x.TripOn {
		body.byte(byte(class))
	}
	body.count(len(x.ClassThresholds))
	for _, t := range x.ClassThresholds {
		body.byte(byte(t.Class))
		body.count(t.Calls)
	}
	body.flag(x.Fleet)
}

// budget writes the budget's number plus one, 0 for none.
func (e *encoder) budget(b *buffer, x *Budget) {
	if x == nil {
		b.number(0)
		return
	}
	n, fresh := e.budgets.number(x)
	b.number(n + 1)
	if fresh {
		e.text(&e.bodies.budgets, x.Name)
		e.bodies.budgets.count(x.MaxRetries)
		e.bodies.budgets.duration(x.Window)
		e.bodies.budgets.flag(x.Fleet)
	}
}

// flag writes 1 or 0.
func (b *buffer) flag(on bool) {
	if on {
		b.count(1)
	} else {
		b.count(0)
	}
}

// list writes the numbers of rules.
func (e *encoder) list(b *buffer, l *List) {
	if l == nil {
		b.count(0)
		return
	}
	b.count(len(l.Rules))
	for _, r := range l.Rules {
		b.number(e.ruleNumber(r))
	}
}

func (e *encoder) ruleNumber(r *Rule) uint64 {
	if n, ok := e.rule[r]; ok {
		return n
	}
	var body buffer
	e.text(&body, r.ID)
	body.byte(byte(r.Class))
	body.number(e.expr(r.When))
	hint := uint64(0)
	if r.RetryAfter != nil {
		hint = e.expr(r.RetryAfter) + 1
	}
	body.number(hint)
	e.text(&body, r.Place.File)
	if r.Place.File != "" {
		body.count(r.Place.Line)
		body.count(r.Place.Column)
	}
	n, fresh := e.rules.number(string(body))
	if fresh {
		e.bodies.rules = append(e.bodies.rules, body...)
	}
	e.rule[r] = n
	return n
}

// Values of literals, by the byte before them.
const (
	noValue byte = iota
	falseValue
	trueValue
	intValue
	uintValue
	floatValue
	textValue
	durationValue
	classValue
)

// expr returns the number of an expression. Its parts have lower ones.
func (e *encoder) expr(x *cond.Expr) uint64 {
	if n, ok := e.node[x]; ok {
		return n
	}
	var body buffer
	body.byte(byte(x.Op))
	e.text(&body, x.Type)
	e.text(&body, x.Name)
	e.text(&body, x.Attr)
	e.value(&body, x.Value)
	args := make([]uint64, len(x.Args))
	for i, arg := range x.Args {
		args[i] = e.expr(arg)
	}
	body.count(len(args))
	for _, n := range args {
		body.number(n)
	}
	n, fresh := e.nodes.number(string(body))
	if fresh {
		e.bodies.nodes = append(e.bodies.nodes, body...)
	}
	e.node[x] = n
	return n
}

func (e *encoder) value(b *buffer, v any) {
	switch v := v.(type) {
	case nil:
		b.byte(noValue)
	case bool:
		if v {
			b.byte(trueValue)
		} else {
			b.byte(falseValue)
		}
	case int64:
		b.byte(intValue)
		b.signed(v)
	case uint64:
		b.byte(uintValue)
		b.number(v)
	case float64:
		b.byte(floatValue)
		b.float(v)
	case string:
		b.byte(textValue)
		e.text(b, v)
	case time.Duration:
		b.byte(durationValue)
		b.duration(v)
	case engine.Class:
		b.byte(classValue)
		b.byte(byte(v))
	default:
		panic(fmt.Sprintf("ir: a literal is a %T", v))
	}
}
