package format

import (
	"slices"
	"strings"
	"sync"

	"github.com/redress-policy/redress/dsl"
)

// A shape says of a mapping in which order its keys stand, and which shape the values
// have. Of a list it says which shape the entries have.
type shape struct {
	keys   []string          // in order; none if the keys are the user's
	last   []string          // keys behind those, in the user's order
	values map[string]*shape // by key
	each   *shape            // of entries of lists, and of keys that are the user's
}

// rank is the place of a key among the others. ok is false if the language does not
// have it here.
func (s *shape) rank(key string) (rank int, ok bool) {
	if i := slices.Index(s.keys, key); i >= 0 {
		return i, true
	}
	if slices.Contains(s.last, key) {
		return len(s.keys), true
	}
	return len(s.keys) + 1, isOwn(key)
}

// isOwn reports whether a key is the user's own, of which the language knows nothing.
func isOwn(key string) bool { return strings.HasPrefix(key, "x-") }

// of is the shape of what stands behind a key, or of an entry of a list, nil if it is
// not known. isKey is false for entries of lists and for keys that are no names.
func (s *shape) of(key string, isKey bool) *shape {
	switch {
	case s == nil || isKey && isOwn(key):
		return nil
	case !isKey || len(s.keys) == 0 && s.values == nil:
		return s.each
	}
	return s.values[key]
}

// shapeOf is the shape of a document, nil if its kind is not known.
func shapeOf(root *node) *shape {
	for _, e := range root.entries {
		if name, ok := e.name(); ok && name == "kind" && e.value != nil && e.value.kind == scalarNode {
			kind, _ := plainName(e.value.text)
			return kinds()[kind]
		}
	}
	if root.kind != flowNode {
		return nil
	}
	f, _ := parseFlow(root.tokens)
	for _, e := range f.entries {
		if name, ok := e.name(); ok && name == "kind" && len(e.parts) == 3 {
			kind, _ := plainName(e.parts[2].token.text)
			return kinds()[kind]
		}
	}
	return nil
}

func words(list string) []string { return strings.Fields(list) }

func listOf(entry *shape) *shape { return &shape{each: entry} }

var kinds = sync.OnceValue(documentShapes)

func documentShapes() map[string]*shape {
	strategy := strategyShape()
	rule := &shape{keys: words("id when class retry_after use")}
	selection := &shape{keys: words("id when strategy"), values: map[string]*shape{"strategy": strategy}}
	class := &shape{keys: words("strategy max_attempts"), values: map[string]*shape{"strategy": strategy}}
	budget := &shape{keys: words("description max_retries window")}
	breaker := &shape{keys: words("description failure_threshold window recovery_timeout probe_timeout trip_on class_thresholds")}
	assume := &shape{keys: words("rate instances latency baseline_errors utilisation idempotent")}
	environment := &shape{
		keys:   words("description assume policies"),
		values: map[string]*shape{"assume": assume, "policies": {each: assume}},
	}
	retry := &shape{
		keys: words("deadline attempt_timeout max_attempts max_unknown_attempts strategy select classes budget"),
		values: map[string]*shape{
			"strategy": strategy, "select": listOf(selection), "classes": {each: class}, "budget": budget,
		},
	}
	policy := &shape{
		keys: words(`description owner mode operations calls attributes vars classify default_class classify_result
			retry circuit_breaker guarantees assume`),
		values: map[string]*shape{
			"classify": listOf(rule), "classify_result": listOf(rule), "retry": retry, "circuit_breaker": breaker,
			"guarantees": {keys: words("max_duration max_attempts max_amplification")}, "assume": assume,
		},
	}
	classifier := &shape{
		keys:   words("description attributes vars classify classify_result"),
		values: map[string]*shape{"classify": listOf(rule), "classify_result": listOf(rule)},
	}
	kinds := map[string]*shape{
		"Policy": policy, "Classifier": classifier, "Budget": scoped(budget), "CircuitBreaker": scoped(breaker),
		"PolicyTest": testShape(), "Environment": environment, "Override": {
			keys:   words("description policy expires set"),
			values: map[string]*shape{"set": {keys: words("mode deadline attempt_timeout max_attempts max_unknown_attempts")}},
		},
		"Set": {keys: words("description fallback_policy")},
	}
	for name, body := range kinds {
		kinds[name] = &shape{keys: append(words("apiVersion kind name"), body.keys...), values: body.values}
	}
	return kinds
}

// scoped is the shape of a document, which says whose it is before all else.
func scoped(body *shape) *shape {
	return &shape{keys: append(words("description scope"), body.keys[1:]...), values: body.values}
}

// strategyShape is that of a mapping with the name of a strategy as its key.
func strategyShape() *shape {
	names := dsl.StrategyNames()
	strategy := &shape{values: map[string]*shape{}}
	for _, name := range names {
		if parameters, _ := dsl.StrategyParameters(name); len(parameters) > 0 {
			strategy.values[name] = &shape{keys: parameters, last: names, values: strategy.values}
		}
	}
	return strategy
}

func testShape() *shape {
	cause := words("status code kind message type")
	record := &shape{
		keys:   append(slices.Clone(cause), words("timeout retry_after headers phase marker causes attr")...),
		values: map[string]*shape{"causes": listOf(&shape{keys: cause})},
	}
	bounds := &shape{keys: words("min max")}
	outcome := &shape{
		keys:   append(words("ok result"), append(slices.Clone(record.keys), "after")...),
		values: map[string]*shape{"result": record, "causes": record.values["causes"]},
	}
	call := &shape{
		keys: words("at repeat outcomes operation idempotent replayable deadline cancel_at abort_at defer expect"),
		values: map[string]*shape{
			"outcomes": listOf(outcome),
			"expect": {
				keys:   words("ok attempts stop_reason class rule cause slept elapsed next_delay events breaker rule_errors"),
				values: map[string]*shape{"slept": bounds, "elapsed": bounds, "next_delay": bounds},
			},
		},
	}
	test := &shape{
		keys: words("name err result each each_result operation attempt elapsed remaining idempotent expect"),
		values: map[string]*shape{
			"err": record, "result": record, "each": listOf(record), "each_result": listOf(record),
			"expect": {keys: words("rule class retry_after strategy select matched rule_errors")},
		},
	}
	scenario := &shape{keys: words("name seed calls"), values: map[string]*shape{"calls": listOf(call)}}
	return &shape{
		keys:   words("description policy cases scenarios"),
		values: map[string]*shape{"cases": listOf(test), "scenarios": listOf(scenario)},
	}
}
