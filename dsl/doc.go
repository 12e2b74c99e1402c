// Package dsl reads the documents of the policy language: YAML text becomes typed
// values that know where they stand, and mistakes become diagnostics with a place, a
// message and what to write instead. What a document means is another package's
// business.
//
// [ParseSet] reads a set of sources, [ReadFS] finds them in a file system. Whatever
// the bytes are, reading ends in time and memory that are linear in their number, does
// not panic, and reports every mistake that it can tell from the others.
//
// Offsets are bytes; [Source.Position] makes lines and columns of them, for people.
package dsl
