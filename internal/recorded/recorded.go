// Package recorded is for integrations whose clients return errors that the engine does
// not know: it gives such an error the record that rules are to see.
package recorded

import "github.com/redress-policy/redress/engine"

// Error returns an error that is err to people and to errors.Is and errors.As, and whose
// record is what [engine.FailureOf] finds in err, after change. It returns err itself if
// the record in it was made here already, or is that of a call that gave up.
func Error(err error, change func(*engine.Failure)) error {
	f := engine.FailureOf(err, nil)
	if f.Kind == engine.KindBroker || f.Kind == engine.KindRedress {
		return err
	}
	change(f)
	return &failure{err, f}
}

type failure struct {
	error
	record *engine.Failure
}

// Unwrap returns the error that the record was made for.
func (f *failure) Unwrap() error { return f.error }

// FailureRecord implements [engine.Recorded].
func (f *failure) FailureRecord() *engine.Failure { return f.record }
