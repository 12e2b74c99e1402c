package proof

import (
	"fmt"
	"strings"

	"github.com/redress-policy/redress/engine"
)

// seen says in one line what rules can tell an error by.
func seen(err error) string {
	f := engine.FailureOf(err, nil)
	var parts []string
	add := func(name string, value any) { parts = append(parts, fmt.Sprintf("%s=%v", name, value)) }
	if f.Kind != engine.UnknownKind {
		add("kind", f.Kind)
	}
	if f.Code != "" {
		add("code", f.Code)
	}
	if f.Status != 0 {
		add("status", f.Status)
	}
	if f.Phase != engine.PhaseUnknown {
		add("phase", f.Phase)
	}
	if f.Timeout {
		add("timeout", true)
	}
	if f.HasRetryAfter {
		add("retry_after", f.RetryAfter)
	}
	return strings.Join(parts, " ")
}
