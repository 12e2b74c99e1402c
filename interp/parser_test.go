package interp

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"

	"github.com/redress-policy/redress/dsl"
)

// Whatever is written, right or wrong or by a generator, is parsed as cel-go's own parser
// parses it; and nothing is left to that but what is no expression, and records.
func TestExpressionsAreParsedAsCELGoDoes(t *testing.T) {
	env, own := plainLanguage(t)
	parsed := 0
	compare := func(text string) {
		t.Helper()
		got, ok := own.parser.Parse(text)
		want, issues := env.Parse(text)
		switch refused := issues.Err() != nil; {
		case ok && refused:
			t.Errorf("cel-go refuses %q: %v", text, issues.Err())
		case ok && !reflect.DeepEqual(got, want):
			t.Errorf("%q is not parsed as by cel-go", text)
		case !ok && !refused && utf8.ValidString(text) && !makesRecord(want):
			t.Errorf("%q is left to cel-go", text)
		case ok:
			parsed++
		}
	}
	mutations(t, 3, compare)
	for seed := range uint64(1000) {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 5)), site: site(seed % 3)}
		compare(g.boolean(5))
		compare(g.duration(5))
	}
	if parsed < 2000 {
		t.Errorf("only %d expressions were parsed", parsed)
	}
}

// Nothing of the built-in packs and of the good documents is left to cel-go's own parser.
func TestOrdinaryPoliciesDoNotNeedCELGosParser(t *testing.T) {
	var sources []*dsl.Source
	for _, name := range Packs() {
		text, _ := PackSource(name)
		sources = append(sources, dsl.NewSource(name, text))
	}
	sources = append(sources, sourcesOf(t, "../testdata/policies/ok/*.yaml")...)
	_, lang := plainLanguage(t)
	n := 0
	set, _ := dsl.ParseSet(sources)
	for _, file := range set.Files {
		eachExpr(reflect.ValueOf(file.Documents), func(e dsl.Expr) {
			if _, ok := lang.parser.Parse(e.Text); !ok {
				t.Errorf("%s: %s is left to cel-go", file.Source.Name, e.Text)
			}
			n++
		})
	}
	if n < 300 {
		t.Errorf("only %d expressions were found", n)
	}
}

// plainLanguage is cel-go's environment without attributes and vars, and what stands for
// its parser and checker.
func plainLanguage(t *testing.T) (*cel.Env, *language) {
	t.Helper()
	plain, err := plainEnv()
	if err != nil {
		t.Fatal(err)
	}
	env, err := plain.provider.environment()
	if err != nil {
		t.Fatal(err)
	}
	return env, plain.lang
}

// sourcesOf reads the files of patterns, each of which must have some.
func sourcesOf(t *testing.T, patterns ...string) []*dsl.Source {
	t.Helper()
	var sources []*dsl.Source
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: nothing, %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			sources = append(sources, dsl.NewSource(file, text))
		}
	}
	return sources
}

// eachExpr finds all expressions in a value.
func eachExpr(v reflect.Value, found func(dsl.Expr)) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*dsl.Source]() {
			eachExpr(v.Elem(), found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachExpr(v.Index(i), found)
		}
	case reflect.Struct:
		if e, ok := v.Interface().(dsl.Expr); ok {
			if e.Set {
				found(e)
			}
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				eachExpr(v.Field(i), found)
			}
		}
	}
}

func makesRecord(parsed *cel.Ast) bool {
	found := false
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) { found = found || e.Kind() == ast.StructKind }))
	return found
}
