package engine_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress/engine"
)

func TestG2_AFutureGivesTheOutcomeToAllWhoAsk(t *testing.T) {
	p := policy(t, engine.Spec{})
	f := engine.Go(t.Context(), p, func(context.Context) (int, error) { return 7, nil })
	<-f.Done()
	equal(t, "value", f.Wait().Value, 7)
	equal(t, "value again", f.Wait().Value, 7)
}

func TestG2_AFutureCanBeCancelledWhileItRunsAndWhileItSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policy(t, engine.Spec{Strategy: engine.Constant{Wait: 30 * time.Second}})
		for name, op := range map[string]func(context.Context) (int, error){
			"running":  func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() },
			"sleeping": func(context.Context) (int, error) { return 0, failure(engine.Transient) },
		} {
			start := time.Now()
			f := engine.Go(t.Context(), p, op)
			time.Sleep(time.Second)
			f.Cancel()
			o := f.Wait()
			equal(t, name+": reason", o.Reason, engine.Canceled)
			equal(t, name+": elapsed", time.Since(start), time.Second)
		}
	})
}

func TestG2_CancelDoesNotTouchAFutureThatHasEnded(t *testing.T) {
	p := policy(t, engine.Spec{})
	f := engine.Go(t.Context(), p, func(ctx context.Context) (context.Context, error) { return ctx, nil })
	o := f.Wait()
	f.Cancel()
	equal(t, "err of the context that the value may need", o.Value.Err(), nil)
}

func TestG2_AnAbandonedFutureLeaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left blocked
		p := policy(t, engine.Spec{Deadline: time.Second, MaxAttempts: 1})
		for range 10 {
			engine.Go(t.Context(), p, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
		}
	})
}

func TestG2_APanicUnderGoIsRaisedWhereTheOutcomeIsAskedFor(t *testing.T) {
	p := policy(t, engine.Spec{})
	f := engine.Go(t.Context(), p, func(context.Context) (int, error) { panic(io.ErrNoProgress) })
	got, _ := inGoroutine(func() { f.Wait() }).(*engine.OperationPanic)
	if got == nil || got.Value != io.ErrNoProgress || !errors.Is(got, io.ErrNoProgress) || !strings.Contains(got.Error(), "TestG2_APanicUnderGo") {
		t.Errorf("got %v", got)
	}
	equal(t, "lost operations", p.Stats().LostOperations, 1)
}

func TestG2_AGoexitUnderGoEndsWhoeverAsksForTheOutcome(t *testing.T) {
	p := policy(t, engine.Spec{})
	f := engine.Go(t.Context(), p, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
	went := true
	inGoroutine(func() {
		f.Wait()
		went = false
	})
	equal(t, "the goroutine that waited has ended", went, true)
}
