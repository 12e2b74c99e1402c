package virtual_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redress-policy/redress/internal/virtual"
)

type derivedKey struct{}

func TestSleepTakesVirtualTimeOnly(t *testing.T) {
	clock := virtual.NewClock(virtual.Epoch)
	if err := clock.Sleep(t.Context(), time.Hour); err != nil {
		t.Fatal(err)
	}
	if got := clock.Now().Sub(virtual.Epoch); got != time.Hour {
		t.Errorf("clock moved by %v, want 1h", got)
	}
}

func TestSleepEndsWhenTheCallerDoes(t *testing.T) {
	at := func(d time.Duration) time.Time {
		if d == 0 {
			return time.Time{}
		}
		return virtual.Epoch.Add(d)
	}
	for _, row := range []struct {
		name             string
		deadline, cancel time.Duration
		sleep            time.Duration
		want             error
		took             time.Duration
	}{
		{"nobody gives up", 0, 0, time.Minute, nil, time.Minute},
		{"deadline first", 5 * time.Second, 9 * time.Second, time.Minute, context.DeadlineExceeded, 5 * time.Second},
		{"cancel first", 9 * time.Second, 5 * time.Second, time.Minute, context.Canceled, 5 * time.Second},
		{"cancel at the very moment", 0, time.Minute, time.Minute, context.Canceled, time.Minute},
		{"sleep is shorter", 0, time.Hour, time.Minute, nil, time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			clock := virtual.NewClock(virtual.Epoch)
			ctx := virtual.NewCaller(clock, at(row.deadline), at(row.cancel))
			defer ctx.Release()
			// A derived context must not hide the caller's end.
			derived := context.WithValue(ctx, derivedKey{}, true)
			if err := clock.Sleep(derived, row.sleep); !errors.Is(err, row.want) {
				t.Errorf("Sleep(%v) = %v, want %v", row.sleep, err, row.want)
			}
			if took := clock.Now().Sub(virtual.Epoch); took != row.took {
				t.Errorf("Sleep(%v) took %v, want %v", row.sleep, took, row.took)
			}
			if err := ctx.Err(); !errors.Is(err, row.want) {
				t.Errorf("Err() = %v, want %v", err, row.want)
			}
			select {
			case <-ctx.Done():
				if row.want == nil {
					t.Error("Done is closed, want open")
				}
			default:
				if row.want != nil {
					t.Error("Done is open, want closed")
				}
			}
		})
	}
}
