package cond

import (
	"math/bits"
	"slices"

	"github.com/redress-policy/redress/engine"
)

// An index tells which rules need not be asked, and what is left to ask of others. It
// numbers the statuses, codes and kinds that rules tell apart, and has sets of rules for
// each number, and for each class. The rules are in blocks of 64, so that a set of a block is one word.
//
// The invariants, for failures with a status up to maxStatus and a class that is one:
//
//   - A rule is missing from the set may of a value only if its condition is false, and
//     does not err, for every failure whose field has that value.
//   - A rule is in the set sure of a value only if its condition is true, and does not err,
//     for every failure whose field has that value.
//   - Of a rule that is not named, the sets of codes and kinds say nothing: it is in may
//     and not in sure, unless its status or class says as much. It has a question.
//   - A rule that is joint holds exactly for the failures for which it is in may for all
//     four fields.
//   - A rule that is asked has a question. That comes to what the condition comes to, for
//     every failure for which the rule is in may for all four fields and in sure for none.
//   - A rule that is neither joint nor asked holds exactly for the failures for which it is
//     in sure for one of the four fields.
//
// So a rule is passed over if it is missing from may for any field, holds without being
// asked if it is in sure for any, and the first of those that are left to hold is the
// first of all.
//
// Code and kind cost more to compute than a status. They are read only when a rule is
// reached that is named, and that neither status nor class decide.
type index struct {
	rules     []*Rule
	statuses  [maxStatus + 1]uint16    // their numbers
	silent    [maxStatus/64 + 1]uint64 // statuses for which no rule may hold
	codes     table
	kinds     table
	classed   bool // some class decides some rule
	blocks    []block
	questions []question // of each rule
	verdicts  []prepared // where no rule holds, then where each of them does
}

// A prepared verdict is whole but for hints and errors.
type prepared struct {
	engine.Verdict
	hint bool // there is one to evaluate
}

// Records of errors have no status above this. Those that have, or a class that is none,
// are put to one rule after another, without the index.
const maxStatus = 599

const blockSize = 64

// A block is what the index knows of up to 64 rules.
type block struct {
	statuses []sets // by number, as codes and kinds
	codes    []sets
	kinds    []sets
	classes  []sets // by class
	named    uint64 // rules of which code or kind may say something, and all that have no question
	joint    uint64
	asked    uint64
}

// Sets are what one value of a field says of the rules of a block.
type sets struct{ may, sure uint64 }

// first returns the index of the first rule that holds, -1 if none does, and the errors of
// those before it.
func (x *index) first(in *engine.Input) (first int, errors []engine.RuleError) {
	s := uint(status(in))
	if s > maxStatus || int(in.Class) >= classCount {
		return oneAfterAnother(x.rules, in)
	}
	number := x.statuses[s]
	code, kind := -1, 0
	for w := range x.blocks {
		b := &x.blocks[w]
		byStatus, named := &b.statuses[number], b.named
		may, sure := byStatus.may, byStatus.sure
		if x.classed {
			byClass := &b.classes[in.Class]
			may &= byClass.may
			sure |= byClass.sure
		}
		for may != 0 {
			rule := may & -may
			if sure&rule != 0 {
				return w*blockSize + bits.TrailingZeros64(rule), errors
			}
			if named&rule != 0 {
				if code < 0 {
					code, kind = x.names(in)
				}
				byCode, byKind := &b.codes[code], &b.kinds[kind]
				may &= byCode.may & byKind.may
				sure |= byCode.sure | byKind.sure | may&b.joint
				may &= sure | b.asked
				named = 0
				continue
			}
			may &^= rule
			i := w*blockSize + bits.TrailingZeros64(rule)
			switch q := &x.questions[i]; {
			case q.word.text != "":
				if q.word.in(message(in)) {
					return i, errors
				}
			case q.ask(in, x.rules[i], &errors):
				return i, errors
			}
		}
	}
	return -1, errors
}

// names returns the numbers of the failure's code and kind.
func (x *index) names(in *engine.Input) (byCode, byKind int) {
	return x.codes.find(code(in)), x.kinds.find(kindOf(kind(in)))
}

// oneAfterAnother does what first does without an index.
func oneAfterAnother(rules []*Rule, in *engine.Input) (first int, errors []engine.RuleError) {
	for i, r := range rules {
		if q := (question{value: r.When.value}); q.ask(in, r, &errors) {
			return i, errors
		}
	}
	return -1, errors
}

// silentOn reports whether no rule may hold for a status.
func (x *index) silentOn(s uint) bool { return s <= maxStatus && x.silent[s/64]>>(s%64)&1 != 0 }

// newIndex joins what is known of each rule.
func newIndex(rules []*Rule) *index {
	x := &index{
		rules:     rules,
		blocks:    make([]block, (len(rules)+blockSize-1)/blockSize),
		questions: make([]question, len(rules)),
		verdicts:  make([]prepared, 1, len(rules)+1),
	}
	facets := make([]facet, len(rules))
	for i, r := range rules {
		facets[i] = facetOf(r.Expr)
		x.classed = x.classed || facets[i].classed()
		x.verdicts = append(x.verdicts, prepared{engine.Verdict{Class: r.Class, Rule: r.ID}, r.Hint != nil})
	}
	starts := x.numberStatuses(facets)
	x.codes = tableOf(facets, codesOf)
	x.kinds = tableOf(facets, kindsOf)
	for w := range x.blocks {
		b, from := &x.blocks[w], w*blockSize
		of := facets[from:min(from+blockSize, len(rules))]
		for _, start := range starts {
			b.statuses = append(b.statuses, setsOf(of, func(f *facet) outcome { return f.status(start) }))
		}
		b.codes = x.codes.sets(of, "code", codesOf)
		b.kinds = x.kinds.sets(of, "kind", kindsOf)
		for c := range classCount {
			b.classes = append(b.classes, setsOf(of, func(f *facet) outcome { return f.classes[c] }))
		}
		for i := range of {
			x.questions[from+i] = b.add(rules[from+i], &of[i], 1<<i)
		}
	}
	x.noteSilence()
	return x
}

// add notes how a rule of the block is decided, and returns its question.
func (b *block) add(r *Rule, f *facet, rule uint64) question {
	left, q := residue(r)
	if f.codes.depends || f.kinds.depends || left != aQuestion {
		b.named |= rule // what has no question is not reached unless a field decides it
	}
	switch left {
	case allParts:
		b.joint |= rule
	case aQuestion:
		b.asked |= rule
	}
	return q
}

// numberStatuses numbers the ranges of statuses that are all alike: those between the ones
// that literals name. It returns where each of them starts.
func (x *index) numberStatuses(facets []facet) (starts []int) {
	for i := range facets {
		for _, n := range facets[i].numbers {
			starts = append(starts, int(n))
		}
	}
	slices.Sort(starts)
	starts = slices.Compact(starts)
	for number, start := range starts {
		for s := start; s <= maxStatus; s++ {
			x.statuses[s] = uint16(number)
		}
	}
	return starts
}

// noteSilence notes the statuses for which no rule may hold.
func (x *index) noteSilence() {
	for s, number := range x.statuses {
		if !slices.ContainsFunc(x.blocks, func(b block) bool { return b.statuses[number].may != 0 }) {
			x.silent[s/64] |= 1 << (s % 64)
		}
	}
}

// setsOf collects an outcome of each rule of a block.
func setsOf(facets []facet, of func(f *facet) outcome) (s sets) {
	for i := range facets {
		o := of(&facets[i])
		if o != isFalse {
			s.may |= 1 << i
		}
		if o == isTrue {
			s.sure |= 1 << i
		}
	}
	return s
}
