package redressnats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
)

// A Consumer handles messages of JetStream under a policy: a message that failed is put
// off for as long as the policy says, and comes again, perhaps to another worker. The
// worker does not wait, and holds nothing meanwhile.
type Consumer struct {
	Policy *redress.Policy
	// States is where it is kept how often each message failed, and how: a bucket that all
	// workers of the consumer share. Its TTL should be longer than the policy's deadline.
	// The deadline of a message begins with the first attempt to handle it.
	States jetstream.KeyValue
}

// Handle makes one attempt to handle msg and answers for it:
//
//   - Handled: acknowledged. That is awaited, so that the message does not come again.
//   - To be tried again (SCHEDULED): a negative acknowledgement with the delay of the
//     policy. So too if the breaker refused it (CIRCUIT_OPEN), with the time for which the
//     breaker does, and if the budget is spent (BUDGET_EXHAUSTED), with its window:
//     neither is the fault of the message.
//   - ctx ended (CANCELED, DEADLINE_EXCEEDED with Ended set): a negative acknowledgement
//     without delay, so that another worker takes it.
//   - Given up on: terminated, which JetStream tells in an advisory (MSG_TERMINATED). Who
//     wants to keep the message elsewhere does so by the outcome.
//
// The consumer's AckWait must be longer than an attempt may take, and its MaxDeliver
// larger than the policy's max_attempts. The error says that the message could not be
// answered for; then it comes again after AckWait.
func (c *Consumer) Handle(ctx context.Context, msg jetstream.Msg, fn func(context.Context) error, opts ...redress.Option) (redress.Outcome[struct{}], error) {
	var none redress.Outcome[struct{}]
	key, again, err := keyOf(msg)
	if err != nil {
		return none, err
	}
	var state redress.StepState
	if again {
		if state, err = c.load(context.WithoutCancel(ctx), key); err != nil {
			return none, errors.Join(err, msg.Nak())
		}
	}
	outcome, next, err := redress.Step(ctx, c.Policy, state, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, opts...)
	if err != nil {
		return none, fmt.Errorf("redressnats: %w", errors.Join(err, msg.Nak()))
	}
	return outcome, c.settle(context.WithoutCancel(ctx), msg, key, outcome, next)
}

// settle answers for a message. The state is kept before the message can come again.
func (c *Consumer) settle(ctx context.Context, msg jetstream.Msg, key string, outcome redress.Outcome[struct{}], next redress.StepState) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	var err error
	switch delay, later := c.postponed(outcome); {
	case outcome.Reason == redress.Scheduled:
		if err = c.store(ctx, key, next); err == nil {
			err = msg.NakWithDelay(delay)
		}
		return wrapped(err)
	case later:
		return wrapped(msg.NakWithDelay(delay))
	case outcome.OK:
		err = msg.DoubleAck(ctx)
	default:
		err = msg.Term()
	}
	if err == nil && outcome.Attempts > 1 {
		err = c.States.Delete(ctx, key)
	}
	return wrapped(err)
}

// answerTimeout is how long an answer for a message may take, whatever its handler took.
const answerTimeout = 10 * time.Second

// postponed says whether a message comes again, and when.
func (c *Consumer) postponed(outcome redress.Outcome[struct{}]) (delay time.Duration, yes bool) {
	switch {
	case outcome.Reason == redress.Scheduled:
		return outcome.NextDelay, true
	case outcome.Ended != nil:
		return 0, true
	case outcome.Reason == redress.CircuitOpen:
		return max(c.Policy.Breaker().RetryIn(time.Now()), time.Second), true
	case outcome.Reason == redress.BudgetExhausted:
		return c.Policy.Budget().Spec().Window, true
	}
	return 0, false
}

// keyOf names a message within the bucket, and says whether it was delivered before.
func keyOf(msg jetstream.Msg) (key string, again bool, err error) {
	m, err := msg.Metadata()
	if err != nil {
		return "", false, wrapped(err)
	}
	return fmt.Sprintf("%s.%s.%d", m.Stream, m.Consumer, m.Sequence.Stream), m.NumDelivered > 1, nil
}

func (c *Consumer) load(ctx context.Context, key string) (state redress.StepState, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	entry, err := c.States.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return state, nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value(), &state)
	}
	return state, wrapped(err)
}

func (c *Consumer) store(ctx context.Context, key string, state redress.StepState) error {
	text, err := json.Marshal(state)
	if err == nil {
		_, err = c.States.Put(ctx, key, text)
	}
	return wrapped(err)
}

func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redressnats: %w", Error(err))
}
