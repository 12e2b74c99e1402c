//go:build !race

package redressfleet

import "math"

const exploredUnderRace = math.MaxInt
