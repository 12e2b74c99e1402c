package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFailureCodesAreWellFormedAndUnique(t *testing.T) {
	word := regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	seen := map[string]bool{}
	for _, c := range FailureCodes() {
		key := string(c.Kind) + " " + c.Code
		if seen[key] && c.Code != "" && c.Code != codeRefusedStream {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if c.Code != "" && !word.MatchString(c.Code) {
			t.Errorf("%s is not an upper-case word", key)
		}
		if !slices.Contains(Kinds(), c.Kind) || !slices.Contains(Phases(), c.Phase) || c.Source == "" {
			t.Errorf("%s: kind, phase or source is missing: %+v", key, c)
		}
	}
	for _, k := range Kinds() {
		if !slices.ContainsFunc(FailureCodes(), func(c FailureCode) bool { return c.Kind == k }) && k != UnknownKind {
			t.Errorf("nothing is said of kind %s", k)
		}
	}
}

// TestEveryFailureCodeHasARowInATest looks for the table's lines in the tables of the
// tests, as what prints them.
func TestEveryFailureCodeHasARowInATest(t *testing.T) {
	files, err := filepath.Glob("failure*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no tests to look at", err)
	}
	var tests strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, c := range failureCodes {
		row := fmt.Sprintf("%q", what(&Failure{Kind: c.Kind, Code: c.Code, Phase: c.Phase, Timeout: c.Timeout}))
		if c.Code != "" && !strings.Contains(tests.String(), row) {
			t.Errorf("no test expects %s", row)
		}
	}
}

func TestEveryErrnoOfTheTableHasANumber(t *testing.T) {
	for number, name := range errnoNames {
		f := FailureOf(number, nil)
		i := slices.IndexFunc(errnoCodes, func(e errnoCode) bool { return e.name == name })
		if i < 0 {
			t.Errorf("%s is not in errnoCodes", name)
			continue
		}
		e := errnoCodes[i]
		if want := what(&Failure{Kind: e.kind, Code: name, Phase: e.phase, Timeout: e.timeout}); what(f) != want {
			t.Errorf("got %s, want %s", what(f), want)
		}
	}
	for _, e := range errnoCodes {
		if !slices.Contains(errnoNamesList(), e.name) {
			t.Errorf("%s has no number", e.name)
		}
	}
}

func TestEveryGRPCCodeHasItsName(t *testing.T) {
	for code, name := range grpcNames {
		want := KindGRPC
		if code == 0 {
			want, name = UnknownKind, ""
		}
		f := FailureOf(&grpcError{&grpcStatusOf{code: grpcCode(code)}}, nil)
		if f.Kind != want || f.Code != name || f.Phase != map[bool]Phase{true: grpcPhase(name), false: PhaseUnknown}[code != 0] {
			t.Errorf("%d: got %s, want %s", code, what(f), name)
		}
	}
}

func TestEveryHTTP2CodeHasItsName(t *testing.T) {
	for code, name := range http2Names {
		f := FailureOf(http2Error(t, resetFrame(uint32(code))), nil)
		if want := fmt.Sprintf("net HTTP2_%s %s", name, http2Phase("HTTP2_"+name)); what(f) != want {
			t.Errorf("%d: got %s, want %s: %v", code, what(f), want, f.Err)
		}
	}
}

type stranger string

func (s stranger) Error() string { return string(s) }

func TestWordsOfTheStandardLibraryAreKnownInItsErrorsAlone(t *testing.T) {
	for _, w := range wordings {
		text := w.before + w.inside + w.after
		if f := FailureOf(stranger(text), nil); f.Kind != UnknownKind || f.Phase != PhaseUnknown {
			t.Errorf("%q of somebody's own type: got %s", text, what(f))
		}
		f := FailureOf(errors.New(text), nil)
		if f.Kind != w.kind || f.Code != w.code {
			t.Errorf("%q: got %s, want %s %s; a wording before it is in its way", text, what(f), w.kind, w.code)
		}
		if f := FailureOf(errors.New("charge: "+text), nil); w.before != "" && f.Kind != UnknownKind && w.after == "" {
			t.Errorf("%q within other words: got %s", text, what(f))
		}
	}
	if f := FailureOf(fmt.Errorf("tls: %w", io.EOF), nil); f.Code != "EOF" {
		t.Errorf("words count before what they wrap: %s", what(f))
	}
}
