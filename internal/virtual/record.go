package virtual

import (
	"fmt"

	"github.com/redress-policy/redress/engine"
)

// A Record is an error, or a result, that is nothing but what rules see of it, for
// tests that need a failure of a certain status, code or kind.
type Record engine.Failure

// Error returns the record's message, or else its code or status.
func (r *Record) Error() string {
	switch {
	case r.Message != "":
		return r.Message
	case r.Code != "":
		return r.Code
	case r.Status != 0:
		return fmt.Sprintf("status %d", r.Status)
	}
	return "a failure of which nothing is known"
}

// FailureRecord hands the record to the engine in place of what it would find out.
func (r *Record) FailureRecord() *engine.Failure { return (*engine.Failure)(r) }
