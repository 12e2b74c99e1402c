package interp

import (
	"time"

	"github.com/redress-policy/redress/dsl"
)

// findOverrides looks for the overrides that are in force. A policy may have one.
func (c *setCompiler) findOverrides() {
	c.overrides = map[string]*dsl.Document{}
	for doc := range c.set.All() {
		o := doc.Override
		if o == nil || !o.Policy.Set {
			continue
		}
		c.knownPolicy(o.Policy)
		if Expired(o, c.opts.Now) {
			continue
		}
		other := c.overrides[o.Policy.V]
		if other == nil {
			c.overrides[o.Policy.V] = doc
			continue
		}
		c.report(o.Policy.Range, dsl.CodeDuplicateName, "make one of the two", "policy %q is overridden twice", o.Policy.V)
		c.found[len(c.found)-1].Related = []dsl.Related{{Range: other.Override.Policy.Range, Message: "the first is here"}}
	}
}

// Expired reports whether an override no longer counts; of the zero time none has expired.
func Expired(o *dsl.Override, now time.Time) bool {
	return !now.IsZero() && o.Expires.Set && !now.Before(o.Expires.V)
}

// overridden is the policy as the override has it. What it says stands where the override
// is written.
func overridden(doc *dsl.Document, o *dsl.Override) *dsl.Document {
	made, body := *doc, *doc.Policy
	made.Policy = &body
	override(&body.Mode, o.Set.Mode)
	override(&body.Retry.Deadline, o.Set.Deadline)
	override(&body.Retry.AttemptTimeout, o.Set.AttemptTimeout)
	override(&body.Retry.MaxAttempts, o.Set.MaxAttempts)
	override(&body.Retry.MaxUnknownAttempts, o.Set.MaxUnknownAttempts)
	return &made
}

func override[T any](written *dsl.Value[T], by dsl.Value[T]) {
	if by.Set {
		*written = by
	}
}
