package dsl

import (
	"encoding/json"
	"reflect"
	"testing"
)

// valueOf writes a node as JSON has it, by what it says of itself.
func valueOf(n Node) any {
	switch n.Type() {
	case "object":
		m := map[string]any{}
		for i := range n.Len() {
			key, value := n.Entry(i)
			m[key] = valueOf(value)
		}
		return m
	case "array":
		list := make([]any, n.Len())
		for i := range list {
			_, value := n.Entry(i)
			list[i] = valueOf(value)
		}
		return list
	case "number":
		return json.Number(n.Text())
	case "boolean":
		return n.Text() == "true"
	case "null":
		return nil
	}
	return n.Text()
}

// TestNodesSayWhatJSONSays, of all documents whose keys are distinct.
func TestNodesSayWhatJSONSays(t *testing.T) {
	all := texts(t)
	all["odd"] = []byte("a: &a {b: [1, -0, 017, 0x1F, 1e3, .5, 2., .inf, 1_000, True, FALSE, ~, null, 2026-01-01, '5']}\nc: *a\nd: [*a, {}, []]\n503: !!str 4\n")
	for name, text := range all {
		file, found := Parse(NewSource(name, text))
		for _, doc := range file.Documents {
			distinct := true
			for _, d := range found {
				distinct = distinct && d.Code != CodeDuplicateKey
			}
			if got, want := valueOf(doc.Root()), doc.JSON(); distinct && !reflect.DeepEqual(got, want) {
				t.Errorf("%s: the nodes say\n%v\nand JSON\n%v", name, got, want)
			}
		}
	}
}
