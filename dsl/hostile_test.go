package dsl_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
)

const header = "apiVersion: redress/v1\nkind: Policy\nname: p\n"

// TestHostileInputIsRefusedWithinBounds feeds what should hurt. Each is refused with
// a diagnostic that says why, in little memory; the time is only there to notice
// that something hangs.
func TestHostileInputIsRefusedWithinBounds(t *testing.T) {
	const mebi = 1 << 20
	for _, row := range []struct {
		name, text, says string
	}{
		{"nothing", "", "holds no document"},
		{"only comments", "# one\n# two\n", "holds no document"},
		{"only a separator", "---\n", "holds no document"},
		{"NUL", header + "description: a\x00b\n", "control character U+0000"},
		{"escape character", header + "description: \x1b[31m\n", "control character U+001B"},
		{"invalid UTF-8", header + "description: \xff\n", "byte 0xff is not UTF-8"},
		{"UTF-16", "\xff\xfea\x00p\x00i\x00", "not UTF-8"},
		{"byte order mark", "\ufeff" + header, "byte order mark"},
		{"lone carriage return", "apiVersion: redress/v1\rkind: Policy\r", "carriage return without a line feed"},
		{"next line", header + "description: a\u0085b\n", "U+0085 breaks lines"},
		{"line separator", header + "description: a\u2028b\n", "U+2028 breaks lines"},
		{"paragraph separator", header + "description: a\u2029b\n", "U+2029 breaks lines"},
		{"too large", header + "description: " + strings.Repeat("x", mebi) + "\n", "larger than 1048576 bytes"},
		{"deep brackets", header + "x-a: " + strings.Repeat("[", 65) + strings.Repeat("]", 65) + "\n", "nested more than 64 deep"},
		{"very deep brackets", header + "x-a: " + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "\n", "nested more than 64 deep"},
		{"absurdly deep brackets", header + "x-a: " + strings.Repeat("[", 400_000) + "\n", ""},
		{"deep braces", header + "x-a: " + strings.Repeat("{a: ", 200) + "1" + strings.Repeat("}", 200) + "\n", "nested more than 64 deep"},
		{"deep lists", header + "x-a:\n" + strings.Repeat("- ", 5000) + "x\n", "nested more than 64 deep"},
		{"alias bomb", header + bomb(), "more than 100000 values"},
		{"recursive alias", header + "x-a: &a {b: *a}\n", "would contain itself"},
		{"recursive through a list", header + "x-a: &a [1, [2, *a]]\n", "would contain itself"},
		{"unknown alias", header + "x-a: *nowhere\n", "no anchor is called"},
		{"merge key", header + "retry: &r {deadline: 5s}\nx-b: 1\ncircuit_breaker:\n  <<: *r\n", "merges mappings"},
		{"tag of a language", header + "description: !!python/object:os.system ls\n", "tag"},
		{"own tag", header + "description: !secret x\n", "tag"},
		{"tag directive", "%TAG ! tag:example.com,2000:\n---\n" + header, ""},
		{"many documents", strings.Repeat("a: 1\n---\n", 100_000), "1000 documents"},
		{"many values", header + "x-a: [" + strings.Repeat("1,", 200_000) + "]\n", "more than 100000 values"},
		{"many keys", header + manyKeys(20_000), "unknown key"},
		{"many equal keys", header + strings.Repeat("owner: a\n", 20_000), "given twice"},
		{"long line", header + "description: [" + strings.Repeat("a ", 500_000) + "]\n", "text"},
		{"long key", header + strings.Repeat("k", 300_000) + ": 1\n", ""},
		{"quotes without end", header + "description: \"" + strings.Repeat("a\n", 100_000), ""},
		{"anchors without end", header + "description: " + strings.Repeat("&a ", 10_000) + "x\n", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			src := dsl.NewSource("hostile.yaml", []byte(row.text))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			set, found := dsl.ParseSet([]*dsl.Source{src})
			for _, d := range found {
				d.Print(io.Discard, dsl.PrintOptions{})
			}
			for doc := range set.All() {
				doc.JSON()
			}
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if !found.HasErrors() {
				t.Fatal("it was not refused")
			}
			if !strings.Contains(found.Err().Error(), row.says) {
				t.Errorf("the first finding is %q; want one that says %q", found[0].Message, row.says)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 400*mebi {
				t.Errorf("%d MiB were allocated", used/mebi)
			}
			if took > time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("x-0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "x-%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
	}
	return b.String()
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	return b.String()
}

// TestEveryBeginningOfAGoodFileIsReadOrRefused cuts good files at every byte, as a
// copy that was interrupted does.
func TestEveryBeginningOfAGoodFileIsReadOrRefused(t *testing.T) {
	for _, name := range []string{"payments-api.yaml", "scalar-styles.yaml", "crlf.yaml"} {
		text, err := os.ReadFile("../testdata/policies/ok/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for n := range text {
			file, found := dsl.Parse(dsl.NewSource(name, text[:n]))
			for _, d := range found {
				if d.Range.Start < 0 || d.Range.End > n || d.Range.Start > d.Range.End {
					t.Fatalf("%s cut at %d: %q stands from %d to %d", name, n, d.Message, d.Range.Start, d.Range.End)
				}
			}
			if len(file.Documents) == 0 && !found.HasErrors() {
				t.Fatalf("%s cut at %d: neither read nor refused", name, n)
			}
		}
	}
}

// TestParsingTwiceSaysTheSame holds diagnostics to a stable order.
func TestParsingTwiceSaysTheSame(t *testing.T) {
	text := []byte(header + manyKeys(50) + "retry: {deadline: 5, max_attempts: x, strategy: y, classes: {A: {}, B: {}}}\n")
	print := func() string {
		var b bytes.Buffer
		_, found := dsl.Parse(dsl.NewSource("x.yaml", text))
		for _, d := range found {
			d.Print(&b, dsl.PrintOptions{})
		}
		return b.String()
	}
	first := print()
	for range 10 {
		if again := print(); again != first {
			t.Fatalf("first:\n%s\nthen:\n%s", first, again)
		}
	}
}
