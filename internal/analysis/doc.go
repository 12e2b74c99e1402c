// Package analysis proves things about policies without running them: which rules
// can decide, on which failure, and what a call can cost at most.
//
// What the rules see is divided into finitely many cases (domain.go): for every field
// one case for each value that the conditions name and one for what lies between.
// A search over the cases (search.go) finds a failure on which a condition holds and
// others do not, or proves that there is none. The cases cover every record that the
// engine builds, so a proof of absence holds; what the search finds is made into a
// record and shown to the real rules (witness.go) before anybody hears of it.
//
// It takes as true of records what engine.Failure promises: a status is 0 or from 100
// to 599, kinds and phases are those of the language, and attributes have the types
// that are declared for them.
package analysis
