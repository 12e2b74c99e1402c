package redressamqp

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/redress-policy/redress"
)

// A Consumer handles deliveries under a policy: one that failed is put off for as long
// as the policy says, and comes again, perhaps to another worker. The worker does not
// wait, and how often the message failed is kept in the message.
//
// A message that is put off waits in a queue without consumers, from which it goes back
// when its time there is over. There is a queue for each delay, named after the queue that
// the message came from and the delay in milliseconds ("jobs.retry.4096"); delays are
// rounded up to one of eight steps between powers of two, so a message comes back up to an
// eighth later than the policy says, and never earlier. The queues are durable classic
// ones; the broker deletes them ten minutes after the last message should have left.
type Consumer struct {
	Policy *redress.Policy
	// Publisher puts messages off; its policy is not used for that.
	Publisher *Publisher
	// Queue is where deliveries come from.
	Queue string
}

// stateHeader is where a message that was put off keeps its state, as JSON.
const stateHeader = "x-redress-state"

// Handle makes one attempt to handle d and answers for it:
//
//   - Handled: acknowledged.
//   - To be tried again (SCHEDULED): put off for the delay of the policy, then
//     acknowledged. So too if the breaker refused it (CIRCUIT_OPEN), for as long as the
//     breaker does, and if the budget is spent (BUDGET_EXHAUSTED), for its window: neither
//     is the fault of the message.
//   - ctx ended (CANCELED, DEADLINE_EXCEEDED with Ended set): rejected and requeued, so
//     that another worker takes it.
//   - Given up on: rejected, and not requeued: it goes to the dead letter exchange of the
//     queue, if that has one.
//
// Should the connection be lost between putting off and acknowledging, the message comes
// twice. The error says that the delivery could not be answered for; then it comes again
// when its channel is closed.
func (c *Consumer) Handle(ctx context.Context, d *amqp.Delivery, fn func(context.Context) error, opts ...redress.Option) (redress.Outcome[struct{}], error) {
	var none redress.Outcome[struct{}]
	state, err := stateOf(d)
	if err != nil {
		return none, errors.Join(err, d.Reject(false))
	}
	outcome, next, err := redress.Step(ctx, c.Policy, state, func(ctx context.Context) (struct{}, error) { return struct{}{}, fn(ctx) }, opts...)
	if err != nil {
		return none, fmt.Errorf("redressamqp: %w", errors.Join(err, d.Reject(false)))
	}
	return outcome, c.settle(context.WithoutCancel(ctx), d, outcome, state, next)
}

func (c *Consumer) settle(ctx context.Context, d *amqp.Delivery, outcome redress.Outcome[struct{}], state, next redress.StepState) error {
	var err error
	switch {
	case outcome.OK:
		err = d.Ack(false)
	case outcome.Reason == redress.Scheduled:
		err = c.putOff(ctx, d, outcome.NextDelay, next)
	case outcome.Ended != nil:
		err = d.Reject(true)
	case outcome.Reason == redress.CircuitOpen:
		err = c.putOff(ctx, d, max(c.Policy.Breaker().RetryIn(time.Now()), time.Second), state)
	case outcome.Reason == redress.BudgetExhausted:
		err = c.putOff(ctx, d, c.Policy.Budget().Spec().Window, state)
	default:
		err = d.Reject(false)
	}
	if err != nil {
		return fmt.Errorf("redressamqp: %w", Error(err))
	}
	return nil
}

// putOffTimeout is how long putting off may take, whatever the handler took.
const putOffTimeout = 10 * time.Second

// putOff acknowledges a delivery once its message is in the queue in which it waits.
func (c *Consumer) putOff(ctx context.Context, d *amqp.Delivery, delay time.Duration, state redress.StepState) error {
	ctx, cancel := context.WithTimeout(ctx, putOffTimeout)
	defer cancel()
	l, err := c.Publisher.open()
	if err != nil {
		return err
	}
	step := roundUp(delay)
	name := c.Queue + ".retry." + strconv.FormatInt(step, 10)
	if _, err := l.channel.QueueDeclare(name, true, false, false, false, amqp.Table{
		"x-message-ttl":             step,
		"x-expires":                 step + (10 * time.Minute).Milliseconds(),
		"x-dead-letter-exchange":    "",
		"x-dead-letter-routing-key": c.Queue,
	}); err != nil {
		return err
	}
	msg, err := again(d, state)
	if err != nil {
		return err
	}
	if err := c.Publisher.once(ctx, "", name, msg); err != nil {
		return err
	}
	return d.Ack(false)
}

// roundUp returns a delay in milliseconds, rounded up to a number with four binary digits
// that are not zero.
func roundUp(delay time.Duration) int64 {
	ms := max((delay + time.Millisecond - 1).Milliseconds(), 1)
	shift := max(bits.Len64(uint64(ms))-4, 0)
	return (ms + 1<<shift - 1) >> shift << shift
}

// again is the message of a delivery with a state.
func again(d *amqp.Delivery, state redress.StepState) (amqp.Publishing, error) {
	text, err := json.Marshal(state)
	if err != nil {
		return amqp.Publishing{}, err
	}
	headers := maps.Clone(d.Headers)
	if headers == nil {
		headers = amqp.Table{}
	}
	headers[stateHeader] = string(text)
	id := d.MessageId
	if id == "" {
		id = rand.Text() // by which a return is known
	}
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode,
		Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, MessageId: id, Timestamp: d.Timestamp,
		Type: d.Type, AppId: d.AppId, Body: d.Body,
	}, nil
}

// stateOf reads the state that a message was put off with; the zero state if it was not.
func stateOf(d *amqp.Delivery) (state redress.StepState, err error) {
	value, ok := d.Headers[stateHeader]
	if !ok {
		return state, nil
	}
	text, ok := value.(string)
	if !ok {
		return state, fmt.Errorf("redressamqp: header %s is a %T", stateHeader, value)
	}
	if err := json.Unmarshal([]byte(text), &state); err != nil {
		return state, fmt.Errorf("redressamqp: header %s: %w", stateHeader, err)
	}
	return state, nil
}
