package redressreplay_test

import (
	"context"
	"fmt"
	"os"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redressreplay"
	"github.com/redress-policy/redress/redresstest"
)

// A candidate is told of live traffic beside whatever else observes it.
func ExampleShadow() {
	next, err := redress.Load(os.DirFS("testdata/next"))
	if err != nil {
		fmt.Println(err)
		return
	}
	candidate, err := redressreplay.Shadow(next, redressreplay.ShadowOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := redress.Load(os.DirFS("testdata/active"), redress.WithPolicyObserver(candidate))
	if err != nil {
		fmt.Println(err)
		return
	}
	charge := func(context.Context) error { return answer{503} }
	redress.Execute(context.Background(), set.MustPolicy("payments"), func(ctx context.Context) (any, error) { return nil, charge(ctx) },
		redress.WithClock(redresstest.NewClock()))
	for _, d := range candidate.Report().Differences {
		fmt.Printf("%s: %d of %s (%s) would be %s (%s)\n", d.Policy, d.Count, d.Class, d.Rule, d.NewClass, d.NewRule)
	}
	// Output:
	// payments: 2 of SERVER_ERROR (busy) would be TRANSIENT (busy)
}

// A recorder writes failures down, for redress-lint replay.
func ExampleRecord() {
	recorder, err := redressreplay.Record(os.Stdout, redressreplay.RecordOptions{Samples: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := redress.Load(os.DirFS("testdata/active"), redress.WithPolicyObserver(recorder))
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = redress.Do(context.Background(), set.MustPolicy("payments"), func(context.Context) error { return answer{503} },
		redress.WithClock(redresstest.NewClock()), redress.WithRand(func() float64 { return 0.5 }))
	if err := recorder.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"redress":1,"time":"2025-01-01T00:00:00Z","policy":"payments","revision":"0e7a98bb6eab","attempt":1,"remaining":"1m0s","idempotent":true,"cause":"error","failure":{"status":503,"kind":"http","phase":"sent","type":"redressreplay_test.answer","causes":[{"type":"redressreplay_test.answer","kind":"http","status":503}]},"redacted":["message"],"class":"SERVER_ERROR","rule":"busy","decision":"retry","sleep":"500ms"}
	// {"redress":1,"omitted":{"sampled":1,"dropped":0}}
}
