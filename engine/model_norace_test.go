//go:build !race

package engine_test

const modelCallsByDefault = 200_000
