// Package redress handles failures by policy.
//
// A policy says, for one dependency, which failures there are (expressions in CEL
// name the class of each), and what follows from that: retries and their backoff,
// caps, a deadline, a retry budget, a circuit breaker. Policies are YAML files,
// checked when they are loaded and in CI by redress-lint.
//
//	set, err := redress.Load(os.DirFS("policies"))
//	if err != nil {
//		return err // every mistake, with its place
//	}
//	payments := set.MustPolicy("payments-api")
//	receipt, err := redress.Call(ctx, payments, func(ctx context.Context) (Receipt, error) {
//		return client.Charge(ctx, order)
//	})
//
// [Call] and [Do] return the operation's value and, if the call failed, an
// [*Error] that wraps the operation's own last error and says why the call
// stopped. [Execute] returns all there is to know as an [Outcome], [Go] a future
// of it, and [Step] makes one attempt at a time for workers that resume later.
//
// This package joins the others and adds little: dsl reads documents, interp
// compiles them through CEL, engine runs them. A program that builds its policies
// in Go can import engine alone, which needs the standard library only.
package redress
