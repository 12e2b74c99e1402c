package format

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
)

var update = flag.Bool("update", false, "write the golden files anew")

// corpus are the files of the repository that load.
func corpus(t testing.TB) (files []string) {
	t.Helper()
	for _, pattern := range []string{
		"testdata/policies/ok/*.yaml", "testdata/scenarios/*.yaml", "interp/packs/*.yaml", "examples/*/*.yaml",
	} {
		found, err := filepath.Glob(filepath.Join("../..", pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustFormat(t testing.TB, name string, text []byte) []byte {
	t.Helper()
	out, err := Format(name, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return out
}

func TestGoldenFiles(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("%d golden files, %v", len(inputs), err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			text := read(t, input)
			got := mustFormat(t, input, text)
			checkPromises(t, text, got)
			checkSpacing(t, got)
			golden := strings.Replace(input, ".in.", ".out.", 1)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := read(t, golden); string(got) != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestEveryFileKeepsThePromises(t *testing.T) {
	for _, file := range corpus(t) {
		text := read(t, file)
		got := mustFormat(t, file, text)
		checkPromises(t, text, got)
		checkSpacing(t, got)
	}
}

func TestFilesWithOtherMistakesAreFormatted(t *testing.T) {
	files, err := filepath.Glob("../../testdata/policies/bad/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	formatted := 0
	for _, file := range files {
		text := read(t, file)
		got, err := Format(file, text)
		var refused *dsl.DocumentError
		switch {
		case err == nil:
			formatted++
			checkPromises(t, text, got)
		case !errors.As(err, &refused) || strings.Contains(err.Error(), "not formatted"):
			t.Error(err)
		}
	}
	if formatted < len(files)/2 {
		t.Errorf("only %d of %d files were formatted", formatted, len(files))
	}
}

func TestCanonicalExampleOfTheLanguageStaysAsItIs(t *testing.T) {
	text := read(t, "testdata/order.out.yaml")
	if got := mustFormat(t, "order.yaml", text); string(got) != string(text) {
		t.Errorf("got\n%s", got)
	}
}

// checkPromises holds a result against its source. Beside what Format checks itself
// it looks at the bytes without this package's reader.
func checkPromises(t testing.TB, text, got []byte) {
	t.Helper()
	again, err := Format("again.yaml", got)
	if err != nil || string(again) != string(got) {
		t.Errorf("formatting again gives %v\n%s\nafter\n%s", err, again, got)
	}
	if a, b := documents(text), documents(got); !reflect.DeepEqual(a, b) {
		t.Errorf("the documents differ:\n%v\n%v\nof\n%s\nand\n%s", a, b, text, got)
	}
	if a, b := letters(text), letters(got); a != b {
		t.Errorf("bytes are lost or new:\n%s\nand\n%s", text, got)
	}
}

func documents(text []byte) (all []any) {
	file, _ := dsl.Parse(dsl.NewSource("a.yaml", text))
	for _, d := range file.Documents {
		all = append(all, d.JSON())
	}
	return all
}

// letters are the bytes of a text but for blanks, line breaks and carriage returns,
// in order of their values.
func letters(text []byte) string {
	b := slices.DeleteFunc(slices.Clone(text), func(c byte) bool { return strings.IndexByte(" \t\r\n", c) >= 0 })
	slices.Sort(b)
	return string(b)
}

// checkSpacing looks at what can be said of every line, where no text in quotes or
// block makes it doubtful. Of scalars without quotes that go on over several lines the
// blanks at the ends of lines are kept, so those must not be in it.
func checkSpacing(t testing.TB, got []byte) {
	t.Helper()
	text := strings.ReplaceAll(string(got), "\r\n", "\n")
	if strings.ContainsAny(text, "|>\"'") {
		return
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.TrimRight(line, " \t") != line {
			t.Errorf("line %d ends with blanks: %q", i+1, line)
		}
	}
	if !strings.HasSuffix(text, "\n") || strings.HasSuffix(text, "\n\n") || strings.Contains(text, "\n\n\n") || strings.HasPrefix(text, "\n") {
		t.Errorf("empty lines:\n%s", text)
	}
}

func TestUnreadableTextIsRefusedWithItsPlace(t *testing.T) {
	const head = "apiVersion: redress/v1\nkind: Policy\nname: a\n"
	for _, test := range []struct{ name, text, want string }{
		{"nothing", "", "1:1"},
		{"comments alone", "# nothing\n", "1:1"},
		{"a list", "- a\n", "1:1"},
		{"a text", "text\n", "1:1"},
		{"a bracket that is not closed", head + "classify: [a\n", "4:"},
		{"a quote that is not closed", head + "owner: 'a\n", "4:8"},
		{"tabs", head + "retry:\n\tdeadline: 1s\n", "5:1"},
		{"a key given twice", head + "name: b\n", "4:1"},
		{"a merge", head + "x-a: &a {b: c}\nx-b:\n  <<: *a\n", "6:3"},
		{"a foreign tag", head + "owner: !team a\n", "4:8"},
		{"an unknown anchor", head + "owner: *team\n", "4:8"},
		{"an expression that YAML cuts", head + "classify:\n  - id: a\n    when: err.code == \"A #1\"\n    class: AUTH\n", "6:26"},
		{"a byte order mark", "\ufeff" + head, "1:1"},
		{"bytes that are no text", head + "owner: \xff\n", "4:8"},
		{"a lone carriage return", head + "owner: a\rb\n", "4:9"},
	} {
		got, err := Format("a.yaml", []byte(test.text))
		var refused *dsl.DocumentError
		if got != nil || !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "a.yaml:"+test.want) {
			t.Errorf("%s: %q, %v; want an error at %s", test.name, got, err, test.want)
		}
	}
}

func TestInputIsNotChanged(t *testing.T) {
	text := read(t, "testdata/order.in.yaml")
	before := string(text)
	mustFormat(t, "a.yaml", text)
	if string(text) != before {
		t.Error("Format wrote into its input")
	}
}

func TestWhatIsLostIsNoticed(t *testing.T) {
	const text = "apiVersion: redress/v1 # one\nkind: Policy # two\nname: a\nvars: {b: c, d: e}\n"
	for name, other := range map[string]string{
		"comment":  strings.Replace(text, "# two", "", 1),
		"twice":    text + "# two\n",
		"value":    strings.Replace(text, "name: a", "name: b", 1),
		"style":    strings.Replace(text, "name: a", "name: 'a'", 1),
		"order":    strings.Replace(text, "{b: c, d: e}", "{d: e, b: c}", 1),
		"mistake":  strings.Replace(text, "name: a", "name: a\nx-a: b", 1),
		"document": text + "---\n" + text,
	} {
		a, err := load("a.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		b, err := load("a.yaml", other)
		if err != nil {
			t.Fatal(err)
		}
		if a.difference(b) == "" {
			t.Errorf("%s: not noticed", name)
		}
	}
}
