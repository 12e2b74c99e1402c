//go:build race

package lsp

// The race detector makes everything some twenty times slower, and what it looks for
// does not depend on the place.
const everyNthPlace = 23
