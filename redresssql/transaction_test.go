package redresssql_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresssql"
)

type state string // an error with a SQLSTATE

func (s state) Error() string    { return "ERROR (SQLSTATE " + string(s) + ")" }
func (s state) SQLState() string { return string(s) }

type MySQLError struct{ Number uint16 } // of go-sql-driver

func (e *MySQLError) Error() string { return fmt.Sprintf("Error %d", e.Number) }

type unsentError struct{ error } // of pgconn

func (unsentError) SafeToRetry() bool { return true }

func update(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "update")
	return err
}

const once, twice = "begin update commit", "begin update rollback begin update commit"

func TestWhatFailsBeforeCommitIsRetried(t *testing.T) {
	for _, row := range []struct {
		name, command string
		err           error
		want          string
	}{
		{"nothing fails", "", nil, once},
		{"begin is refused", "begin", state("53300"), "begin begin update commit"},
		{"the connection is lost at begin", "begin", io.ErrUnexpectedEOF, "begin begin update commit"},
		{"a serialization failure", "update", state("40001"), twice},
		{"a deadlock", "update", &MySQLError{1213}, twice},
		{"the connection is lost", "update", io.ErrUnexpectedEOF, twice},
		{"the connection is lost under go-sql-driver", "update", errors.New("invalid connection"), twice},
		{"the server shuts down", "update", state("57P01"), twice},
		{"nobody knows what it is", "update", errors.New("no"), twice},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &script{answers: map[string][]error{row.command: {row.err}}}
			err := redresssql.Do(t.Context(), open(t, s), nil, policy(t, "}"), update)
			if err != nil || s.sent() != row.want {
				t.Errorf("%v after %s, want %s", err, s.sent(), row.want)
			}
		})
	}
}

func TestACommitThatWasRefusedIsRetried(t *testing.T) {
	for _, refusal := range []error{
		state("40001"), state("40P01"), state("53100"), &MySQLError{1213},
		errors.New("commit unexpectedly resulted in rollback"), // pgx: a statement had failed
		unsentError{errors.New("context already done")},        // pgx
	} {
		s := &script{answers: map[string][]error{"commit": {refusal}}}
		err := redresssql.Do(t.Context(), open(t, s), nil, policy(t, "}"), update)
		if want := once + " " + once; err != nil || s.sent() != want {
			t.Errorf("%v: %v after %s, want %s", refusal, err, s.sent(), want)
		}
	}
}

func TestACommitOfUnknownOutcomeIsNotRetried(t *testing.T) {
	for _, lost := range []error{
		io.EOF, io.ErrUnexpectedEOF, driver.ErrBadConn, errors.New("invalid connection"), unsentError{errors.New("conn closed")}, context.DeadlineExceeded,
		state("57P01"), state("57P02"), state("08006"), state("08007"), state("40003"),
		&MySQLError{1053}, &MySQLError{1180}, &MySQLError{1317}, &MySQLError{1927}, errors.New("no"),
	} {
		t.Run(lost.Error(), func(t *testing.T) {
			s := &script{answers: map[string][]error{"commit": {lost, lost}}}
			db := open(t, s)
			p := policy(t, "}")
			v, err := redresssql.Call(t.Context(), db, nil, p, func(ctx context.Context, tx *sql.Tx) (int, error) { return 7, update(ctx, tx) })
			var e *redress.Error
			if !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent || !errors.Is(err, redresssql.ErrCommitUnknown) || !errors.Is(err, lost) {
				t.Errorf("got %v", err)
			}
			if s.sent() != once || v != 7 {
				t.Errorf("%d after %s", v, s.sent())
			}
			if err := redresssql.Do(t.Context(), db, nil, p, update, redress.Idempotent()); err != nil {
				t.Errorf("a transaction that does no harm twice: %v", err)
			}
			if want := strings.Repeat(once+" ", 3); s.sent()+" " != want {
				t.Errorf("sent %s, want %s", s.sent(), want)
			}
		})
	}
}

func TestAnErrorOfATransactionThatIsGivenUpIsThatOfTheDriver(t *testing.T) {
	s := &script{answers: map[string][]error{"update": {state("23505")}}}
	v, err := redresssql.Call(t.Context(), open(t, s), nil, policy(t, "}"), func(ctx context.Context, tx *sql.Tx) (int, error) { return 7, update(ctx, tx) })
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.NonRetryableClass || !errors.Is(err, state("23505")) || errors.Is(err, redresssql.ErrCommitUnknown) {
		t.Errorf("got %v", err)
	}
	if v != 0 || s.sent() != "begin update rollback" {
		t.Errorf("%d after %s", v, s.sent())
	}
}

func TestAPanicRollsBackAndGoesOn(t *testing.T) {
	s := &script{}
	db := open(t, s)
	defer func() {
		if v := recover(); v != "no" || s.sent() != "begin rollback" {
			t.Errorf("recovered %v after %s", v, s.sent())
		}
	}()
	_ = redresssql.Do(t.Context(), db, nil, policy(t, "}"), func(context.Context, *sql.Tx) error { panic("no") })
}

func TestAGoroutineThatEndsRollsBack(t *testing.T) {
	s := &script{}
	db := open(t, s)
	p := policy(t, "}")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = redresssql.Do(t.Context(), db, nil, p, func(context.Context, *sql.Tx) error { runtime.Goexit(); return nil })
	}()
	<-done
	if s.sent() != "begin rollback" {
		t.Errorf("sent %s", s.sent())
	}
}

func TestNothingIsCommittedOnceTheCallerHasGone(t *testing.T) {
	s := &script{}
	db := open(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	err := redresssql.Do(ctx, db, nil, policy(t, "}"), func(context.Context, *sql.Tx) error { cancel(); return nil })
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.Canceled || errors.Is(err, redresssql.ErrCommitUnknown) {
		t.Errorf("got %v", err)
	}
	givenBack(t, db) // database/sql rolls back in a goroutine of its own
	if s.sent() != "begin rollback" {
		t.Errorf("sent %s", s.sent())
	}
}

func TestAnAttemptThatTakesTooLongIsUndoneAndRetried(t *testing.T) {
	s := &script{}
	db := open(t, s)
	slow := true
	err := redresssql.Do(t.Context(), db, nil, policy(t, ", attempt_timeout: 100ms, deadline: 30s}"), func(ctx context.Context, tx *sql.Tx) error {
		if slow {
			slow = false
			<-ctx.Done()
			return nil // it has not even noticed
		}
		return update(ctx, tx)
	})
	givenBack(t, db)
	if err != nil || strings.Count(s.sent(), "commit") != 1 || strings.Count(s.sent(), "rollback") != 1 {
		t.Errorf("%v after %s", err, s.sent())
	}
}

func TestATransactionThatItsFunctionEndedIsNotRetried(t *testing.T) {
	for _, row := range []struct {
		name   string
		fn     func(context.Context, *sql.Tx) error
		reason redress.StopReason
		sent   string
	}{
		{"committed, and an error", func(_ context.Context, tx *sql.Tx) error { return errors.Join(tx.Commit(), io.EOF) }, redress.ReasonNotIdempotent, "begin commit"},
		{"committed", func(_ context.Context, tx *sql.Tx) error { return tx.Commit() }, redress.NonRetryableClass, "begin commit"},
		{"rolled back", func(_ context.Context, tx *sql.Tx) error { return tx.Rollback() }, redress.NonRetryableClass, "begin rollback"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := &script{}
			err := redresssql.Do(t.Context(), open(t, s), nil, policy(t, "}"), row.fn)
			var e *redress.Error
			if !errors.As(err, &e) || e.Reason != row.reason || s.sent() != row.sent {
				t.Errorf("%v after %s", err, s.sent())
			}
		})
	}
}

func TestAnInnerTransactionOfUnknownOutcomeIsNotRetriedByTheOuterOne(t *testing.T) {
	s := &script{answers: map[string][]error{"commit": {io.EOF}}}
	db, p := open(t, s), policy(t, "}")
	err := redresssql.Do(t.Context(), db, nil, p, func(ctx context.Context, _ *sql.Tx) error {
		return redresssql.Do(ctx, db, nil, p, update)
	})
	if want := "begin begin update commit rollback"; !errors.Is(err, redresssql.ErrCommitUnknown) || s.sent() != want {
		t.Errorf("%v after %s, want %s", err, s.sent(), want)
	}
}

func TestAnInnerTransactionThatWasUndoneIsRetriedByTheOuterOne(t *testing.T) {
	s := &script{answers: map[string][]error{"update": {state("40001"), state("40001"), state("40001")}}}
	db, p := open(t, s), policy(t, "}")
	err := redresssql.Do(t.Context(), db, nil, p, func(ctx context.Context, _ *sql.Tx) error {
		return redresssql.Do(ctx, db, nil, p, update)
	})
	if err != nil || strings.Count(s.sent(), "commit") != 2 {
		t.Errorf("%v after %s", err, s.sent())
	}
}

type report struct{ StatusCode int }

func TestATransactionIsNotRunAgainForItsResult(t *testing.T) {
	s := &script{}
	v, err := redresssql.Call(t.Context(), open(t, s), nil, policy(t, "}\nclassify_result:\n  - {id: not-yet, when: result.status == 503, class: TRANSIENT}\n"),
		func(ctx context.Context, tx *sql.Tx) (report, error) { return report{503}, update(ctx, tx) })
	var e *redress.Error
	if !errors.As(err, &e) || e.Reason != redress.ReasonNotIdempotent || v.StatusCode != 503 || s.sent() != once {
		t.Errorf("%v, %v after %s", v, err, s.sent())
	}
}

func TestARollbackThatFailsIsToldOf(t *testing.T) {
	s := &script{answers: map[string][]error{"update": {state("23505")}, "rollback": {errors.New("broken pipe")}}}
	err := redresssql.Do(t.Context(), open(t, s), nil, policy(t, "}"), update)
	if err == nil || !strings.HasSuffix(err.Error(), "ERROR (SQLSTATE 23505) (rollback: broken pipe)") {
		t.Errorf("got %v", err)
	}
}

// givenBack waits until no connection is in use.
func givenBack(t *testing.T, db *sql.DB) {
	t.Helper()
	for range 1_000_000 {
		if db.Stats().InUse == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Error("connections were not given back")
}
