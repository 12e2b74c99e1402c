package redressreplay

import (
	"context"
	"fmt"

	"github.com/redress-policy/redress/engine"
)

// ShadowOptions say what a candidate keeps of the failures that it would classify
// differently.
type ShadowOptions struct {
	Fields  Fields // that samples may hold
	Samples int    // kept of each sort of difference; 0 means 3, negative none
}

// A Candidate is an observer that asks other policies about the failures of live traffic,
// and acts on nothing: no call waits for more than the rules, and none ends otherwise. It
// asks about every failure that a policy in force, or in shadow, has classified. It is
// safe for use by many goroutines.
type Candidate struct {
	comparison *Comparison
	fields     Fields
}

// Shadow makes a candidate of policies: of a set that was loaded for it, with the
// extractors of the set that is in force. Policies of the same name are compared. A nil
// set is an error.
func Shadow(policies Policies, o ShadowOptions) (*Candidate, error) {
	if policies == nil {
		return nil, fmt.Errorf("redressreplay: there are no policies to try")
	}
	if o.Samples == 0 {
		o.Samples = 3
	}
	return &Candidate{Compare(policies, o.Samples), o.Fields}, nil
}

// Observe implements redress.Observer.
func (c *Candidate) Observe(_ context.Context, e engine.Event) {
	if e.Kind != engine.AttemptEnd {
		return
	}
	evidence, ok := e.Evidence()
	if !ok {
		return
	}
	c.comparison.ask(e.Policy, e.Class.String(), e.Rule, evidence, func() Sample {
		return Sample{Line: lineOf(&e, &evidence, &c.fields)}
	})
}

// Report returns what was found so far.
func (c *Candidate) Report() Report { return c.comparison.Report() }
