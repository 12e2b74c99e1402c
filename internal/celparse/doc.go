// Package celparse parses the source of CEL expressions to the trees of cel-go, as
// cel-go's own parser does and many times as fast.
//
// It never says that something is wrong. What it does not take, be it no CEL, beyond a
// limit, or merely rare, it declines, and then cel-go's parser has to be asked, which
// knows what to say. What it takes, it parses to exactly what cel-go's parser gives: the
// same nodes with the same ids, at the same places, with the same record of macro calls.
// Records, as in T{f: 1}, are declined.
//
// scan.go makes tokens of the text. expr.go has one function for each kind of expression,
// literal.go those for literals. macro.go has macros expand themselves.
package celparse
