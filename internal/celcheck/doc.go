// Package celcheck tells the types of CEL expressions, as cel-go's checker does and many
// times as fast.
//
// It never says that something is wrong. What it does not take, be it of no type or merely
// rare, it declines, and then cel-go's checker has to be asked, which knows what to say.
// What it takes, cel-go's checker takes too, leaves as it is, and gives the same types and
// functions. Declined is whatever has values of a type that is not known when it is written:
// empty lists and maps, null, dyn; and lists and maps with parts that may be absent, records
// that are made, and names of types.
//
// check.go has one function for each kind of expression, overload.go finds the functions
// that are called.
package celcheck
