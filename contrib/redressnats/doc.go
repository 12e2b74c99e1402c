// Package redressnats runs requests and publications of a NATS client under a policy,
// and has a policy say when a message that could not be handled comes again.
//
//	reply, err := redressnats.Request(ctx, policy, conn, msg)
//	ack, err := redressnats.Publish(ctx, policy, js, msg)
//
// Policies know the failures of NATS by the pack std.nats. Errors that come from
// elsewhere in the client are given to [Error] by an operation of one's own:
//
//	err := redress.Do(ctx, policy, func(ctx context.Context) error {
//		_, err := js.CreateStream(ctx, config)
//		return redressnats.Error(err)
//	})
package redressnats
