package redressredis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
)

// Use has the commands, pipelines and transactions of client run under p from now on,
// each with opts. Call it once, before the client is used.
//
// The client must not retry by itself, nor leave the attempt's context unheeded: Use
// returns an error that says what is to be set, and changes nothing, if MaxRetries is
// not -1, DialerRetries is not 1, or ContextTimeoutEnabled is not set. A cluster client
// follows MOVED and ASK within an attempt, up to its MaxRedirects; it goes to another
// node after some failures as well, which counts against the same limit.
func Use(client redis.UniversalClient, p *redress.Policy, opts ...redress.Option) error {
	if err := check(client); err != nil {
		return fmt.Errorf("redressredis: %w", err)
	}
	client.AddHook(&hook{policy: p, opts: opts})
	return nil
}

// check looks at the options as the client has completed them.
func check(client redis.UniversalClient) error {
	switch c := client.(type) {
	case *redis.Client:
		o := c.Options()
		return checkOptions(o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled)
	case *redis.ClusterClient:
		o := c.Options()
		return checkOptions(o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled)
	case *redis.Ring:
		o := c.Options()
		return checkOptions(o.MaxRetries, o.DialerRetries, o.ContextTimeoutEnabled)
	}
	return fmt.Errorf("a client of type %T is not known here", client)
}

func checkOptions(retries, dials int, heeds bool) error {
	var wrong []string
	if retries > 0 {
		wrong = append(wrong, fmt.Sprintf("it retries %d times by itself: set MaxRetries to -1", retries))
	}
	if dials > 1 {
		wrong = append(wrong, fmt.Sprintf("it dials %d times by itself: set DialerRetries to 1", dials))
	}
	if !heeds {
		wrong = append(wrong, "it does not heed the context of an attempt: set ContextTimeoutEnabled")
	}
	if wrong == nil {
		return nil
	}
	return errors.New("the client is not fit for a policy: " + strings.Join(wrong, "; "))
}

type contextKey uint8

const (
	keyBypass     contextKey = iota // the command is part of a call already, or shall be none
	keyIdempotent                   // a bool: what the caller says
)

// Idempotent says of every command run with the returned context whether it may be
// repeated after a failure of which it is not known what became of the command.
func Idempotent(ctx context.Context, yes bool) context.Context {
	return context.WithValue(ctx, keyIdempotent, yes)
}

// Bypass has every command run with the returned context run without the policy of its
// client: for use within an operation that is a call of its own.
func Bypass(ctx context.Context) context.Context {
	return context.WithValue(ctx, keyBypass, true)
}

func bypassed(ctx context.Context) bool { return ctx.Value(keyBypass) != nil }

// A hook runs what go-redis is about to do under a policy. It has no state.
type hook struct {
	policy *redress.Policy
	opts   []redress.Option
}

// DialHook leaves dialling as it is: a connection is made within the attempt that needs
// it, and what fails then is not_sent by its error.
func (h *hook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook makes one command one call.
func (h *hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if bypassed(ctx) || bound(cmd) {
			return next(ctx, cmd)
		}
		opts := h.options(ctx, operation(cmd), IsIdempotent(cmd), cmd.NoRetry())
		return h.call(ctx, opts, func(ctx context.Context) error { return next(ctx, cmd) })
	}
}

// ProcessPipelineHook makes one pipeline, or one transaction, one call.
func (h *hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		b := batch(cmds)
		if bypassed(ctx) || b.bound() {
			return next(ctx, cmds)
		}
		opts := h.options(ctx, b.operation(), b.idempotent(), b.once())
		tried := false
		err := h.call(ctx, opts, func(ctx context.Context) error {
			if tried {
				b.set(nil)
			}
			tried = true
			return b.outcome(next(ctx, cmds))
		})
		if !tried && err != nil {
			b.set(err)
		}
		return err
	}
}

// call runs do under the policy. What is an answer ends the call with success, and is
// returned all the same.
func (h *hook) call(ctx context.Context, opts []redress.Option, do func(context.Context) error) error {
	var answer error
	err := redress.Do(ctx, h.policy, func(ctx context.Context) error {
		// The handshake of a new connection passes through this hook too.
		err := do(Bypass(ctx))
		if isAnswer(err) {
			answer = err
			return nil
		}
		return err
	}, opts...)
	if err != nil {
		return err
	}
	return answer
}

func (h *hook) options(ctx context.Context, operation string, idempotent, once bool) []redress.Option {
	opts := make([]redress.Option, 0, len(h.opts)+3)
	opts = append(opts, redress.WithOperation(operation))
	opts = append(opts, h.opts...)
	if said, ok := ctx.Value(keyIdempotent).(bool); ok {
		idempotent = said
	}
	if !idempotent {
		opts = append(opts, redress.NotIdempotent())
	}
	if once {
		opts = append(opts, redress.NotReplayable())
	}
	return opts
}

// isAnswer reports whether err is how go-redis tells of a reply that is no failure of
// Redis: there is no such value, or a watched key was changed.
func isAnswer(err error) bool {
	return errors.Is(err, redis.Nil) || errors.Is(err, redis.TxFailedErr)
}

// A batch is what one pipeline sends. A transaction's begins with MULTI.
type batch []redis.Cmder

func (b batch) transaction() bool { return len(b) > 1 && b[0].Name() == "multi" }

// commands leaves out the MULTI and the EXEC that go-redis has put around.
func (b batch) commands() []redis.Cmder {
	if b.transaction() {
		return b[1 : len(b)-1]
	}
	return b
}

func (b batch) operation() string {
	if b.transaction() {
		return "redis.transaction"
	}
	return "redis.pipeline"
}

func (b batch) any(is func(redis.Cmder) bool) bool {
	for _, cmd := range b.commands() {
		if is(cmd) {
			return true
		}
	}
	return false
}

func (b batch) bound() bool { return b.any(bound) }

func (b batch) once() bool { return b.any(redis.Cmder.NoRetry) }

func (b batch) idempotent() bool {
	return !b.any(func(cmd redis.Cmder) bool { return !IsIdempotent(cmd) })
}

func (b batch) set(err error) {
	for _, cmd := range b {
		cmd.SetErr(err)
	}
}

// outcome is what the attempt as a whole came to: the first failure of a command, if
// there is one.
func (b batch) outcome(err error) error {
	if errors.Is(err, redis.TxFailedErr) {
		return err
	}
	var first error
	done := 0
	for _, cmd := range b.commands() {
		switch failure := cmd.Err(); {
		case failure == nil || errors.Is(failure, redis.Nil):
			done++
		case first == nil:
			first = failure
		}
	}
	switch {
	case first == nil:
		return err
	case done > 0:
		return &partialError{err: first, done: done, of: len(b.commands())}
	}
	return first
}

// A partialError is the first failure of a pipeline of which some commands were
// carried out. So the pipeline was sent, even if that command was refused.
type partialError struct {
	err      error
	done, of int
}

func (e *partialError) Error() string {
	return fmt.Sprintf("%d of %d commands were carried out: %v", e.done, e.of, e.err)
}

// Unwrap has a branch beside the failure's own that does not say not_sent.
func (e *partialError) Unwrap() []error { return []error{e.err, carriedOut{}} }

type carriedOut struct{}

func (carriedOut) Error() string     { return "a part was carried out" }
func (carriedOut) ErrorCode() string { return "PARTIAL" }
