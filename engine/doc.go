// Package engine runs operations under failure policies: it classifies failures,
// retries them by class, stays inside the policy's envelope, and says why it stopped.
// It needs the standard library alone.
//
// It has two halves. One decides: strategies, retry sessions, circuits and budgets
// are arithmetic on what they are given; time and randomness are among it. The other
// does: [Call] and its kin read the clock, run the operation, sleep, and tell
// observers. So tests and simulators run the same decisions in virtual time.
//
//	policy, err := engine.New(engine.Spec{
//		Name:     "payments-api",
//		Classify: classify,
//		Breaker:  breaker,
//	})
//	...
//	receipt, err := engine.Call(ctx, policy, func(ctx context.Context) (Receipt, error) {
//		return client.Charge(ctx, order)
//	})
//
// A failed call returns the operation's value and an [*Error] that wraps the
// operation's own last error and says why the call stopped. [Execute] returns all
// there is to know as an [Outcome], [Go] a future of it; [Step] makes one attempt at
// a time for workers that resume later.
//
// A call that succeeds takes no lock unless the policy has an adaptive strategy, starts
// no goroutine, and allocates nothing but the context of its attempt.
//
// Panics of classify functions, strategies, hooks and observers are contained and
// counted ([Policy.Stats]), and reported as rule_error events but for those of observers.
// Panics of the operation are the caller's: they give every permit back, count as a
// failure for the breaker, and go on unwinding.
package engine
