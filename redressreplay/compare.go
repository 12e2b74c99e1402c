package redressreplay

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/redress-policy/redress/engine"
)

// Policies are the policies that are tried: a *redress.Set, or that of a live set, or of a
// bundle.
type Policies interface {
	Policy(name string) (*engine.Policy, error)
}

// MaxDifferences is how many sorts of difference a [Comparison] tells apart. Those of more
// sorts are counted together.
const MaxDifferences = 1000

// A Comparison asks policies about failures that others have classified, and counts where
// the answer is another. It is safe for use by many goroutines.
type Comparison struct {
	policies Policies
	samples  int

	mu          sync.Mutex
	report      Report                  // guarded by mu; Differences and Missing are empty
	differences map[between]*Difference // guarded by mu
	missing     map[string]int64        // guarded by mu; failures by policy
}

// between is what differences are told apart by.
type between struct{ policy, class, rule, newClass, newRule string }

// A Report says what a comparison has found so far.
type Report struct {
	Compared    int64        `json:"compared"`    // failures that were asked about
	Same        int64        `json:"same"`        // ... that have the same class by the same rule
	Differences []Difference `json:"differences"` // most frequent first
	Missing     []Missing    `json:"missing"`     // policies that are not there any more, by name
	Other       int64        `json:"other"`       // differences of more than MaxDifferences sorts
	Errors      int64        `json:"errors"`      // failures about which a rule of the new policies erred
	Unrecorded  int64        `json:"unrecorded"`  // of lines that count what was omitted, the sum
}

// Differs reports whether anything is classified differently.
func (r *Report) Differs() bool {
	return len(r.Differences) > 0 || len(r.Missing) > 0 || r.Other > 0
}

// A Difference is failures that one rule gave a class, and that now another rule decides,
// or gives another class.
type Difference struct {
	Policy   string   `json:"policy"`
	Class    string   `json:"class"`
	Rule     string   `json:"rule"`
	NewClass string   `json:"new_class"` // "success" of a result that no rule calls a failure any more
	NewRule  string   `json:"new_rule"`
	Count    int64    `json:"count"`
	Samples  []Sample `json:"samples"` // the first ones
}

// A Sample is one of the failures of a difference.
type Sample struct {
	Place Place `json:"place,omitzero"` // zero of live traffic
	Line  *Line `json:"event"`
}

// A Place is where a failure is recorded.
type Place struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1
}

// String is "file:line".
func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// String is the failure without causes and attributes, as JSON, and what it had that was
// not recorded.
func (s Sample) String() string {
	brief := *s.Line.Failure
	brief.Causes, brief.Attributes, brief.Inner = nil, nil, nil
	text, err := json.Marshal(&brief)
	if err != nil {
		return err.Error()
	}
	if len(s.Line.Redacted) > 0 {
		return fmt.Sprintf("%s, recorded without its %s", text, enumerate(s.Line.Redacted))
	}
	return string(text)
}

// Missing counts the failures of a policy that is not there any more.
type Missing struct {
	Policy string `json:"policy"`
	Count  int64  `json:"count"`
}

// Compare makes a comparison with policies, which keeps so many samples of each sort of
// difference; a negative number is taken for zero.
func Compare(policies Policies, samples int) *Comparison {
	return &Comparison{policies: policies, samples: max(samples, 0), differences: map[between]*Difference{}, missing: map[string]int64{}}
}

// Add asks about a failure that was recorded at a place. The error says that the line was
// not made by [ParseLine], and holds what no failure does.
func (c *Comparison) Add(l *Line, at Place) error {
	if l.Omitted != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.report.Unrecorded += l.Omitted.Sampled + l.Omitted.Dropped
		return nil
	}
	evidence, err := l.evidence()
	if err != nil {
		return err
	}
	c.ask(l.Policy, l.Class, l.Rule, evidence, func() Sample { return Sample{at, l} })
	return nil
}

// ask asks about a failure. sample is called if it is one to be kept.
func (c *Comparison) ask(policy, class, rule string, evidence engine.Evidence, sample func() Sample) {
	p, err := c.policies.Policy(policy)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.report.Compared++
		c.missing[policy]++
		return
	}
	newClass, newRule, err := p.Classify(evidence)
	key := between{policy, class, rule, newClass.String(), newRule}
	if newClass == engine.NoClass {
		key.newClass = "success"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.Compared++
	if err != nil {
		c.report.Errors++
	}
	if key.newClass == class && newRule == rule {
		c.report.Same++
		return
	}
	c.count(key, sample)
}

// count counts a difference. The caller holds mu.
func (c *Comparison) count(key between, sample func() Sample) {
	d := c.differences[key]
	if d == nil {
		if len(c.differences) >= MaxDifferences {
			c.report.Other++
			return
		}
		d = &Difference{Policy: key.policy, Class: key.class, Rule: key.rule, NewClass: key.newClass, NewRule: key.newRule, Samples: []Sample{}}
		c.differences[key] = d
	}
	d.Count++
	if len(d.Samples) < c.samples {
		d.Samples = append(d.Samples, sample())
	}
}

// Report returns what was found so far. It is the caller's, but for the lines of samples,
// which must not be changed.
func (c *Comparison) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.report
	r.Differences, r.Missing = []Difference{}, []Missing{}
	for _, d := range c.differences {
		own := *d
		own.Samples = slices.Clone(d.Samples)
		r.Differences = append(r.Differences, own)
	}
	slices.SortFunc(r.Differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.NewClass, b.NewClass), cmp.Compare(a.NewRule, b.NewRule))
	})
	for _, name := range slices.Sorted(maps.Keys(c.missing)) {
		r.Missing = append(r.Missing, Missing{name, c.missing[name]})
	}
	return r
}

// enumerate is "message and headers".
func enumerate(words []string) string {
	switch n := len(words); n {
	case 1:
		return words[0]
	case 2:
		return words[0] + " and " + words[1]
	default:
		return words[0] + ", " + enumerate(words[1:])
	}
}
