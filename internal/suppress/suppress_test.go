package suppress_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/suppress"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// TestCommentsSilenceWhatTheyAreFor: each row is a file in which every ^RDxxx stands
// for a finding at its place; what is left is listed as code@line.
func TestCommentsSilenceWhatTheyAreFor(t *testing.T) {
	for _, row := range []struct {
		name, text, left, reasons string
	}{
		{"nothing to silence", "a: ^RD303\n", "RD303@1", ""},
		{"behind a value", "a: ^RD303 # redress:ignore RD303 -- alone\n", "", "alone"},
		{"by slug", "a: ^RD303 # redress:ignore no-jitter -- alone\n", "", "alone"},
		{"several rules", "a: ^RD303 ^RD314 # redress:ignore RD303, RD314 -- alone\n", "", "alone alone"},
		{"another rule", "a: ^RD303 # redress:ignore RD314 -- alone\n", "RD303@1 RD902@1", ""},
		{"another line", "a: 1 # redress:ignore RD303 -- alone\nb: ^RD303\n", "RD303@2 RD902@1", ""},
		{"on the line above", "# redress:ignore RD303 -- alone\na: ^RD303\nb: ^RD303\n", "RD303@3", "alone"},
		{"above, over comments and empty lines", "# redress:ignore RD303 -- alone\n# more\n\na: ^RD303\n", "", "alone"},
		{"the whole of what begins below", "# redress:ignore RD203 -- shown\n- id: x\n  when: |-\n    ^RD203\n- id: y\n  when: ^RD203\n", "RD203@6", "shown"},
		{"the whole of what begins on the line", "when: | # redress:ignore RD203 -- shown\n  a\n  ^RD203\nb: ^RD203\n", "RD203@4", "shown"},
		{"the file", "a: ^RD303\n# redress:ignore-file RD303 -- shown\nb: ^RD303\n", "", "shown shown"},
		{"until today", "a: ^RD303 # redress:ignore RD303 until=2026-11-23 -- soon\n", "", "soon"},
		{"until yesterday", "a: ^RD303 # redress:ignore RD303 until=2026-11-22 -- soon\n", "RD303@1 RD903@1", ""},
		{"no date", "a: ^RD303 # redress:ignore RD303 until=soon -- soon\n", "RD303@1 RD904@1", ""},
		{"without a reason", "a: ^RD303 # redress:ignore RD303\n", "RD303@1 RD901@1", ""},
		{"with an empty reason", "a: ^RD303 # redress:ignore RD303 --\n", "RD303@1 RD901@1", ""},
		{"unknown rule", "a: ^RD303 # redress:ignore RD333 -- why\n", "RD303@1 RD904@1", ""},
		{"an error of the loader", "a: ^RD003 # redress:ignore RD003 -- why\n", "RD003@1 RD904@1", ""},
		{"misspelt", "a: ^RD303 # redress:ingore RD303 -- why\n", "RD303@1 RD904@1", ""},
		{"not looked for, so not unused", "a: 1 # redress:ignore RD602 -- off\n", "", ""},
		{"CRLF", "a: ^RD303 # redress:ignore RD303 -- alone\r\nb: 1\r\n", "", "alone"},
		{"last line without break", "# redress:ignore RD303 -- alone", "RD902@1", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			src := dsl.NewSource("p.yaml", []byte(row.text))
			var found dsl.Diagnostics
			for at := 0; ; {
				i := bytes.IndexByte(src.Bytes[at:], '^')
				if i < 0 {
					break
				}
				at += i + 1
				found = append(found, dsl.Diagnostic{Range: dsl.Range{Source: src, Start: at - 1, End: at + 5}, Code: codes[string(src.Bytes[at:at+5])], Message: "m"})
			}
			kept, silenced := suppress.Apply([]*dsl.Source{src}, found, today, func(_ string, code dsl.Code) bool { return code.ID != "RD602" })
			var left, reasons []string
			for _, d := range kept {
				left = append(left, fmt.Sprintf("%s@%d", d.Code.ID, d.Range.Position().Line))
			}
			for _, s := range silenced {
				reasons = append(reasons, s.Reason)
			}
			if got := strings.Join(left, " "); !sameWords(got, row.left) {
				t.Errorf("left %q, want %q", got, row.left)
			}
			if got := strings.Join(reasons, " "); got != row.reasons {
				t.Errorf("silenced for %q, want %q", got, row.reasons)
			}
		})
	}
}

var codes = map[string]dsl.Code{"RD003": dsl.CodeUnknownKey, "RD203": dsl.CodeShadowed, "RD303": dsl.CodeNoJitter, "RD314": dsl.CodeImmediate}

func sameWords(a, b string) bool {
	count := map[string]int{}
	for _, w := range strings.Fields(a) {
		count[w]++
	}
	for _, w := range strings.Fields(b) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
