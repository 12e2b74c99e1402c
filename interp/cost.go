package interp

import (
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"

	"github.com/redress-policy/redress/engine"
)

// Sizes that estimates of cost go by. The engine bounds messages, codes, headers and
// causes, vars are bounded when they are read, and attributes are taken to be no
// larger than messages.
const (
	maxText    = engine.MaxMessage // bytes
	maxEntries = 1024              // of a list or map
)

// sizes bounds values for the estimate of costs.
type sizes struct{}

// EstimateSize implements checker.CostEstimator.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	return &checker.SizeEstimate{Max: sizeAt(path[len(path)-1], node.Type())}
}

// sizeAt is the most that a value has of which the last word of its path is known.
func sizeAt(last string, t *types.Type) uint64 {
	switch kind := t.Kind(); {
	case last == "causes":
		return engine.MaxCauses
	case last == "headers":
		return engine.MaxHeaders
	case kind == types.ListKind || kind == types.MapKind:
		return maxEntries
	}
	return maxText
}

// EstimateCallCost implements checker.CostEstimator: it knows the functions of texts,
// which CEL does not.
func (sizes) EstimateCallCost(function, _ string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target == nil || !ofText(function) {
		return nil
	}
	of := []checker.SizeEstimate{sizeOf(*target)}
	for _, arg := range args {
		of = append(of, sizeOf(arg))
	}
	cost, result := costOfText(function, of)
	return &checker.CallEstimate{CostEstimate: cost, ResultSize: &result}
}

// ofText reports whether a method is one of the functions of texts.
func ofText(function string) bool {
	switch function {
	case "lowerAscii", "upperAscii", "trim", "substring", "charAt", "split", "replace", "indexOf", "lastIndexOf":
		return true
	}
	return false
}

// costOfText is what a function of texts costs, of which all read their target once, and
// the size of its result. The target comes before the arguments.
func costOfText(function string, of []checker.SizeEstimate) (cost checker.CostEstimate, result checker.SizeEstimate) {
	result = of[0]
	switch {
	case function == "replace" && len(of) >= 3: // each character at most by the whole replacement, and one more in front
		result = result.Add(checker.SizeEstimate{Max: 1}).Multiply(of[2].Add(checker.SizeEstimate{Max: 1}))
	case function == "split":
		result = result.Add(checker.SizeEstimate{Max: 1})
	}
	return result.MultiplyByCostFactor(0.1).Add(checker.CostEstimate{Min: 1, Max: 1}), result
}

// sizeOf returns the size of a value; without better knowledge that of the longest
// text.
func sizeOf(node checker.AstNode) checker.SizeEstimate {
	if size := node.ComputedSize(); size != nil {
		return checker.SizeEstimate{Max: size.Max}
	}
	if size := (sizes{}).EstimateSize(node); size != nil {
		return *size
	}
	return checker.SizeEstimate{Max: maxText}
}
