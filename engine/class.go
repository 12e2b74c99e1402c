package engine

import "fmt"

// A Class says what kind of failure happened, coarsely: failures that should be
// handled differently have different classes, and nothing more is said.
//
// The zero value, [NoClass], means that nothing failed (or that nothing was
// classified yet). Classes are comparable and marshal as their names.
type Class uint8

// The classes, fixed and few.
const (
	NoClass     Class = iota
	Auth              // credentials are missing, wrong or expired; never retried
	Permission        // known caller, forbidden operation; never retried
	Permanent         // the same request will fail again; never retried
	Concurrency       // lost a race: conflict, deadlock, stale version
	RateLimit         // the dependency asks for fewer requests
	ServerError       // the dependency failed by itself
	Transient         // the path to the dependency failed: timeout, reset, unreachable
	Unknown           // no rule recognised it; retried little
)

// classCount sizes arrays indexed by Class, NoClass included.
const classCount = int(Unknown) + 1

var classNames = [classCount]string{"", "AUTH", "PERMISSION", "PERMANENT", "CONCURRENCY", "RATE_LIMIT", "SERVER_ERROR", "TRANSIENT", "UNKNOWN"}

// Classes returns the eight classes in their documented order, without NoClass.
func Classes() []Class {
	return []Class{Auth, Permission, Permanent, Concurrency, RateLimit, ServerError, Transient, Unknown}
}

// ParseClass finds the class with that name, spelled as in policies ("RATE_LIMIT").
// The empty name is not a class.
func ParseClass(name string) (Class, bool) {
	for c := Auth; int(c) < classCount; c++ {
		if classNames[c] == name {
			return c, true
		}
	}
	return NoClass, false
}

// String returns the name used in policies, labels and logs; "" for NoClass.
func (c Class) String() string {
	if int(c) < classCount {
		return classNames[c]
	}
	return fmt.Sprintf("Class(%d)", uint8(c))
}

// Retryable reports whether a failure of this class may be retried at all.
// AUTH, PERMISSION and PERMANENT never are, whatever a policy says.
func (c Class) Retryable() bool { return c >= Concurrency && c <= Unknown }

// valid reports whether c is one of the eight.
func (c Class) valid() bool { return c > NoClass && int(c) < classCount }

// MarshalText writes the class's name.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a class's name; the empty text is NoClass.
func (c *Class) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*c = NoClass
		return nil
	}
	parsed, ok := ParseClass(string(text))
	if !ok {
		return fmt.Errorf("engine: no class is named %q", text)
	}
	*c = parsed
	return nil
}
