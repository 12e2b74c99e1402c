// Package redressfleet makes retry budgets and circuit breakers those of a fleet: of all
// instances of a service that meet in a Redis or Valkey.
//
//	fleet, err := redressfleet.Join(redressfleet.NewRedis(client, "payments"), redressfleet.Options{})
//	set, err := redress.Load(os.DirFS("policies"), redress.WithFleet(fleet))
//
// Budget and CircuitBreaker documents of the set that say `scope: fleet` are then shared
// by their names. Others stay local.
//
// No call ever waits for the store. An instance leases retries in small lots on a goroutine
// of its own, and spends them from memory; a breaker is opened by the votes of more than
// half of the instances, and closed by one probe, which is leased too. While the store
// does not answer, or has forgotten, a budget falls back to the instance's share and a
// breaker to its own counts, at once; when it is back, it is told what happened.
//
// docs/fleet.md says what is guaranteed and derives the bound on overspending.
package redressfleet
