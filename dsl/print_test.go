package dsl_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redress-policy/redress/dsl"
)

// TestCaretsStandUnderTheVeryCharacters prints a finding about the part of each text
// that stands between « and ».
func TestCaretsStandUnderTheVeryCharacters(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"plain", "a: «b» c\n", "  1 | a: b c\n    |    ^\n"},
		{"behind a tab", "a:\t«b»\n", "  1 | a: b\n    |    ^\n"},
		{"behind an accent", "é: «b»\n", "  1 | é: b\n    |    ^\n"},
		{"behind wide characters", "日本: «b»\n", "  1 | 日本: b\n    |       ^\n"},
		{"wide characters", "a: «日本»\n", "  1 | a: 日本\n    |    ^^^^\n"},
		{"behind an emoji", "😀: «b»\n", "  1 | 😀: b\n    |     ^\n"},
		{"CRLF", "x: 1\r\na: «b»\r\n", "  2 | a: b\n    |    ^\n"},
		{"nothing", "a: «»\n", "  1 | a:\n    |    ^\n"},
		{"the end of the file", "a: b\n«»", "  2 |\n    | ^\n"},
		{"over several lines", "a: «b\n  c»\n", "  1 | a: b\n    |    ^\n"},
		{"a control character", "a: «\x01»\n", "  1 | a: ·\n    |    ^\n"},
	} {
		before, rest, _ := strings.Cut(row.text, "«")
		part, after, _ := strings.Cut(rest, "»")
		src := dsl.NewSource("f.yaml", []byte(before+part+after))
		d := dsl.Diagnostic{Range: dsl.Range{Source: src, Start: len(before), End: len(before) + len(part)}, Code: dsl.CodeSyntax, Message: "m"}
		var got bytes.Buffer
		d.Print(&got, dsl.PrintOptions{})
		_, snippet, _ := strings.Cut(got.String(), "\n")
		if trimmed := strings.ReplaceAll(snippet, " \n", "\n"); trimmed != row.want {
			t.Errorf("%s:\n%s\nwant:\n%s", row.name, trimmed, row.want)
		}
	}
}

func TestALongLineIsCutAroundItsMistake(t *testing.T) {
	text := strings.Repeat("a", 500_000) + "HERE" + strings.Repeat("b", 500_000)
	src := dsl.NewSource("f.yaml", []byte(text))
	var got bytes.Buffer
	dsl.Diagnostic{Range: dsl.Range{Source: src, Start: 500_000, End: 500_004}, Code: dsl.CodeSyntax, Message: "m"}.Print(&got, dsl.PrintOptions{})
	lines := strings.Split(got.String(), "\n")
	if got.Len() > 1000 || strings.Index(lines[1], "HERE") != strings.Index(lines[2], "^^^^") {
		t.Errorf("%d bytes:\n%.400s", got.Len(), got.String())
	}
}

func TestColourIsOnlyThereWhenAskedFor(t *testing.T) {
	d := dsl.Diagnostic{Range: dsl.Range{Source: dsl.NewSource("f", []byte("a"))}, Code: dsl.CodeSyntax, Message: "m", Help: "h"}
	for _, color := range []bool{false, true} {
		var got bytes.Buffer
		d.Print(&got, dsl.PrintOptions{Color: color})
		if strings.Contains(got.String(), "\x1b[") != color {
			t.Errorf("colour %v: %q", color, got.String())
		}
	}
}

func TestNearest(t *testing.T) {
	candidates := []string{"max_attempts", "deadline", "strategy", "classes", "select", "budget", "attempt_timeout"}
	for word, want := range map[string]string{
		"max_atempts": "max_attempts", "maxAttempts": "max_attempts", "max-attempts": "max_attempts", "MAX_ATTEMPTS": "max_attempts",
		"dedaline": "deadline", "strategi": "strategy", "class": "classes", "budgte": "budget",
		"frobnicate": "", "": "", "x": "", strings.Repeat("max_attempts", 20): "",
	} {
		got, ok := dsl.Nearest(word, candidates)
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestExpressionsPointIntoTheFile asks for a part of the same expression in every
// style of scalar, and compares what stands there.
func TestExpressionsPointIntoTheFile(t *testing.T) {
	for _, row := range []struct{ style, scalar, at string }{
		{"plain", " err.status == 429", "429"},
		{"plain over lines", " err.status\n      == 429", "429"},
		{"single-quoted", " 'err.code == ''A'' && err.status == 429'", "429"},
		{"double-quoted", ` "err.code == \"A\" && err.status == 429"`, "429"},
		{"double-quoted with escapes", ` "\u0065rr.status == 429"`, "429"},
		{"literal", " |\n      err.timeout ||\n      err.status == 429\n", "429"},
		{"literal with indentation", " |2\n        err.status == 429\n", "429"},
		{"folded", " >-\n      err.timeout ||\n      err.status == 429\n", "429"},
		{"anchored", " &a err.status == 429", "429"},
		{"tagged", " !!str err.status == 429", "429"},
		{"behind wide characters", ` 'err.code == "日本😀" || err.status == 429'`, "429"},
	} {
		for _, crlf := range []bool{false, true} {
			text := "apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - id: r\n    class: TRANSIENT\n    when:" + row.scalar + "\n"
			if crlf {
				text = strings.ReplaceAll(text, "\n", "\r\n")
			}
			file, found := dsl.Parse(dsl.NewSource("f.yaml", []byte(text)))
			if err := found.Err(); err != nil {
				t.Errorf("%s: %v", row.style, err)
				continue
			}
			when := file.Documents[0].Policy.Classify[0].When
			start := strings.Index(string([]rune(when.Text)), row.at)
			start = len([]rune(when.Text[:start]))
			place := when.Place(start, start+len(row.at))
			if got := place.Text(); got != row.at || place.Start < strings.Index(text, "when:") {
				t.Errorf("%s (CRLF %v): code points %d to %d of %q are %q at byte %d", row.style, crlf, start, start+len(row.at), when.Text, got, place.Start)
			}
		}
	}
}

func TestAnAliasPointsAtTheAnchoredCharacters(t *testing.T) {
	text := "apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - {id: a, when: &w err.status == 429, class: TRANSIENT}\n  - {id: b, when: *w, class: TRANSIENT}\n"
	file, found := dsl.Parse(dsl.NewSource("f.yaml", []byte(text)))
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	when := file.Documents[0].Policy.Classify[1].When
	if got := when.Place(14, 17); got.Text() != "429" || got.Position().Line != 5 {
		t.Errorf("the alias points at %q in line %d", got.Text(), got.Position().Line)
	}
}

func TestReadFSReadsPoliciesAndNothingElse(t *testing.T) {
	fsys := fstest.MapFS{
		"a.yaml": {Data: []byte("a")}, "sub/b.yml": {Data: []byte("b")}, "sub/deep/c.yaml": {Data: []byte("c")},
		"readme.md": {Data: []byte("x")}, ".hidden.yaml": {Data: []byte("x")}, ".git/config.yaml": {Data: []byte("x")}, "d.YAML": {Data: []byte("x")},
	}
	sources, err := dsl.ReadFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sources {
		names = append(names, s.Name)
	}
	if want := []string{"a.yaml", "sub/b.yml", "sub/deep/c.yaml"}; !slices.Equal(names, want) {
		t.Errorf("read %v, want %v", names, want)
	}
}

// TestReadFSFollowsLinksAsConfigMapsHaveThem lays a folder as Kubernetes mounts a
// ConfigMap: files are links into a hidden folder that is swapped.
func TestReadFSFollowsLinksAsConfigMapsHaveThem(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "..2025"), 0o755),
		os.WriteFile(filepath.Join(dir, "..2025", "p.yaml"), []byte("x"), 0o644),
		os.Symlink("..2025", filepath.Join(dir, "..data")),
		os.Symlink(filepath.Join("..data", "p.yaml"), filepath.Join(dir, "p.yaml")),
		os.Symlink(".", filepath.Join(dir, "loop.yaml")),
	} {
		if err != nil {
			t.Skipf("links cannot be made here: %v", err)
		}
	}
	sources, err := dsl.ReadFS(os.DirFS(dir))
	if err != nil || len(sources) != 1 || sources[0].Name != "p.yaml" || string(sources[0].Bytes) != "x" {
		t.Errorf("read %v, %v; want p.yaml alone", sources, err)
	}
}

type brokenFS struct{ fstest.MapFS }

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == "broken.yaml" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return b.MapFS.Open(name)
}

func TestAnUnreadableFileIsAnErrorThatNamesIt(t *testing.T) {
	_, err := dsl.ReadFS(brokenFS{fstest.MapFS{"broken.yaml": {}, "good.yaml": {Data: []byte("a")}}})
	if err == nil || !strings.Contains(err.Error(), "broken.yaml") {
		t.Errorf("got %v, want an error that names broken.yaml", err)
	}
}
