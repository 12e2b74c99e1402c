package redressfleet

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// scriptVersion is part of every key: instances whose scripts differ do not meet.
const scriptVersion = "1"

//go:embed budget.lua
var budgetSource string

//go:embed breaker.lua
var breakerSource string

var budgetScript, breakerScript = redis.NewScript(budgetSource), redis.NewScript(breakerSource)

// A Redis is a store in Redis, 5 or later, or Valkey. Every key has a TTL of some
// windows, so that a fleet that has gone leaves nothing.
type Redis struct {
	client redis.UniversalClient
	prefix string
}

// NewRedis returns a store in client's Redis. The keys begin with namespace, "redress" if
// it is empty; services that must not share budgets of the same name take different ones.
// In a cluster the keys of a budget, and of a breaker, lie in one slot.
func NewRedis(client redis.UniversalClient, namespace string) *Redis {
	if namespace == "" {
		namespace = "redress"
	}
	return &Redis{client, namespace + ":" + scriptVersion}
}

// Exchange is one round trip: a pipeline of one script for each budget and breaker. A
// Redis that does not know the scripts is told, in a second one.
func (r *Redis) Exchange(ctx context.Context, ask Ask) (Answer, error) {
	answer, err := r.exchange(ctx, ask, (*redis.Script).EvalSha)
	if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") {
		answer, err = r.exchange(ctx, ask, (*redis.Script).Eval)
	}
	return answer, err
}

type evaluate func(s *redis.Script, ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (r *Redis) exchange(ctx context.Context, ask Ask, run evaluate) (Answer, error) {
	pipe := r.client.Pipeline()
	var replies []*redis.Cmd
	for _, b := range ask.Budgets {
		replies = append(replies, run(budgetScript, ctx, pipe, r.keys("budget", b.Name, span(b), span(b)+":alive"), budgetArgs(ask, b)...))
	}
	for _, b := range ask.Breakers {
		replies = append(replies, run(breakerScript, ctx, pipe, r.keys("breaker", b.Name, "", ":alive", ":suspects"), breakerArgs(ask, b)...))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return Answer{}, err
	}
	var answer Answer
	for i, reply := range replies {
		values, err := reply.Slice()
		if err != nil {
			return Answer{}, err
		}
		f := fields{values: values}
		if i < len(ask.Budgets) {
			answer.Budgets = append(answer.Budgets, BudgetAnswer{
				Epoch: f.text(), Quiet: f.number() == 1, Granted: int(f.number()), Slot: f.number(), Instances: int(f.number()), Now: f.ms(),
			})
		} else {
			answer.Breakers = append(answer.Breakers, BreakerAnswer{
				Epoch: f.text(), Quiet: f.number() == 1, Gen: f.number(), Open: f.number() == 1, OpenFor: f.ms(),
				Probe: f.number() == 1, ProbeFor: f.ms(), Instances: int(f.number()), Suspects: int(f.number()),
			})
		}
		if f.err != nil {
			return Answer{}, f.err
		}
	}
	return answer, nil
}

func (r *Redis) keys(kind, name string, parts ...string) []string {
	keys := make([]string, len(parts))
	for i, part := range parts {
		keys[i] = fmt.Sprintf("%s:{%s:%s}%s", r.prefix, kind, name, part)
	}
	return keys
}

// span is part of a budget's keys: slots of different length must not mix.
func span(b BudgetAsk) string { return fmt.Sprintf(":%d", b.Span.Milliseconds()) }

func budgetArgs(ask Ask, b BudgetAsk) []any {
	args := []any{
		ask.Instance, ask.Fresh, ask.Alive.Milliseconds(), ask.Quiet.Milliseconds(),
		b.Epoch, b.Limit, b.Span.Milliseconds(), max(b.Span.Milliseconds()/slots, 1), b.Want, flag(b.Stepped), len(b.Back),
	}
	for _, back := range b.Back {
		args = append(args, back.ID, back.N)
	}
	for _, past := range b.Told {
		args = append(args, past.Age.Milliseconds(), past.N)
	}
	return args
}

func breakerArgs(ask Ask, b BreakerAsk) []any {
	return []any{
		ask.Instance, ask.Fresh, ask.Alive.Milliseconds(), ask.Quiet.Milliseconds(),
		b.Epoch, b.Gen, flag(b.Suspect), flag(b.Probe), int(b.Result), b.Recovery.Milliseconds(), b.Lease.Milliseconds(), b.Window.Milliseconds(),
	}
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// fields reads the values of a reply in order.
type fields struct {
	values []any
	err    error
}

func (f *fields) next() (v any) {
	if len(f.values) == 0 {
		f.err = fmt.Errorf("redressfleet: the reply of a script is too short")
		return nil
	}
	v, f.values = f.values[0], f.values[1:]
	return v
}

func (f *fields) text() string {
	s, _ := f.next().(string)
	return s
}

func (f *fields) number() int64 {
	switch v := f.next().(type) {
	case int64:
		return v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			f.err = fmt.Errorf("redressfleet: the reply of a script: %w", err)
		}
		return n
	}
	return 0
}

func (f *fields) ms() time.Duration { return time.Duration(f.number()) * time.Millisecond }
