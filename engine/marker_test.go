package engine

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestEveryClassHasAMarker(t *testing.T) {
	rateLimit := func(err error) error { return MarkRateLimit(err, 0) }
	markers := map[Class]func(error) error{
		Auth: MarkAuth, Permission: MarkPermission, Permanent: MarkPermanent, Concurrency: MarkConcurrency,
		RateLimit: rateLimit, ServerError: MarkServerError, Transient: MarkTransient, Unknown: MarkUnknown,
	}
	for _, class := range Classes() {
		t.Run(class.String(), func(t *testing.T) {
			mark, ok := markers[class]
			if !ok {
				t.Fatal("has none")
			}
			own := &pgError{"40001"}
			err := fmt.Errorf("wrapped: %w", mark(own))
			f := FailureOf(err, nil)
			if f.Marker != class || f.Code != "40001" || f.HasRetryAfter {
				t.Errorf("marker %v, code %q, hint %t", f.Marker, f.Code, f.HasRetryAfter)
			}
			var found *pgError
			if !errors.As(err, &found) || !errors.Is(err, own) || mark(own).Error() != own.Error() {
				t.Error("the marked error is hidden")
			}
			if mark(nil) != nil {
				t.Error("a marked nil is an error")
			}
		})
	}
}

func TestMarkedRateLimitCarriesItsHint(t *testing.T) {
	for _, row := range []struct {
		after, want time.Duration
	}{{3 * time.Second, 3 * time.Second}, {0, 0}, {-time.Second, 0}} {
		f := FailureOf(MarkRateLimit(io.EOF, row.after), nil)
		if f.RetryAfter != row.want || f.HasRetryAfter != (row.want > 0) {
			t.Errorf("%v: got %v, %t", row.after, f.RetryAfter, f.HasRetryAfter)
		}
	}
}

func TestOutermostMarkerCounts(t *testing.T) {
	f := FailureOf(MarkPermanent(fmt.Errorf("x: %w", MarkRateLimit(io.EOF, time.Second))), nil)
	if f.Marker != Permanent || f.RetryAfter != time.Second {
		t.Errorf("marker %v, hint %v", f.Marker, f.RetryAfter)
	}
}

func TestAbortIsFoundAnywhereInTheChain(t *testing.T) {
	own := errors.New("out of stock")
	for _, err := range []error{
		ErrAbort,
		Abort(own),
		fmt.Errorf("order: %w", Abort(own)),
		errors.Join(own, MarkTransient(Abort(own))),
		&Error{Reason: Aborted, Err: Abort(own)},
	} {
		if !aborted(err) || !errors.Is(err, ErrAbort) {
			t.Errorf("%v: not aborted", err)
		}
	}
	for _, err := range []error{nil, own, MarkPermanent(own), &Error{Reason: Aborted, Err: own}} {
		if aborted(err) {
			t.Errorf("%v: aborted", err)
		}
	}
}

func TestAbortShowsTheErrorItWraps(t *testing.T) {
	own := errors.New("out of stock")
	if err := Abort(own); err.Error() != own.Error() || !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
	if Abort(nil) != nil {
		t.Error("an aborted nil is an error")
	}
}

func TestAMarkedPhaseHoldsForAllThatIsWrapped(t *testing.T) {
	answered := &pgError{"40001"}
	for _, row := range []struct {
		name string
		err  error
		want string
	}{
		{"over an answer", MarkPhase(answered, NotSent), "sql 40001 not_sent"},
		{"in other words", fmt.Errorf("transfer: %w", MarkPhase(fmt.Errorf("debit: %w", answered), NotSent)), "sql 40001 not_sent"},
		{"over several", MarkPhase(errors.Join(answered, io.EOF), NotSent), "sql 40001 not_sent"},
		{"over what would be not sent", MarkPhase(&pgError{"53300"}, Sent), "sql 53300 sent"},
		{"over what says nothing", MarkPhase(errors.New("no"), NotSent), "unknown  not_sent"},
		{"unknown on purpose", MarkPhase(&pgError{"53300"}, PhaseUnknown), "sql 53300 unknown"},
		{"the outermost counts", MarkPhase(MarkPhase(answered, Sent), NotSent), "sql 40001 not_sent"},
		{"beside another branch", errors.Join(MarkPhase(answered, NotSent), io.EOF), "sql 40001 unknown"},
		{"over a class", MarkPhase(MarkPermanent(answered), NotSent), "sql 40001 not_sent"},
		{"over an inner call", MarkPhase(&Error{Reason: BudgetExhausted, Attempts: 2, Err: answered}, NotSent), "redress BUDGET_EXHAUSTED not_sent"},
		{"over a record", MarkPhase(recordedError{&Failure{Kind: KindSQL, Code: "40001", Phase: Sent}}, NotSent), "sql 40001 not_sent"},
	} {
		f := FailureOf(row.err, nil)
		if got := what(f); got != row.want {
			t.Errorf("%s: got %s, want %s", row.name, got, row.want)
		}
		if f.Inner != nil && f.Inner.Phase != f.Phase {
			t.Errorf("%s: the inner record says %s", row.name, f.Inner.Phase)
		}
	}
	marked := MarkPhase(answered, NotSent)
	f := FailureOf(marked, nil)
	if marked.Error() != answered.Error() || !errors.Is(marked, answered) || f.Type != "*engine.pgError" || len(f.Causes) != 1 {
		t.Errorf("the marked error is hidden: %+v", f)
	}
	if MarkPhase(nil, NotSent) != nil {
		t.Error("a marked nil is an error")
	}
}

type recordedError struct{ *Failure }

func (e recordedError) Error() string           { return e.Code }
func (e recordedError) FailureRecord() *Failure { return e.Failure }
