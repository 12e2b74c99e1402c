// Package redresskafka produces records to Kafka under a policy, with the client
// franz-go.
//
//	client, err := kgo.NewClient(append(redresskafka.Options(), kgo.SeedBrokers(address))...)
//	...
//	produced, err := redresskafka.Produce(ctx, policy, client, record)
//
// Policies know the failures of Kafka by the pack std.kafka. Errors that come from
// elsewhere in the client are given to [Error] by an operation of one's own:
//
//	err := redress.Do(ctx, policy, func(ctx context.Context) error {
//		return redresskafka.Error(client.CommitRecords(ctx, records...))
//	})
package redresskafka
