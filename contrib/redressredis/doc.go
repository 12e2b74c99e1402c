// Package redressredis runs the commands of a go-redis client under a policy.
//
//	client := redis.NewClient(&redis.Options{
//		Addr: "127.0.0.1:6379",
//		// The policy retries, and bounds attempts; the client must do neither.
//		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
//	})
//	err := redressredis.Use(client, set.MustPolicy("sessions"))
//
// One command is one call, and so is one pipeline or transaction: an attempt sends all
// of it. The call's operation is "redis.get", after the command, "redis.pipeline" or
// "redis.transaction"; commands that the Redis documentation does not know are
// "redis.other".
//
// A command is repeated after any failure only if doing it twice leaves what doing it
// once leaves; see [IsIdempotent] for which those are. All others, and pipelines that
// hold one, are repeated only after failures that are not_sent: the connection could
// not be made, or Redis answered that it did nothing (LOADING, READONLY, OOM, ...).
// [Idempotent] says otherwise of the commands run with a context.
//
// redis.Nil and redis.TxFailedErr are answers, not failures: they are returned as they
// are and nothing is repeated. Optimistic transactions are repeated whole, by [Watch].
//
// Commands that block on purpose (BLPOP, XREAD with BLOCK, ...), and those that change
// or depend on their connection (SELECT, WATCH, CLIENT, SUBSCRIBE, ...), run without
// the policy, as does a pipeline that holds one. Nor is the policy asked about
// connections of a pub/sub, which go-redis makes anew by itself. Clients that pipeline
// automatically in full duplex send a command before their hooks run: do not use them
// with a policy.
package redressredis
