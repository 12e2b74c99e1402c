package dsl

import (
	"slices"
	"strings"
)

// nesting are the strategies that contain another.
var nesting = []string{"retry_after_or", "adaptive"}

// strategy reads a backoff strategy: a bare name, or a mapping with its name as the
// one key and its parameters below.
func (d *decoder) strategy(n *node) *Strategy {
	s := &Strategy{Range: n.rng()}
	t := n.target()
	switch {
	case !d.hasCoreTag(n):
	case n.isText():
		d.word("strategy", &s.Name, strategyNames)(n)
		if help := needs[s.Name.V]; help != "" {
			d.errorf(n.rng(), CodeMissingKey, help, "the strategy %s needs a parameter", s.Name.V)
		}
	case t.kind != mappingNode:
		d.errorf(n.rng(), CodeWrongType, "write a name, or {decorrelated_jitter: {base: 250ms, max: 30s}}", "a strategy is a name or a mapping, not %s", n.describe())
	default:
		d.namedStrategy(n, s)
	}
	return s
}

// needs are the strategies that cannot stand bare, with what to write.
var needs = map[string]string{"constant": "write {constant: {delay: 1s}}", "func": "write {func: NAME} with the name that Go code registers"}

func (d *decoder) namedStrategy(n *node, s *Strategy) {
	first := ""
	d.keys(n.target(), func(key, value *node) {
		switch {
		case key.isOwn():
		case first != "":
			d.errorf(key.rng(), CodeContradiction, "remove one", "a strategy has one name: %s and %s cannot both hold", shorten(first), shorten(key.value))
		default:
			first = key.value
			if d.checkWord(key, CodeUnknownKey, "strategy", key.value, strategyNames) {
				s.Name = Value[string]{key.rng(), key.value, true}
				help := "write the bare name " + key.value + ", or give parameters"
				if word := needs[key.value]; word != "" {
					help = word
				}
				d.value(key, value, help, func(value *node) { d.parameters(s, value) })
			}
		}
	})
	if first == "" {
		d.errorf(n.rng(), CodeEmpty, "name a strategy: "+strings.Join(strategyNames, ", "), "the strategy has no name")
	}
}

// parameters reads what stands behind the name of a strategy.
func (d *decoder) parameters(s *Strategy, n *node) {
	if s.Name.V == "func" {
		d.name("func", &s.Func)(n)
		return
	}
	fields := d.strategyFields(s)
	if slices.Contains(nesting, s.Name.V) {
		fields = append(fields, d.fallbackFields(n, s)...)
	}
	d.mapping(n, "the strategy "+s.Name.V, fields...)
	d.checkOrder(s)
}

// strategyFields are the parameters of a strategy, with the bounds of each.
func (d *decoder) strategyFields(s *Strategy) []field {
	base := may("base", d.duration("base", &s.Base, positive))
	most := may("max", d.duration("max", &s.Max, positive))
	switch s.Name.V {
	case "decorrelated_jitter", "equal_jitter", "full_jitter", "token_backoff":
		return []field{base, most}
	case "exponential":
		return []field{base, most, may("factor", d.number("factor", &s.Factor, func(x float64) bool { return x >= 1 }, "at least 1"))}
	case "linear":
		return []field{base, may("step", d.duration("step", &s.Step, 0)), most}
	case "constant":
		return []field{must("delay", d.duration("delay", &s.Delay, 0))}
	case "retry_after_or":
		return []field{may("jitter", d.duration("jitter", &s.Jitter, 0)), may("cap", d.duration("cap", &s.Cap, positive))}
	case "adaptive":
		return []field{
			may("window", d.duration("window", &s.Window, positive)),
			may("target_success", d.number("target_success", &s.TargetSuccess, func(x float64) bool { return x > 0 && x <= 1 }, "more than 0 and at most 1")),
			may("min_multiplier", d.number("min_multiplier", &s.MinMultiplier, func(x float64) bool { return x >= 1 }, "at least 1")),
			may("max_multiplier", d.number("max_multiplier", &s.MaxMultiplier, func(x float64) bool { return x >= 1 }, "at least 1")),
		}
	}
	return nil // immediate and stop have none
}

// fallbackFields are the names of strategies that may stand within another.
func (d *decoder) fallbackFields(parameters *node, s *Strategy) []field {
	var fields []field
	for _, name := range strategyNames {
		fields = append(fields, may(name, func(n *node) {
			key, _ := parameters.entry(name)
			if s.Fallback != nil {
				d.errorf(key.rng(), CodeContradiction, "remove one", "%s falls back to one strategy: %s and %s cannot both hold", s.Name.V, s.Fallback.Name.V, name)
				return
			}
			s.Fallback = &Strategy{Range: n.rng(), Name: Value[string]{key.rng(), name, true}}
			d.parameters(s.Fallback, n)
		}))
	}
	return fields
}

// checkOrder refuses lower bounds above upper ones.
func (d *decoder) checkOrder(s *Strategy) {
	if s.Base.Set && s.Max.Set && s.Base.V > s.Max.V {
		d.errorf(s.Base.Range, CodeContradiction, "make base smaller or max larger", "base %v is above max %v", s.Base.V, s.Max.V)
	}
	if s.MinMultiplier.Set && s.MaxMultiplier.Set && s.MinMultiplier.V > s.MaxMultiplier.V {
		d.errorf(s.MinMultiplier.Range, CodeContradiction, "make min_multiplier smaller or max_multiplier larger", "min_multiplier %v is above max_multiplier %v", s.MinMultiplier.V, s.MaxMultiplier.V)
	}
}

// StrategyParameters returns the parameters of a strategy, and those among them that
// must be given. The strategies that nest another one take its name as well.
func StrategyParameters(name string) (all, required []string) {
	if name == "func" {
		return nil, nil // its parameter is a name
	}
	for _, f := range new(decoder).strategyFields(&Strategy{Name: Value[string]{V: name}}) {
		if all = append(all, f.key); f.required {
			required = append(required, f.key)
		}
	}
	return all, required
}
