package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// An Error says that a call ended without success, and why. It wraps the operation's
// own last error, and the cause of the end of the caller's context if that ended the
// call: errors.Is and errors.As find both. It must not be changed: calls that a breaker
// refuses may be given the same one.
type Error struct {
	Policy    string
	Operation string
	Revision  string
	Reason    StopReason
	Class     Class  // of the last failure that was classified; NoClass if there was none
	Rule      string // that decided the class; "default" or "marker" if none held
	Cause     Cause  // whether the last failure was an error or a result
	Attempts  int
	Elapsed   time.Duration
	NextDelay time.Duration // of SCHEDULED: when to go on
	Note      string        // why, where the reason alone does not say
	Err       error         // the operation's last error, or that of WithResultError; nil if there was none
	Ended     error         // context.Cause of the caller's context, if that ended the call
}

// Error tells reason, effort, class and the operation's own error. It never holds a
// result.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Policy)
	if e.Operation != "" {
		fmt.Fprintf(&b, ": %s", e.Operation)
	}
	fmt.Fprintf(&b, ": %v after %s in %v", e.Reason, plural(e.Attempts, "attempt"), round(e.Elapsed))
	if e.Class != NoClass {
		fmt.Fprintf(&b, " (%v by rule %s)", e.Class, e.Rule)
	}
	if e.Note != "" {
		fmt.Fprintf(&b, ": %s", e.Note)
	}
	switch {
	case e.Err != nil:
		fmt.Fprintf(&b, ": %v", e.Err)
	case e.Ended != nil:
		fmt.Fprintf(&b, ": %v", e.Ended)
	}
	return b.String()
}

// Unwrap returns the operation's last error and the end of the caller's context, as
// far as there are any.
func (e *Error) Unwrap() []error {
	var wrapped []error
	if e.Err != nil {
		wrapped = append(wrapped, e.Err)
	}
	if e.Ended != nil {
		wrapped = append(wrapped, e.Ended)
	}
	return wrapped
}

// Timeout reports whether what it wraps is a timeout. It is what [net.Error] and
// [net/url.Error] ask for.
func (e *Error) Timeout() bool {
	for _, err := range e.Unwrap() {
		var t interface{ Timeout() bool }
		if errors.As(err, &t) && t.Timeout() {
			return true
		}
	}
	return false
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// round makes a duration fit for reading: three digits or so.
func round(d time.Duration) time.Duration {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= unit {
			return d.Round(unit / 100)
		}
	}
	return d
}
