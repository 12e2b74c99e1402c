//go:build redress_interpret

package interp

const compiles = false
