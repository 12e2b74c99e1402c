package format

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// slow is far more than any file within the limits of the language needs.
const slow = 20 * time.Second

func TestLargeFilesAreFormattedInBoundedTime(t *testing.T) {
	const head = "kind: Policy\napiVersion: redress/v1\nname: a\n"
	const count = 45_000
	for name, text := range map[string]string{
		"keys with anchors":        many(count, func(i int) string { return fmt.Sprintf("x-%d: &a%d 1\n", i, i) }),
		"keys with one anchor":     many(count, func(i int) string { return fmt.Sprintf("x-%d: &a 1\n", i) }),
		"keys with aliases":        "x: &a b\n" + many(count, func(i int) string { return fmt.Sprintf("x-%d: *a\n", i) }),
		"keys with comments":       many(count, func(i int) string { return fmt.Sprintf("x-%d: 1 # a\n", i) }),
		"rules":                    "classify:\n" + many(10_000, func(i int) string { return fmt.Sprintf("- class: AUTH\n  when: %d == 1\n  id: a%d\n", i, i) }),
		"a long line":              "x: [" + strings.Repeat("{a: b}, ", 30_000) + "]\n",
		"a long comment":           "x: " + strings.Repeat("a b # ", 100_000) + "\n",
		"comments":                 strings.Repeat("# a\n", 200_000),
		"a scalar over many lines": "x: a\n" + strings.Repeat("   b\n\n", 100_000),
		"a block of many lines":    "x: |\n" + strings.Repeat("   b\n\n", 100_000),
		"empty lines":              strings.Repeat("\n", 500_000),
		"brackets in brackets":     "x: " + strings.Repeat("[", 60) + strings.Repeat("]", 60) + "\n",
		"lists in lists":           "x:\n  " + strings.Repeat("- ", 60) + "a\n",
	} {
		start := time.Now()
		if _, err := Format("a.yaml", []byte(head+text)); err != nil {
			t.Errorf("%s: %.200s", name, err.Error())
		}
		if took := time.Since(start); took > slow {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

func many(n int, one func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(one(i))
	}
	return b.String()
}
