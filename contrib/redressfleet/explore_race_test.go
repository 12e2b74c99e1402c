//go:build race

package redressfleet

// exploredUnderRace is how many states are looked at where each costs ten times as much.
const exploredUnderRace = 200
