package interp

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

var update = flag.Bool("update", false, "rewrite testdata/expression-errors.txt; read the difference before you commit it")

// withExpression is a policy in which an expression stands at a site: classify,
// classify_result, select, retry_after or var.
func withExpression(site, expr string) string {
	at := map[string]string{"classify": "err.timeout", "classify_result": "result.status == 1", "select": "attempt == 1", "retry_after": "err.retry_after", "var": "attempt == 1"}
	at[site] = expr
	for name, text := range at {
		at[name] = "|-\n      " + strings.ReplaceAll(text, "\n", "\n      ") + "\n"
	}
	return header + `attributes:
  decline_code: string
vars:
  throttled: err.status == 429
  of_result: result.status == 202
  own: ` + at["var"] + `  later: attempt == 2
classify:
  - id: r
    class: TRANSIENT
    when: ` + at["classify"] + `    retry_after: ` + at["retry_after"] + `classify_result:
  - id: s
    class: TRANSIENT
    when: ` + at["classify_result"] + `retry:
  select:
  - id: t
    strategy: stop
    when: ` + at["select"]
}

// TestWhatIsSaidOfWrongExpressions compares messages, helps and underlined text with
// those of the file.
func TestWhatIsSaidOfWrongExpressions(t *testing.T) {
	const file = "testdata/expression-errors.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(string(text)), "\n\n") {
		input, _, _ := strings.Cut(block, "\n")
		site, expr, ok := strings.Cut(input, ": ")
		if !ok {
			t.Fatalf("%q is no site and expression", input)
		}
		_, found := compileText(withExpression(site, strings.ReplaceAll(expr, `\n`, "\n")), Options{})
		if len(found) == 0 {
			t.Errorf("nothing is said of %s", input)
		}
		fmt.Fprintln(&got, input)
		for _, d := range found {
			fmt.Fprintf(&got, "\t%s %s\n\t\tat   %s\n", d.Code.ID, d.Message, strings.ReplaceAll(d.Range.Text(), "\n", `\n`))
			if d.Help != "" {
				fmt.Fprintf(&got, "\t\thelp %s\n", d.Help)
			}
			noRawWords(t, expr, d)
		}
		fmt.Fprintln(&got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(strings.TrimSpace(got.String())+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	gotBlocks, wantBlocks := strings.Split(strings.TrimSpace(got.String()), "\n\n"), strings.Split(strings.TrimSpace(string(text)), "\n\n")
	for i := range wantBlocks {
		if gotBlocks[i] != wantBlocks[i] {
			t.Errorf("got:\n%s\nwant:\n%s", gotBlocks[i], wantBlocks[i])
		}
	}
}

// rawWords are of CEL and its parser, and not of the language.
var rawWords = []string{
	"<EOF>", "token recognition", "mismatched", "extraneous", "viable alternative", "Syntax error", "ERROR:", "overload", "applied to", "undeclared", "container",
	"google.protobuf", "redress.", "list(", "map(", "optional_type", "dyn", "_==_", "_&&_", "@in", "@result", "__result", "comprehension", "macro", "unexpected", "expecting",
	"parse element", "exceeds limit", "interp:", "%!", "!error!", "undefined field", "<nil>", "panic",
}

// noRawWords holds a diagnostic against rawWords; what the user wrote is no matter of
// ours.
func noRawWords(t *testing.T, expr string, d dsl.Diagnostic) {
	t.Helper()
	if d.Code == dsl.CodeBadRegex { // in the words of RE2
		return
	}
	for _, raw := range rawWords {
		if said := strings.ReplaceAll(d.Message+"\n"+d.Help, d.Range.Text(), ""); strings.Contains(said, raw) && !strings.Contains(expr, raw) {
			t.Errorf("of %s is said %q, help %q, with %q in it", expr, d.Message, d.Help, raw)
		}
	}
}
