//go:build race

package engine_test

// The race detector makes everything some ten times slower.
const modelCallsByDefault = 20_000
