//go:build mercari

package bench

import (
	"context"
	"net/http"
	"testing"

	circuitbreaker "github.com/mercari/go-circuitbreaker"
)

// Not every module proxy has this library, so it is no requirement of this module. Whoever
// can get it adds it to the comparison:
//
//	go -C bench get github.com/mercari/go-circuitbreaker
//	GOFLAGS=-tags=mercari go run ./bench/ratios -only Calls
func init() {
	// A breaker that counts errors, all of them alike, and forgets them at intervals. No
	// retries. Values pass through an interface.
	libraries = append(libraries, library{name: "mercari", breaks: true, build: mercari})
}

func mercari(_ testing.TB, s scenario) binder {
	failures := int64(never)
	if s.open {
		failures = 1
	}
	cb := circuitbreaker.New(
		circuitbreaker.WithTripFunc(circuitbreaker.NewTripFuncThreshold(failures)),
		circuitbreaker.WithCounterResetInterval(rolling),
		circuitbreaker.WithOpenTimeout(recovery),
	)
	if s.open {
		cb.Fail()
	}
	return func(ctx context.Context, op operation) caller {
		fn := func() (any, error) { return op(ctx) }
		return func() (*http.Response, error) {
			v, err := cb.Do(ctx, fn)
			r, _ := v.(*http.Response)
			return r, err
		}
	}
}
