package redress_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A program pays for what its packages prepare each time that it starts, whether it needs
// it or not, and regular expressions are most of that. Those of variables are compiled when
// they are first used. That they are right, which this puts off, is seen here.
func TestNoRegularExpressionIsCompiledWhenAProgramStarts(t *testing.T) {
	lazy := 0
	for _, path := range codeFiles(t) {
		if strings.HasPrefix(filepath.ToSlash(path), "bench/") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range callsAtStart(file) {
			switch name := nameOf(call.Fun); {
			case strings.HasPrefix(name, "regexp."):
				t.Errorf("%s: %s runs when a program starts; lazyregexp.New does not", files.Position(call.Pos()), name)
			case name == "lazyregexp.New":
				lazy++
				if _, err := regexp.Compile(textOf(t, call.Args[0])); err != nil {
					t.Errorf("%s: %v", files.Position(call.Pos()), err)
				}
			}
		}
	}
	if lazy < 30 {
		t.Errorf("%d regular expressions were found, of which there are more", lazy)
	}
}

// callsAtStart are the calls of a file that run when a program starts: those in variables
// of the package and in functions init, without what stands in functions of theirs.
func callsAtStart(file *ast.File) []*ast.CallExpr {
	var calls []*ast.CallExpr
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && (f.Name.Name != "init" || f.Recv != nil) {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				calls = append(calls, call)
			}
			_, isFunc := n.(*ast.FuncLit)
			return !isFunc
		})
	}
	return calls
}

// nameOf is the name of a function of a package, such as regexp.MustCompile, "" of others.
func nameOf(function ast.Expr) string {
	if selected, ok := function.(*ast.SelectorExpr); ok {
		if of, ok := selected.X.(*ast.Ident); ok {
			return of.Name + "." + selected.Sel.Name
		}
	}
	return ""
}

// textOf is a text as it is written, perhaps in parts that are added.
func textOf(t *testing.T, e ast.Expr) string {
	t.Helper()
	switch e := e.(type) {
	case *ast.BinaryExpr:
		return textOf(t, e.X) + textOf(t, e.Y)
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	}
	t.Fatalf("a regular expression that is not written out where it is made")
	return ""
}
