package redresskafka

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

const patience = 20 * time.Second

// cluster starts brokers of kfake, which speak Kafka's protocol in this process, with a
// topic "orders".
func cluster(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(1, "orders")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t testing.TB, addresses []string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(append(Options(), kgo.SeedBrokers(addresses...)), options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// answer has the next n requests to produce answered with an error; it counts them.
func answer(c *kfake.Cluster, n int, with *kerr.Error) (asked *int) {
	asked = new(int)
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		if *asked == n {
			return nil, nil, false
		}
		*asked++
		c.KeepControl()
		request := r.(*kmsg.ProduceRequest)
		response := request.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range request.Topics {
			to := kmsg.NewProduceResponseTopic()
			to.Topic, to.TopicID = topic.Topic, topic.TopicID
			for _, partition := range topic.Partitions {
				tp := kmsg.NewProduceResponseTopicPartition()
				tp.Partition, tp.ErrorCode = partition.Partition, with.Code
				to.Partitions = append(to.Partitions, tp)
			}
			response.Topics = append(response.Topics, to)
		}
		return response, nil, true
	})
	return asked
}

// stored is how many records are in the only partition of "orders".
func stored(c *kfake.Cluster) int64 { return c.PartitionInfo("orders", 0).HighWatermark }

func order() *kgo.Record { return &kgo.Record{Topic: "orders", Value: []byte("order 1")} }

func policy(t testing.TB, text string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("policy.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: orders\nclassify: [{use: std.kafka}]\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("orders")
}

// within is a context for one thing that should not take long.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
