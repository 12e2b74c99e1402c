package lint_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/redress-policy/redress/internal/lint"
)

// A defect is a standard input that panics, in place of a defect of the linter.
type defect struct{}

func (defect) Read([]byte) (int, error) { panic("a defect") }

func TestACrashHasItsExitCodeAndAWellFormedReport(t *testing.T) {
	for format, wellFormed := range map[string]func([]byte) bool{
		"json":       json.Valid,
		"sarif":      json.Valid,
		"junit":      func(b []byte) bool { return xml.Unmarshal(b, new(struct{})) == nil },
		"checkstyle": func(b []byte) bool { return xml.Unmarshal(b, new(struct{})) == nil },
	} {
		var stdout, stderr bytes.Buffer
		command := lint.Command{Stdin: defect{}, Stdout: &stdout, Stderr: &stderr}
		if code := command.Main([]string{"--output=" + format, "-"}); code != lint.ExitInternal {
			t.Errorf("%s: exit code %d, want %d\n%s", format, code, lint.ExitInternal, &stderr)
		}
		if !wellFormed(stdout.Bytes()) || !strings.Contains(stdout.String(), "a defect") {
			t.Errorf("%s: the report is not well-formed, or does not tell:\n%s", format, &stdout)
		}
		if !strings.Contains(stderr.String(), "internal error: a defect") {
			t.Errorf("%s: on standard error:\n%s", format, &stderr)
		}
	}
}
