package redressredis

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
)

// Watch runs an optimistic transaction as one call under p: it watches keys and calls
// fn, which reads them and sends what it makes of them with tx.TxPipelined. If a key
// was changed meanwhile, Redis discards the transaction and Watch begins anew, as far
// as the policy allows (class CONCURRENCY in std.redis). fn must use the context it is
// given, so that its commands are no calls of their own.
//
// The transaction counts as not idempotent: it is not repeated when the reply to EXEC
// was lost, unless [Idempotent] says so of ctx.
func Watch(ctx context.Context, client redis.UniversalClient, p *redress.Policy, fn func(ctx context.Context, tx *redis.Tx) error, keys ...string) error {
	opts := []redress.Option{redress.WithOperation("redis.watch")}
	if yes, _ := ctx.Value(keyIdempotent).(bool); !yes {
		opts = append(opts, redress.NotIdempotent())
	}
	return redress.Do(ctx, p, func(ctx context.Context) error {
		ctx = Bypass(ctx)
		return client.Watch(ctx, func(tx *redis.Tx) error { return fn(ctx, tx) }, keys...)
	}, opts...)
}
