package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/eclipse/paho.golang/paho"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats.go"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressamqp"
	"github.com/redress-policy/redress/contrib/redressaws"
	"github.com/redress-policy/redress/contrib/redressgrpc"
	"github.com/redress-policy/redress/contrib/redresskafka"
	"github.com/redress-policy/redress/contrib/redressmqtt"
	"github.com/redress-policy/redress/contrib/redressnats"
	"github.com/redress-policy/redress/contrib/redressotel"
	"github.com/redress-policy/redress/contrib/redresspgx"
	"github.com/redress-policy/redress/contrib/redressprom"
	"github.com/redress-policy/redress/contrib/redressredis"
	"github.com/redress-policy/redress/engine"
	"github.com/redress-policy/redress/internal/proof"
	"github.com/redress-policy/redress/redresshttp"
	"github.com/redress-policy/redress/redresssql"
)

// The same call to the same server, by a client as its makers ship it and by that client
// under a policy. The first attempt succeeds; what is measured is what the policy adds:
// rules of the client's pack, a deadline, a budget, a breaker.
//
//   - bare: the client alone, under a context that never ends
//   - bare+deadline: the same under context.WithTimeout, since a client does more for a
//     context that can end, and a policy always sets a deadline
//   - redress: the client under the policy
//
// Of observers, bare is a call under a policy that nobody observes.

// A step is one call, which looks at its answer.
type step = func(context.Context) error

// A pair is one integration beside what it integrates.
type pair struct {
	name string
	pack string
	// open makes both for a test, under p; it skips the test if there is no server.
	open     func(tb testing.TB, p *redress.Policy) (bare, ours step)
	observer bool // bare is a call under p
}

var pairs = []pair{
	{"http", "std.http", openHTTP, false},
	{"sql", "std.sql", openSQL, false},
	{"pgx", "std.sql", openPgx, false},
	{"redis-get", "std.redis", openRedisGet, false},
	{"redis-pipeline", "std.redis", openRedisPipeline, false},
	{"grpc", "std.grpc", openGRPC, false},
	{"nats", "std.nats", openNATS, false},
	{"amqp", "std.amqp", openAMQP, false},
	{"kafka", "std.kafka", openKafka, false},
	{"mqtt", "std.mqtt", openMQTT, false},
	{"aws", "std.aws", openAWS, false},
	{"otel", "std.http", openOTel, true},
	{"prom", "std.http", openProm, true},
}

// clientPolicy loads the policy that a pair's calls are made under.
func clientPolicy(tb testing.TB, pack string, opts ...redress.LoadOption) *redress.Policy {
	tb.Helper()
	set, err := redress.Parse("client.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: client
classify: [{use: `+pack+`}]
retry:
  max_attempts: 4
  budget: {max_retries: 1000000, window: 1m}
circuit_breaker: {failure_threshold: 5}
`), opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return set.MustPolicy("client")
}

func BenchmarkClients(b *testing.B) {
	for _, pair := range pairs {
		b.Run(pair.name, func(b *testing.B) {
			bare, ours := pair.open(b, clientPolicy(b, pair.pack))
			for _, row := range []struct {
				name string
				step step
			}{
				{"bare", bare},
				{"bare+deadline", underDeadline(bare)},
				{"redress", ours},
			} {
				if pair.observer && row.name == "bare+deadline" {
					continue
				}
				b.Run(row.name, func(b *testing.B) {
					ctx := context.Background()           // that of b can end
					if err := row.step(ctx); err != nil { // the first makes the connection
						b.Fatal(err)
					}
					b.ReportAllocs()
					for b.Loop() {
						if err := row.step(ctx); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

func underDeadline(s step) step {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		return s(ctx)
	}
}

// TestClientsDoTheSame has both of a pair get the answer they should, ours by one attempt
// under the policy. (Of observers, that one attempt is bare's.)
func TestClientsDoTheSame(t *testing.T) {
	for _, pair := range pairs {
		t.Run(pair.name, func(t *testing.T) {
			var attempts, successes atomic.Int32
			count := redress.ObserverFunc(func(_ context.Context, e redress.Event) {
				switch e.Kind {
				case engine.AttemptStart:
					attempts.Add(1)
				case engine.EventSuccess:
					successes.Add(1)
				}
			})
			bare, ours := pair.open(t, clientPolicy(t, pair.pack, redress.WithPolicyObserver(count)))
			for _, s := range []step{bare, ours} {
				if err := s(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if attempts.Load() != 1 || successes.Load() != 1 {
				t.Errorf("%d attempts and %d successes under the policy", attempts.Load(), successes.Load())
			}
		})
	}
}

// errAnswer is of a step that got another answer than it should.
var errAnswer = errors.New("not the answer that was expected")

func want(ok bool, err error) error {
	if err == nil && !ok {
		return errAnswer
	}
	return err
}

func openHTTP(tb testing.TB, p *redress.Policy) (bare, ours step) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	tb.Cleanup(server.Close)
	base := &http.Transport{}
	tb.Cleanup(base.CloseIdleConnections)
	get := func(c *http.Client) step {
		return func(ctx context.Context) error {
			got, err := once(ctx, c, http.MethodGet, server.URL, "")
			return want(got == "", err)
		}
	}
	return get(&http.Client{Transport: base}), get(&http.Client{Transport: &redresshttp.Transport{Base: base, Policy: p}})
}

func postgres(tb testing.TB) string {
	return "postgres://postgres@" + proof.Address(tb, "REDRESS_TEST_POSTGRES", "127.0.0.1:5432") + "/test?sslmode=disable&connect_timeout=10"
}

// openSQL makes transactions of one statement.
func openSQL(tb testing.TB, p *redress.Policy) (bare, ours step) {
	db, err := sql.Open("pgx", postgres(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	work := func(ctx context.Context, tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, "select 1").Scan(&n)
		return want(n == 1, err)
	}
	bare = func(ctx context.Context) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := work(ctx, tx); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return tx.Commit()
	}
	return bare, func(ctx context.Context) error { return redresssql.Do(ctx, db, nil, p, work) }
}

// openPgx makes transactions of one statement.
func openPgx(tb testing.TB, p *redress.Policy) (bare, ours step) {
	pool, err := pgxpool.New(context.Background(), postgres(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	work := func(ctx context.Context, tx pgx.Tx) error {
		var n int
		err := tx.QueryRow(ctx, "select 1").Scan(&n)
		return want(n == 1, err)
	}
	bare = func(ctx context.Context) error {
		return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{}, func(tx pgx.Tx) error { return work(ctx, tx) })
	}
	return bare, func(ctx context.Context) error { return redresspgx.Do(ctx, pool, pgx.TxOptions{}, p, work) }
}

// openRedis returns clients with equal options and a key whose value is "value".
func openRedis(tb testing.TB, p *redress.Policy) (bare, ours *redis.Client, key string) {
	options := redis.Options{
		Addr:       proof.Address(tb, "REDRESS_TEST_REDIS", "127.0.0.1:6379"),
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	}
	client := func() *redis.Client {
		options := options // which the client writes to
		c := redis.NewClient(&options)
		tb.Cleanup(func() { _ = c.Close() })
		return c
	}
	bare, ours = client(), client()
	if err := redressredis.Use(ours, p); err != nil {
		tb.Fatal(err)
	}
	key = "redress:bench:" + rand.Text()
	if err := bare.Set(context.Background(), key, "value", time.Hour).Err(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { bare.Del(context.Background(), key) })
	return bare, ours, key
}

func openRedisGet(tb testing.TB, p *redress.Policy) (bare, ours step) {
	b, o, key := openRedis(tb, p)
	get := func(c *redis.Client) step {
		return func(ctx context.Context) error {
			value, err := c.Get(ctx, key).Result()
			return want(value == "value", err)
		}
	}
	return get(b), get(o)
}

// openRedisPipeline makes pipelines of ten commands.
func openRedisPipeline(tb testing.TB, p *redress.Policy) (bare, ours step) {
	b, o, key := openRedis(tb, p)
	get := func(c *redis.Client) step {
		return func(ctx context.Context) error {
			replies, err := c.Pipelined(ctx, func(pipe redis.Pipeliner) error {
				for range 10 {
					pipe.Get(ctx, key)
				}
				return nil
			})
			return want(len(replies) == 10, err)
		}
	}
	return get(b), get(o)
}

func openGRPC(tb testing.TB, p *redress.Policy) (bare, ours step) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	tb.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	check := func(options ...grpc.DialOption) step {
		conn, err := grpc.NewClient(listener.Addr().String(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		client := grpc_health_v1.NewHealthClient(conn)
		return func(ctx context.Context) error {
			reply, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			return want(reply.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING, err)
		}
	}
	client := &redressgrpc.Client{Policy: func(string) *redress.Policy { return p }}
	return check(), check(client.DialOptions()...)
}

func openNATS(tb testing.TB, p *redress.Policy) (bare, ours step) {
	url := "nats://" + proof.Address(tb, "REDRESS_TEST_NATS", "127.0.0.1:4222")
	connect := func() *nats.Conn {
		conn, err := nats.Connect(url)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(conn.Close)
		return conn
	}
	responder, conn, subject := connect(), connect(), nats.NewInbox()
	if _, err := responder.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		tb.Fatal(err)
	}
	if err := responder.Flush(); err != nil {
		tb.Fatal(err)
	}
	request := func() *nats.Msg { return &nats.Msg{Subject: subject, Data: []byte("hello")} }
	bare = func(ctx context.Context) error {
		reply, err := conn.RequestMsgWithContext(ctx, request())
		return want(err == nil && string(reply.Data) == "hello", err)
	}
	ours = func(ctx context.Context) error {
		reply, err := redressnats.Request(ctx, p, conn, request())
		return want(err == nil && string(reply.Data) == "hello", err)
	}
	return bare, ours
}

// openAMQP publishes to a queue that keeps ten messages. The bare client waits for the
// confirm too, but does not watch for messages that no queue takes.
func openAMQP(tb testing.TB, p *redress.Policy) (bare, ours step) {
	url := "amqp://guest:guest@" + proof.Address(tb, "REDRESS_TEST_RABBITMQ", "127.0.0.1:5672") + "/"
	conn, err := amqp.Dial(url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	channel, err := conn.Channel()
	if err != nil {
		tb.Fatal(err)
	}
	queue, err := channel.QueueDeclare("", false, true, true, false, amqp.Table{"x-max-length": 10}) // ends with the connection
	if err != nil {
		tb.Fatal(err)
	}
	if err := channel.Confirm(false); err != nil {
		tb.Fatal(err)
	}
	publisher := &redressamqp.Publisher{Policy: p, Dial: func() (*amqp.Connection, error) { return amqp.Dial(url) }}
	tb.Cleanup(func() { _ = publisher.Close() })
	msg := amqp.Publishing{Body: []byte("hello")}
	bare = func(ctx context.Context) error {
		confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue.Name, true, false, msg)
		if err != nil {
			return err
		}
		taken, err := confirmation.WaitContext(ctx)
		return want(taken, err)
	}
	return bare, func(ctx context.Context) error { return publisher.Publish(ctx, "", queue.Name, msg) }
}

// openKafka produces to the broker that franz-go has for tests, in this process.
func openKafka(tb testing.TB, p *redress.Policy) (bare, ours step) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "hello"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(cluster.Close)
	connect := func(opts ...kgo.Opt) *kgo.Client {
		client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cluster.ListenAddrs()...))...)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(client.Close)
		return client
	}
	plain, client := connect(), connect(redresskafka.Options()...)
	record := func() *kgo.Record { return &kgo.Record{Topic: "hello", Value: []byte("hello")} }
	bare = func(ctx context.Context) error { return plain.ProduceSync(ctx, record()).FirstErr() }
	ours = func(ctx context.Context) error {
		_, err := redresskafka.Produce(ctx, p, client, record())
		return err
	}
	return bare, ours
}

// openMQTT publishes with QoS 1 to a topic that nobody has subscribed to.
func openMQTT(tb testing.TB, p *redress.Policy) (bare, ours step) {
	address := proof.Address(tb, "REDRESS_TEST_MOSQUITTO", "127.0.0.1:1883")
	dial := func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
	conn, err := dial(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	client := paho.NewClient(paho.ClientConfig{Conn: conn})
	if _, err := client.Connect(tb.Context(), &paho.Connect{CleanStart: true, KeepAlive: 30}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Disconnect(&paho.Disconnect{}) })
	publisher := &redressmqtt.Publisher{Policy: p, Dial: dial}
	tb.Cleanup(func() { _ = publisher.Close() })
	message := func() *paho.Publish { return &paho.Publish{Topic: "redress/bench", QoS: 1, Payload: []byte("hello")} }
	bare = func(ctx context.Context) error {
		_, err := client.Publish(ctx, message())
		return err
	}
	return bare, func(ctx context.Context) error { return publisher.Publish(ctx, message()) }
}

// openAWS calls a service that answers every request at once. Requests are signed.
func openAWS(tb testing.TB, p *redress.Policy) (bare, ours step) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	tb.Cleanup(server.Close)
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	cfg := aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "key", SecretAccessKey: "secret"}, nil
		}),
	}
	whoami := func(cfg aws.Config) step {
		client := sts.NewFromConfig(cfg)
		return func(ctx context.Context) error {
			reply, err := client.GetCallerIdentity(ctx, nil)
			return want(err == nil && aws.ToString(reply.Account) == "1", err)
		}
	}
	bare = whoami(cfg)
	cfg.APIOptions = append(cfg.APIOptions, redressaws.Use(p))
	return bare, whoami(cfg)
}

// openOTel has an SDK record a span and metrics, which it exports nowhere.
func openOTel(tb testing.TB, p *redress.Policy) (bare, ours step) {
	traces, metrics := sdktrace.NewTracerProvider(), sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	tb.Cleanup(func() {
		if err := errors.Join(traces.Shutdown(context.Background()), metrics.Shutdown(context.Background())); err != nil {
			tb.Error(err)
		}
	})
	o, err := redressotel.New(redressotel.Options{TracerProvider: traces, MeterProvider: metrics})
	if err != nil {
		tb.Fatal(err)
	}
	return charge(p), charge(clientPolicy(tb, "std.http", redress.WithPolicyObserver(o)))
}

func openProm(tb testing.TB, p *redress.Policy) (bare, ours step) {
	o := redressprom.New(redressprom.Options{})
	return charge(p), charge(clientPolicy(tb, "std.http", redress.WithPolicyObserver(o)))
}

// charge is a call that does nothing, under p.
func charge(p *redress.Policy) step {
	nothing := func(context.Context) error { return nil }
	operation := redress.WithOperation("charge")
	return func(ctx context.Context) error { return redress.Do(ctx, p, nothing, operation) }
}
