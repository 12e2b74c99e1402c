package checks

import (
	"time"

	"github.com/redress-policy/redress/dsl"
)

// leastFleetWindow is what instances need to hear of each other a few times.
const leastFleetWindow = 10 * time.Second

// fleets reports budgets and breakers of a fleet that are over before it can agree.
func (c *checker) fleets() {
	for doc := range c.set.All() {
		switch {
		case doc.Budget != nil:
			c.fleetWindow("budget", doc.Budget.Scope, doc.Budget.Window)
		case doc.Breaker != nil:
			c.fleetWindow("breaker", doc.Breaker.Scope, doc.Breaker.Window)
		}
	}
}

func (c *checker) fleetWindow(what string, scope dsl.Value[string], window dsl.Value[time.Duration]) {
	if scope.V == "fleet" && window.Set && window.V < leastFleetWindow {
		c.report(dsl.CodeFleetWindow, window.Range, "write 10s or more, or scope: local", "the %s is a fleet's, whose instances hear of each other about once a second, and its window is %v", what, window.V)
	}
}
