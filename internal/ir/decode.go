package ir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/cond"
)

// Why a bundle cannot be used, to be found in errors with errors.Is.
var (
	ErrDamaged = errors.New("the bundle is damaged")
	ErrNewer   = errors.New("the bundle is newer than this program")
)

// Limits of what a bundle may hold besides its size.
const (
	maxParts      = 20_000    // of an expression, those of vars counted each time that they are read
	maxAllParts   = 5_000_000 // of the rules of a set, those that read vars counted for each list
	maxStrategies = 16        // within each other; the engine allows fewer
)

// A Bundle is what a bundle holds.
type Bundle struct {
	Version int
	Digest  string // SHA-256 of the payload, in hexadecimal digits
	Set     *Set
}

// Decode reads a bundle. Any input gives a set whose parts are all there, or an error;
// whether functions can be made of the rules, and policies of the numbers, Build says.
func Decode(data []byte) (*Bundle, error) {
	payload, b, err := open(data)
	if err != nil {
		return nil, err
	}
	d := &decoder{rest: payload}
	set := d.set()
	if b.Version >= withFallback {
		set.FallbackPolicy = d.fallback(set.Policies)
	}
	if d.err == nil && len(d.rest) > 0 {
		d.fail("%d bytes are left over", len(d.rest))
	}
	if d.err != nil {
		return nil, damaged("%w", d.err)
	}
	b.Set = set
	return b, nil
}

// IsBundle reports whether a text begins like a bundle, which no document does.
func IsBundle(text []byte) bool { return bytes.HasPrefix(text, []byte(magic)) }

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, args...))
}

// open reads the header and checks the payload against it.
func open(data []byte) (payload []byte, b *Bundle, err error) {
	if n := min(len(data), len(magic)); string(data[:n]) != magic[:n] || n == 0 {
		return nil, nil, damaged("it does not begin like one; redress-lint build writes bundles")
	}
	if len(data) < header {
		return nil, nil, damaged("it ends after %d bytes, within its header of %d", len(data), header)
	}
	rest := data[len(magic):]
	version, length, sum := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint64(rest[4:]), rest[12:12+sha256.Size]
	payload = data[header:]
	switch {
	case version > Version:
		return nil, nil, fmt.Errorf("%w: its format is version %d, and this program reads versions up to %d: build the program with a newer redress, or the bundle with an older redress-lint", ErrNewer, version, Version)
	case version == 0:
		return nil, nil, damaged("there is no version 0 of the format")
	case length > MaxSize-uint64(header):
		return nil, nil, damaged("it says that it has more than %d MiB, the limit", MaxSize>>20)
	case uint64(len(payload)) < length:
		return nil, nil, damaged("it was cut off: %d of %d bytes are there", len(data), uint64(header)+length)
	case uint64(len(payload)) > length:
		return nil, nil, damaged("%d bytes stand behind its end", uint64(len(payload))-length)
	}
	if got := sha256.Sum256(payload); !bytes.Equal(got[:], sum) {
		return nil, nil, damaged("it was altered: its digest is %x…, and it was written with %x…", got[:4], sum[:4])
	}
	return payload, &Bundle{Version: int(version), Digest: hex.EncodeToString(sum)}, nil
}

// A decoder reads a payload. After the first error it reads zeros.
type decoder struct {
	rest []byte
	err  error

	strings  []string
	nodes    []*node
	rules    []*sizedRule
	breakers []*Breaker
	budgets  []*Budget
	parts    int // of rules, as far as they are compiled one by one
}

// A sizedRule is a rule and how many parts its expressions have.
type sizedRule struct {
	Rule
	parts int
	vars  bool // it reads some, and is compiled for each list
}

// A node is an expression and what must be known of it before it is used.
type node struct {
	expr   cond.Expr
	parts  int  // that it has, those it shares counted each time
	loops  bool // it asks something of each cause
	ofLoop bool // it reads the cause that a loop is at
	vars   bool // it reads some
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err, d.rest = fmt.Errorf(format, args...), nil
	}
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.fail("a number is cut off or too large")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.fail("a number is cut off or too large")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

func (d *decoder) duration() time.Duration { return time.Duration(d.signed()) }

// whole reads a number of attempts, calls or lines.
func (d *decoder) whole() int {
	n := d.number()
	if n > math.MaxInt32 {
		d.fail("the number %d is too large", n)
		return 0
	}
	return int(n)
}

// count reads how many things follow, each of which takes a byte at least.
func (d *decoder) count() int {
	n := d.number()
	if n > uint64(len(d.rest)) {
		d.fail("%d things cannot stand in %d bytes", n, len(d.rest))
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail("%d bytes are missing", n-len(d.rest))
		return make([]byte, min(n, 8))
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) byte() byte     { return d.bytes(1)[0] }
func (d *decoder) float() float64 { return math.Float64frombits(binary.BigEndian.Uint64(d.bytes(8))) }

func (d *decoder) class() engine.Class {
	class := engine.Class(d.byte())
	if class > engine.Unknown {
		d.fail("there is no class with number %d", class)
	}
	return class
}

// at reads the number of something in a table.
func at[T any](d *decoder, table []T, what string) (x T) {
	n := d.number()
	if n >= uint64(len(table)) {
		d.fail("there is no %s with number %d", what, n)
		return x
	}
	return table[n]
}

// maybe reads a number plus one, of which 0 means none.
func maybe[T any](d *decoder, table []T, what string) (x T) {
	n := d.number()
	switch {
	case n == 0:
	case n > uint64(len(table)):
		d.fail("there is no %s with number %d", what, n-1)
	default:
		x = table[n-1]
	}
	return x
}

// each reads how many things follow, and each of them, up to the first error.
func (d *decoder) each(read func()) {
	for n := d.count(); n > 0 && d.err == nil; n-- {
		read()
	}
}

// list reads a list of things.
func list[T any](d *decoder, read func() T) (all []T) {
	d.each(func() { all = append(all, read()) })
	return all
}

func (d *decoder) text() string { return at(d, d.strings, "text") }

func (d *decoder) set() *Set {
	d.strings = list(d, func() string { return string(d.bytes(d.count())) })
	d.each(func() { d.nodes = append(d.nodes, d.node()) }) // which refer to those before them
	d.rules = list(d, d.rule)
	d.breakers = list(d, d.breaker)
	d.budgets = list(d, d.budget)
	set := &Set{Policies: list(d, d.policy)}
	names := map[string]bool{}
	for _, p := range set.Policies {
		if names[p.Name] {
			d.fail("two policies are called %q", p.Name)
		}
		names[p.Name] = true
	}
	return set
}

// fallback reads the number of the fallback policy.
func (d *decoder) fallback(policies []*Policy) string {
	p := at(d, policies, "policy")
	if p == nil {
		return ""
	}
	return p.Name
}

// modeShift is where the mode stands in the byte of the default class.
const modeShift = 4

// classAndMode reads the byte that both share.
func (d *decoder) classAndMode(mode *engine.Mode) engine.Class {
	both := d.byte()
	*mode = engine.Mode(both >> modeShift)
	class := engine.Class(both & (1<<modeShift - 1))
	if class > engine.Unknown || *mode > engine.Off {
		d.fail("there is no class or mode with number %d", both)
	}
	return class
}

func (d *decoder) policy() *Policy {
	var mode engine.Mode
	p := &Policy{
		Name:               d.text(),
		Revision:           d.text(),
		Operations:         list(d, d.text),
		Deadline:           d.duration(),
		AttemptTimeout:     d.duration(),
		MaxAttempts:        d.whole(),
		MaxUnknownAttempts: d.whole(),
		DefaultClass:       d.classAndMode(&mode),
		Strategy:           d.strategy(0),
		Classes:            list(d, d.classOf),
		Classify:           d.classify(),
		ClassifyResult:     d.classify(),
		Select:             NewList(list(d, d.listed)),
	}
	p.Mode = mode
	for range p.Select.Rules {
		p.Selected = append(p.Selected, d.strategy(0))
		if p.Selected[len(p.Selected)-1] == nil {
			d.fail("a rule of select has no strategy")
		}
	}
	p.Breaker = maybe(d, d.breakers, "breaker")
	p.Budget = maybe(d, d.budgets, "budget")
	return p
}

// classOf reads what a policy says of one class.
func (d *decoder) classOf() Class {
	return Class{Class: d.class(), MaxAttempts: d.whole(), Strategy: d.strategy(0)}
}

func (d *decoder) classify() *List {
	return NewList(list(d, func() *Rule {
		r := d.listed()
		if r != nil && r.Class == engine.NoClass {
			d.fail("rule %q gives no class", r.ID)
		}
		return r
	}))
}

// listed reads the number of a rule.
func (d *decoder) listed() *Rule {
	r := at(d, d.rules, "rule")
	if r == nil {
		return nil
	}
	if r.vars {
		d.weigh(r.parts)
	}
	return &r.Rule
}

func (d *decoder) weigh(parts int) {
	if d.parts += parts; d.parts > maxAllParts {
		d.fail("its rules have more than %d parts", maxAllParts)
	}
}

func (d *decoder) strategy(depth int) *Strategy {
	if depth > maxStrategies {
		d.fail("strategies stand more than %d deep within each other", maxStrategies)
	}
	s := &Strategy{Kind: d.text()}
	if s.Kind == "" || d.err != nil {
		return nil
	}
	has := d.number()
	if has > allFields {
		d.fail("a strategy has fields that no strategy has")
	}
	for bit, field := range s.durations() {
		if has>>bit&1 != 0 {
			*field = d.duration()
		}
	}
	for i, field := range s.numbers() {
		if has&(hasFactor<<i) != 0 {
			*field = d.float()
		}
	}
	if has&hasFunc != 0 {
		s.Func = d.text()
	}
	if has&hasFallback != 0 {
		s.Fallback = d.strategy(depth + 1)
	}
	return s
}

func (d *decoder) breaker() *Breaker {
	return &Breaker{
		Name:             d.text(),
		FailureThreshold: d.whole(),
		Window:           d.duration(),
		RecoveryTimeout:  d.duration(),
		ProbeTimeout:     d.duration(),
		TripOn:           list(d, d.class),
		ClassThresholds:  list(d, func() Threshold { return Threshold{Class: d.class(), Calls: d.whole()} }),
		Fleet:            d.flag(),
	}
}

func (d *decoder) budget() *Budget {
	return &Budget{Name: d.text(), MaxRetries: d.whole(), Window: d.duration(), Fleet: d.flag()}
}

func (d *decoder) flag() bool {
	n := d.whole()
	if n > 1 {
		d.fail("a flag is neither 0 nor 1")
	}
	return n == 1
}

func (d *decoder) rule() *sizedRule {
	r := &sizedRule{Rule: Rule{ID: d.text(), Class: d.class()}}
	if r.ID == "" {
		d.fail("a rule has no id")
	}
	r.When = d.root(r, at(d, d.nodes, "expression"))
	r.RetryAfter = d.root(r, maybe(d, d.nodes, "expression"))
	d.weigh(r.parts)
	if r.Place.File = d.text(); r.Place.File != "" {
		r.Place.Line, r.Place.Column = d.whole(), d.whole()
	}
	return r
}

// root is an expression of a rule, which stands by itself.
func (d *decoder) root(r *sizedRule, n *node) *cond.Expr {
	switch {
	case n == nil:
		return nil
	case n.ofLoop:
		d.fail("an expression reads a cause where there is none")
	}
	r.parts += n.parts
	r.vars = r.vars || n.vars
	return &n.expr
}

func (d *decoder) node() *node {
	n := &node{parts: 1}
	e := &n.expr
	e.Op, e.Type, e.Name, e.Attr = cond.Op(d.byte()), d.text(), d.text(), d.text()
	e.Value = d.value()
	for range d.count() {
		arg := at(d, d.nodes, "expression before it")
		if arg == nil {
			return n
		}
		e.Args = append(e.Args, &arg.expr)
		n.parts += arg.parts
		n.loops = n.loops || arg.loops
		n.ofLoop = n.ofLoop || arg.ofLoop
		n.vars = n.vars || arg.vars
	}
	n.vars = n.vars || e.Op == cond.OpVar
	d.check(n)
	return n
}

// check holds an expression against what evaluating it relies on.
func (d *decoder) check(n *node) {
	switch e := &n.expr; {
	case !e.Op.Known():
		d.fail("an expression is of kind %d, which this program does not know", e.Op)
	case e.Op.Loops() && n.loops:
		d.fail("loops stand within each other")
	case e.Op.Loops():
		n.loops, n.ofLoop = true, false
	case e.ReadsCause():
		n.ofLoop = true
	case e.Name == "[?]": // whether there is one, and what it is
		n.parts *= 2
	}
	if n.parts > maxParts {
		d.fail("an expression has more than %d parts", maxParts)
	}
}

func (d *decoder) value() any {
	switch kind := d.byte(); kind {
	case noValue:
	case falseValue:
		return false
	case trueValue:
		return true
	case intValue:
		return d.signed()
	case uintValue:
		return d.number()
	case floatValue:
		return d.float()
	case textValue:
		return d.text()
	case durationValue:
		return d.duration()
	case classValue:
		return d.class()
	default:
		d.fail("there is no kind of value with number %d", kind)
	}
	return nil
}
