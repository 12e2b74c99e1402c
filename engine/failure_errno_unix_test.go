//go:build !windows && !plan9

package engine

import (
	"maps"
	"slices"
)

func errnoNamesList() []string { return slices.Collect(maps.Values(errnoNames)) }
