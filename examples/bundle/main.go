// Bundle makes a call under a policy that was checked and compiled before the program
// was built: there is no YAML, no JSON Schema and no CEL in it.
package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"

	"github.com/redress-policy/redress/bundle"
	"github.com/redress-policy/redress/engine"
)

//go:generate go run github.com/redress-policy/redress/cmd/redress-lint build . -o policies.rbundle --positions

//go:embed policies.rbundle
var policies []byte

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bundle:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) error {
	set, err := bundle.Load(policies)
	if err != nil {
		return err
	}
	shop := set.MustPolicy("shop-orders")
	outcome := engine.Execute(context.Background(), shop, notYet(2), engine.WithOperation("orders.get"), engine.WithTimeline())
	if !outcome.OK {
		return outcome.Err()
	}
	fmt.Fprintf(out, "%s, after %d attempts\n", outcome.Value, outcome.Attempts)
	for _, event := range outcome.Timeline {
		if event.Kind == engine.EventRetry {
			fmt.Fprintf(out, "tried again by rule %s, %s\n", event.Rule, set.Place("shop-orders", event.Rule))
		}
	}
	return nil
}

// A status is an error as the shop's client makes it.
type status struct{ code string }

func (s status) Error() string { return "the shop says " + s.code }

// FailureRecord tells rules what there is to know.
func (s status) FailureRecord() *engine.Failure {
	return &engine.Failure{Code: s.code, Message: s.Error(), Kind: engine.KindHTTP}
}

// notYet is an order that comes after some attempts.
func notYet(failures int) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if failures > 0 {
			failures--
			return "", status{"NOT_YET"}
		}
		return "order 17: two books", nil
	}
}
