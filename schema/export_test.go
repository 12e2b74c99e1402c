package schema

import (
	"cmp"
	"errors"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// Annotations are the keywords that the bare schema does without.
var Annotations = annotations

// BareJSON returns the text of the bare schema.
func BareJSON() []byte { return bareText }

// CompileText compiles any schema to rules.
func CompileText(text string) error {
	_, err := compileRules([]byte(text))
	return err
}

// Faults are the keywords that a value fails, by our rules: pointers to value and keyword,
// sorted, each once.
func Faults(v any) (list [][2]string, err error) {
	if v, err = plain(v, 0); err != nil {
		return nil, err
	}
	if rules().accept(v) {
		return nil, nil
	}
	var all faults
	all.find(rules(), v, "")
	for _, f := range all {
		list = append(list, [2]string{f.value, f.keyword})
	}
	return sorted(list), nil
}

// FaultsByValidator are the same by a validator of the whole draft. The branches above the
// leaves of its errors only repeat that something below failed; the branches of an anyOf
// say less than the anyOf itself.
func FaultsByValidator(v any) (list [][2]string, err error) {
	if v, err = plain(v, 0); err != nil {
		return nil, err
	}
	failure := validator().Validate(v)
	if failure == nil {
		return nil, nil
	}
	var tree *jsonschema.ValidationError
	if !errors.As(failure, &tree) {
		return nil, failure
	}
	var collect func(e *jsonschema.ValidationError)
	collect = func(e *jsonschema.ValidationError) {
		_, fragment, _ := strings.Cut(e.AbsoluteKeywordLocation, "#")
		if _, keyword := cutLast(fragment); keyword == "anyOf" || len(e.Causes) == 0 {
			list = append(list, [2]string{unescape(e.InstanceLocation), unescape(fragment)})
			return
		}
		for _, cause := range e.Causes {
			collect(cause)
		}
	}
	collect(tree)
	return sorted(list), nil
}

var validator = sync.OnceValue(func() *jsonschema.Schema { return jsonschema.MustCompileString(ID, string(text)) })

// unescape turns a pointer as it stands in a URL into the pointer itself.
func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func sorted(list [][2]string) [][2]string {
	slices.SortFunc(list, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return slices.Compact(list)
}
