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
