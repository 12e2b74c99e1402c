package redressaws

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/redress-policy/redress"
)

// retryID is what the SDK calls its retry middleware.
const retryID = "Retry"

// Use returns an entry for APIOptions, of a config, a client or one operation, that has
// p decide what is tried again. opts go with each call: with redress.NotIdempotent, say,
// only what never left, or never arrived, is repeated.
//
// A request whose body cannot be rewound stops with NOT_REPLAYABLE. A response that is
// read as a stream must be read within the policy's deadline and its attempt timeout. An
// x-amz-retry-after is a hint, as Retry-After is. A signature that was refused because
// the clock is wrong is marked TRANSIENT: the SDK has corrected it by then. The result
// metadata of the SDK knows the last attempt alone.
func Use(p *redress.Policy, opts ...redress.Option) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		found, _ := stack.Finalize.Get(retryID)
		theirs, ok := found.(*retry.Attempt)
		if !ok {
			return fmt.Errorf("redressaws: operation %s has no retry middleware of the SDK, but %T", stack.ID(), found)
		}
		if _, err := stack.Finalize.Swap(retryID, &calls{policy: p, opts: opts, once: onlyOnce(theirs)}); err != nil {
			return fmt.Errorf("redressaws: %w", err)
		}
		if err := stack.Finalize.Insert(header{p}, retryID, middleware.After); err != nil {
			return fmt.Errorf("redressaws: %w", err)
		}
		return nil
	}
}

// onlyOnce is the SDK's middleware with everything that it does for an attempt, and
// without a second one.
func onlyOnce(theirs *retry.Attempt) *retry.Attempt {
	return retry.NewAttemptMiddleware(aws.NopRetryer{}, smithyhttp.RequestCloner, func(m *retry.Attempt) {
		m.OperationMeter = theirs.OperationMeter
		m.ClientSkew = theirs.ClientSkew
		m.DisableClockSkewCorrection = theirs.DisableClockSkewCorrection
	})
}

// calls makes a call of each operation; it stands where the SDK's retries stood.
type calls struct {
	policy *redress.Policy
	opts   []redress.Option
	once   *retry.Attempt
}

// ID is that of the middleware whose place it takes, for others that refer to it.
func (*calls) ID() string { return retryID }

type answer struct {
	out      middleware.FinalizeOutput
	metadata middleware.Metadata
}

// HandleFinalize runs what follows in the stack, signing and sending, once for each
// attempt.
func (m *calls) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	request, _ := in.Request.(*smithyhttp.Request)
	tried := false
	a, err := redress.Call(ctx, m.policy, func(ctx context.Context) (answer, error) {
		if tried && request != nil {
			if err := request.RewindStream(); err != nil {
				return answer{}, redress.Permanent(fmt.Errorf("redressaws: the request cannot be sent again: %w", err))
			}
		}
		tried = true
		out, metadata, err := m.once.HandleFinalize(ctx, in, next)
		return answer{out, metadata}, explained(err)
	}, m.options(ctx, request)...)
	return a.out, a.metadata, err
}

func (m *calls) options(ctx context.Context, request *smithyhttp.Request) []redress.Option {
	opts := make([]redress.Option, 0, len(m.opts)+2)
	opts = append(opts, redress.WithOperation(operation(ctx)))
	opts = append(opts, m.opts...)
	if request != nil && request.GetStream() != nil && !request.IsStreamSeekable() {
		opts = append(opts, redress.NotReplayable())
	}
	return opts
}

// operation is the name of what is called: "sts.GetCallerIdentity".
func operation(ctx context.Context) string {
	service := strings.ReplaceAll(strings.ToLower(awsmiddleware.GetServiceID(ctx)), " ", "-")
	return service + "." + awsmiddleware.GetOperationName(ctx)
}

// explained adds what the SDK knows of an error and its text does not say.
func explained(err error) error {
	if err == nil {
		return nil
	}
	if skewed, ok := errors.AsType[interface {
		error
		RetryableError() bool
	}](err); ok && skewed.RetryableError() && isSignature(err) {
		err = redress.Transient(err)
	}
	if after, ok := retryAfter(err); ok {
		err = &hintedError{err, after}
	}
	return err
}

// isSignature keeps other errors that call themselves retryable out: what they are is
// for rules to say.
func isSignature(err error) bool {
	coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	if !ok {
		return false
	}
	switch coded.ErrorCode() {
	case "InvalidSignatureException", "SignatureDoesNotMatch", "AuthFailure", "RequestTimeTooSkewed", "AccessDeniedException":
		return true
	}
	return false
}

// retryAfter reads x-amz-retry-after, which is in milliseconds.
func retryAfter(err error) (time.Duration, bool) {
	response, ok := errors.AsType[*smithyhttp.ResponseError](err)
	if !ok || response.Response == nil || response.Response.Response == nil {
		return 0, false
	}
	ms, err := strconv.ParseUint(response.Response.Header.Get("X-Amz-Retry-After"), 10, 31)
	return time.Duration(ms) * time.Millisecond, err == nil && ms > 0
}

// A hintedError says when to come back.
type hintedError struct {
	error
	after time.Duration
}

func (e *hintedError) Unwrap() error             { return e.error }
func (e *hintedError) RetryAfter() time.Duration { return e.after }

// header tells the service which attempt it is: the SDK's middleware, which makes each
// attempt as if it were the only one, would always say the first.
type header struct{ policy *redress.Policy }

func (header) ID() string { return "RedressAttemptHeader" }

func (h header) HandleFinalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	request, isHTTP := in.Request.(*smithyhttp.Request)
	if attempt, ok := redress.AttemptFrom(ctx); ok && isHTTP {
		request.Header.Set("Amz-Sdk-Request", fmt.Sprintf("attempt=%d; max=%d", attempt.Number, h.policy.Spec().MaxAttempts))
	}
	return next.HandleFinalize(ctx, in)
}
