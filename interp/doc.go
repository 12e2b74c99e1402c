// Package interp turns documents into engine policies, through CEL: it checks and
// compiles expressions in a closed, typed environment, splices rule packs, follows
// references, and explains decisions. It and its parser (internal/celparse) are the only
// packages that know CEL; no type of CEL is in its API.
//
// An expression is read in this order, each step in a file of its own: syntax.go says
// why a text is none, words.go looks for mistakes that CEL would explain worse or not
// see, typeerror.go puts what CEL's checker finds into words of the language. What
// evaluating one can cost is bounded by the limits in env.go.
package interp
