package load

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
	"github.com/redress-policy/redress/schema"
)

func TestLocalCold(t *testing.T) {
	f := os.Getenv("COLD")
	if f == "" {
		t.Skip()
	}
	text, _ := os.ReadFile(f)
	t0 := time.Now()
	lap := func(name string) {
		fmt.Printf("%s %d\n", name, time.Since(t0).Microseconds())
		t0 = time.Now()
	}
	file, _ := dsl.Parse(dsl.NewSource("p.yaml", text))
	lap("parse")
	if os.Getenv("SLOW") != "" {
		schema.Validate(nil)
	}
	lap("schema-nil-slow")
	checkSchema(file.Documents[0])
	lap("schema")
	c := interp.NewCompiler(interp.Options{})
	empty, _ := dsl.Parse(dsl.NewSource("e.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - id: a\n    when: err.status == 429\n    class: TRANSIENT\n")))
	c.Compile(&dsl.Set{Files: []*dsl.File{empty}})
	lap("env+first")
	http, _ := dsl.Parse(dsl.NewSource("e.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: p\nclassify:\n  - use: std.http\n")))
	c.Compile(&dsl.Set{Files: []*dsl.File{http}})
	lap("std.http")
	prog, _ := c.Compile(&dsl.Set{Files: []*dsl.File{file}})
	lap("compile")
	for _, p := range prog.Policies() {
		p.Classify()
	}
	lap("classify lists")
}
