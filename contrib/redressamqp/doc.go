// Package redressamqp publishes to brokers that speak AMQP 0-9-1, such as RabbitMQ, under
// a policy, and has a policy say when a delivery that could not be handled comes again.
//
//	publisher := &redressamqp.Publisher{Policy: policy, Dial: func() (*amqp.Connection, error) {
//		return amqp.Dial(url)
//	}}
//	defer publisher.Close()
//	err := publisher.Publish(ctx, "orders", "created", amqp.Publishing{Body: body})
//
// Policies know the failures of AMQP by the pack std.amqp. Errors that come from
// elsewhere in the client are given to [Error] by an operation of one's own.
package redressamqp
