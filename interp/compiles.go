//go:build !redress_interpret

package interp

// compiles says that conditions become Go functions where they can. With the build tag
// redress_interpret all of them run on cel-go, so that tests can compare.
const compiles = true
