package redressredis

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// A story is what the observer of a policy was told.
type story struct {
	mu     sync.Mutex
	events []redress.Event // guarded by mu
}

func (s *story) Observe(_ context.Context, e redress.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
}

// ends returns how calls ended, as "operation reason attempts", and forgets them.
func (s *story) ends() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, e := range s.events {
		if e.Reason != redress.StopReason(0) && e.Kind.String() != "attempt_end" {
			all = append(all, e.Operation+" "+e.Reason.String()+" "+strings.Repeat("I", e.Attempt))
		}
	}
	s.events = nil
	return all
}

func (s *story) want(t *testing.T, want ...string) {
	t.Helper()
	if got := s.ends(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		t.Errorf("the calls were %q, want %q", got, want)
	}
}

const quick = "retry: {deadline: 10s, max_attempts: 3, strategy: {constant: {delay: 1ms}}}\n"

func TestUseRefusesAClientThatDoesWhatThePolicyShould(t *testing.T) {
	policy := load(t, quick)
	for _, row := range []struct {
		name   string
		client redis.UniversalClient
		want   []string
	}{
		{"as it comes", redis.NewClient(&redis.Options{}), []string{"MaxRetries", "DialerRetries", "ContextTimeoutEnabled"}},
		{"retries", redis.NewClient(&redis.Options{DialerRetries: 1, ContextTimeoutEnabled: true}), []string{"retries 3 times"}},
		{"dials", redis.NewClient(&redis.Options{MaxRetries: -1, ContextTimeoutEnabled: true}), []string{"dials 5 times"}},
		{"no context", redis.NewClient(&redis.Options{MaxRetries: -1, DialerRetries: 1}), []string{"ContextTimeoutEnabled"}},
		{"cluster", redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}), []string{"DialerRetries", "ContextTimeoutEnabled"}},
		{"ring", redis.NewRing(&redis.RingOptions{}), []string{"MaxRetries"}},
		{"unknown", struct{ redis.UniversalClient }{}, []string{"not known"}},
		{"fit", redis.NewClient(fit("127.0.0.1:1")), nil},
		{"fit cluster", redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, DialerRetries: 1, ContextTimeoutEnabled: true}), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.name != "unknown" {
				defer row.client.Close()
			}
			err := Use(row.client, policy)
			if (err == nil) != (row.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range row.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestOneCommandIsOneCallAndTheHandshakeIsNone(t *testing.T) {
	ctx := context.Background()
	c, told := governed(t, launch(t, true).address, quick)
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	c.Do(ctx, "EXISTS", "k")
	c.Do(ctx, "NO.SUCH")
	told.want(t, "redis.set SUCCESS I", "redis.exists SUCCESS I", "redis.other NON_RETRYABLE_CLASS I")
}

func TestAnAnswerIsReturnedAsItIs(t *testing.T) {
	ctx := context.Background()
	c, told := governed(t, launch(t, true).address, quick)
	if err := c.Get(ctx, "absent").Err(); err != redis.Nil {
		t.Errorf("got %v, want redis.Nil itself", err)
	}
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "absent"); p.Incr(ctx, "n"); return nil })
	if err != redis.Nil || cmds[1].(*redis.IntCmd).Val() != 1 {
		t.Errorf("got %v and %v, want redis.Nil and 1", err, cmds[1])
	}
	told.want(t, "redis.get SUCCESS I", "redis.pipeline SUCCESS I")
}

// A faultyLink loses replies: the server does what it was told, and the client never
// hears of it.
type faultyLink struct{ lose atomic.Int32 }

func (l *faultyLink) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &linkConn{Conn: conn, link: l}, nil
}

type linkConn struct {
	net.Conn
	link *faultyLink
}

func (c *linkConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p) // the reply is there: the command was carried out
	if err == nil && c.link.lose.Load() > 0 {
		c.link.lose.Add(-1)
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return n, err
}

// onFaultyLink gives a client whose connections stand: pipelines have their own.
func onFaultyLink(t *testing.T, policy string) (*redis.Client, *faultyLink, *story) {
	t.Helper()
	link, told := &faultyLink{}, &story{}
	c := plain(t, launch(t, true).address, func(o *redis.Options) { o.Dialer = link.dial })
	if err := Use(c, load(t, policy, redress.WithPolicyObserver(told))); err != nil {
		t.Fatal(err)
	}
	ping := func(p redis.Pipeliner) error { p.Ping(context.Background()); return nil }
	if _, err := c.Pipelined(context.Background(), ping); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	told.ends()
	return c, link, told
}

func TestACommandWhoseReplyIsLostIsRepeatedOnlyIfThatDoesNoHarm(t *testing.T) {
	ctx := context.Background()
	c, link, told := onFaultyLink(t, quick)
	lost := func(do func() error) error { link.lose.Store(1); return do() }

	if err := lost(func() error { return c.Incr(ctx, "n").Err() }); !stoppedBy(err, redress.ReasonNotIdempotent) {
		t.Errorf("INCR: got %v", err)
	}
	if n, _ := c.Get(ctx, "n").Int(); n != 1 {
		t.Errorf("INCR was done %d times, want once", n)
	}
	if err := lost(func() error { return c.Set(ctx, "k", "nx", 0).Err() }); err != nil {
		t.Errorf("SET: %v", err)
	}
	if err := lost(func() error { return c.SetNX(ctx, "lock", "me", 0).Err() }); !stoppedBy(err, redress.ReasonNotIdempotent) {
		t.Errorf("SET NX: got %v", err)
	}
	if err := lost(func() error { return c.Incr(Idempotent(ctx, true), "n").Err() }); err != nil {
		t.Errorf("INCR that may be repeated: %v", err)
	}
	if err := lost(func() error { return c.Get(Idempotent(ctx, false), "n").Err() }); !stoppedBy(err, redress.ReasonNotIdempotent) {
		t.Errorf("GET that may not be repeated: got %v", err)
	}
	told.want(t, "redis.incr NOT_IDEMPOTENT I", "redis.get SUCCESS I", "redis.set SUCCESS II",
		"redis.set NOT_IDEMPOTENT I", "redis.incr SUCCESS II", "redis.get NOT_IDEMPOTENT I")
}

func stoppedBy(err error, reason redress.StopReason) bool {
	var e *redress.Error
	return errors.As(err, &e) && e.Reason == reason
}

func TestAPipelineIsRepeatedWholeIfAllOfItMayBe(t *testing.T) {
	ctx := context.Background()
	c, link, told := onFaultyLink(t, quick)
	link.lose.Store(1)
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "a", 1, 0); p.Get(ctx, "a"); return nil })
	if err != nil || cmds[0].Err() != nil || cmds[1].(*redis.StringCmd).Val() != "1" {
		t.Errorf("got %v: %v", err, cmds)
	}
	link.lose.Store(1)
	cmds, err = c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "a", 1, 0); p.Incr(ctx, "n"); return nil })
	if !stoppedBy(err, redress.ReasonNotIdempotent) || cmds[1].Err() == nil {
		t.Errorf("got %v: %v", err, cmds)
	}
	told.want(t, "redis.pipeline SUCCESS II", "redis.transaction NOT_IDEMPOTENT I")
}

func TestAPipelineThatWasCarriedOutInPartWasSent(t *testing.T) {
	ctx := context.Background()
	s := launch(t, true, "--maxmemory-policy", "noeviction")
	s.do("CONFIG", "SET", "maxmemory", "1")
	c, told := governed(t, s.address, quick)
	refused := func(first string) error {
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Do(ctx, first, "k")
			p.RPush(ctx, "list", 1) // OOM
			return nil
		})
		return err
	}
	if err := refused("RPOP"); !stoppedBy(err, redress.ReasonNotIdempotent) || !strings.Contains(err.Error(), "1 of 2 commands were carried out") {
		t.Errorf("partly: got %v", err)
	}
	if err := refused("INCR"); !stoppedBy(err, redress.MaxAttemptsGlobal) {
		t.Errorf("not at all: got %v", err)
	}
	told.want(t, "redis.pipeline NOT_IDEMPOTENT I", "redis.pipeline MAX_ATTEMPTS_GLOBAL III")
}

func TestAWatchedKeyThatWasChangedBeginsTheTransactionAnew(t *testing.T) {
	ctx := context.Background()
	s := launch(t, true)
	c, told := governed(t, s.address, quick)
	interfered := 0
	err := Watch(ctx, c, load(t, quick), func(ctx context.Context, tx *redis.Tx) error {
		n, err := tx.Get(ctx, "n").Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if interfered++; interfered == 1 {
			s.do("SET", "n", 10)
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "n", n+1, 0); return nil })
		return err
	}, "n")
	if n, _ := c.Get(ctx, "n").Int(); err != nil || n != 11 || interfered != 2 {
		t.Errorf("n is %d after %d rounds, %v; want 11 after 2", n, interfered, err)
	}
	told.want(t, "redis.get SUCCESS I") // none of the transaction's commands was a call of its own
	err = c.Watch(ctx, func(tx *redis.Tx) error {
		s.do("SET", "n", 20)
		_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Set(ctx, "n", 0, 0); return nil })
		return err
	}, "n")
	if !errors.Is(err, redis.TxFailedErr) || c.Get(ctx, "n").Val() != "20" {
		t.Errorf("EXEC was repeated without its WATCH: %v", err)
	}
}

func TestABrokenRedisOpensTheBreakerAndIsThenLeftAlone(t *testing.T) {
	ctx := context.Background()
	s := launch(t, true)
	c, told := governed(t, s.address, quick+"circuit_breaker: {failure_threshold: 2, trip_on: [TRANSIENT]}\n")
	if err := c.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	s.kill()
	for range 2 {
		if err := c.Get(ctx, "k").Err(); !stoppedBy(err, redress.MaxAttemptsGlobal) {
			t.Errorf("got %v", err)
		}
	}
	told.ends()
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Get(ctx, "a"); p.Get(ctx, "b"); return nil })
	if !stoppedBy(err, redress.CircuitOpen) {
		t.Errorf("got %v", err)
	}
	for _, cmd := range cmds {
		if !stoppedBy(cmd.Err(), redress.CircuitOpen) {
			t.Errorf("%v has no error of its own", cmd)
		}
	}
	told.want(t, "redis.pipeline CIRCUIT_OPEN ")
}

func TestCommandsThatBlockOrBindTheirConnectionRunWithoutThePolicy(t *testing.T) {
	ctx := context.Background()
	s := launch(t, true)
	c, told := governed(t, s.address, "retry: {deadline: 1ms}\n")
	c.BLPop(ctx, 10*time.Millisecond, "nothing")
	c.XRead(ctx, &redis.XReadArgs{Streams: []string{"s", "0"}, Block: 10 * time.Millisecond})
	_, _ = c.Pipelined(ctx, func(p redis.Pipeliner) error { p.Do(ctx, "SELECT", 0); p.Get(ctx, "k"); return nil })
	sub := c.Subscribe(ctx, "news")
	defer sub.Close()
	if _, err := sub.Receive(ctx); err != nil {
		t.Fatal(err)
	}
	c.Get(Bypass(ctx), "k")
	told.want(t)
}

func TestAnAttemptEndsWithItsTimeoutAndTheNextOneIsAnswered(t *testing.T) {
	ctx := context.Background()
	s := launch(t, true)
	c, told := governed(t, s.address, "retry: {deadline: 10s, attempt_timeout: 100ms, max_attempts: 100, strategy: {constant: {delay: 1ms}}}\n")
	s.do("CLIENT", "PAUSE", "250", "ALL")
	if err := c.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if ends := told.ends(); len(ends) != 1 || !strings.HasPrefix(ends[0], "redis.set SUCCESS II") {
		t.Errorf("got %q", ends)
	}
}

func TestCommandsAreRetriedUntilRedisHasLoaded(t *testing.T) {
	ctx := context.Background()
	folder := t.TempDir()
	s := launchIn(t, folder, true)
	s.do("DEBUG", "POPULATE", "100")
	s.do("SAVE")
	s.kill()
	s = launchIn(t, folder, false, "--key-load-delay", "3000", "--loading-process-events-interval-bytes", "1024")
	c, _ := governed(t, s.address, "retry: {deadline: 20s, max_attempts: 10000, strategy: {constant: {delay: 2ms}}}\n")
	// Not to be repeated blindly; but Redis says that it did nothing.
	if n, err := c.Incr(ctx, "n").Result(); n != 1 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestTheTableOfCommandsAgreesWithRedis(t *testing.T) {
	c := plain(t, proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379"))
	commands, err := c.Command(context.Background()).Result()
	if err != nil {
		t.Fatal(err)
	}
	// Administration, and commands of modules, are not in the table.
	absent := strings.Fields("acl bgrewriteaof bgsave cluster config debug latency memory module pfdebug pfselftest replicaof restore-asking save shutdown slaveof slowlog")
	for name, info := range commands {
		flags := " " + strings.Join(info.Flags, " ") + " "
		has := func(flag string) bool { return strings.Contains(flags, " "+flag+" ") }
		n := natures[name]
		if n == unknown && slices.Contains(absent, name) {
			continue
		}
		switch {
		case n == unknown && !has("module"):
			t.Errorf("%s is not in the table", name)
		case has("readonly") && n != reads:
			t.Errorf("%s changes nothing, says Redis", name)
		case has("write") && n != sets && n != conditions && n != changes && n != blocks:
			t.Errorf("%s writes, says Redis, but is of nature %d", name, n)
		case has("blocking") && n != blocks && name != "xread" && name != "xreadgroup":
			t.Errorf("%s blocks, says Redis", name)
		}
	}
}

// What the table calls sets must leave the same data when done twice in a row.
func TestWhatIsIdempotentLeavesTheSameWhenDoneTwice(t *testing.T) {
	ctx := context.Background()
	c := plain(t, launch(t, true).address)
	prepare := [][]any{
		{"SET", "s", "text"}, {"HSET", "h", "f", "1", "g", "2"}, {"SADD", "set", "a", "b"}, {"SADD", "set2", "b"}, {"ZADD", "z", "1", "a", "2", "b"}, {"ZADD", "z2", "1", "b"},
		{"RPUSH", "l", "a", "b"}, {"PFADD", "pf", "x"}, {"GEOADD", "geo", "13", "38", "p"}, {"XADD", "x", "1-1", "f", "v"}, {"XGROUP", "CREATE", "x", "g", "0"}, {"XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">"},
	}
	for _, args := range [][]any{
		{"BITOP", "NOT", "dest", "s"}, {"DEL", "s"}, {"UNLINK", "s"}, {"EXPIREAT", "s", "4102444800"}, {"PEXPIREAT", "s", "4102444800000"}, {"GEOADD", "geo", "13", "39", "p"},
		{"GEOSEARCHSTORE", "dest", "geo", "FROMMEMBER", "p", "BYRADIUS", "1", "km"}, {"GETEX", "s", "PXAT", "4102444800000"}, {"HDEL", "h", "f"}, {"HMSET", "h", "f", "9"}, {"HSET", "h", "f", "9"},
		{"LSET", "l", "0", "z"}, {"MSET", "s", "1", "t", "2"}, {"PERSIST", "s"}, {"PFADD", "pf", "y"}, {"PFMERGE", "pf2", "pf"}, {"SADD", "set", "c"}, {"SDIFFSTORE", "set", "set", "set2"},
		{"SETBIT", "s", "1", "0"}, {"SETRANGE", "s", "1", "x"}, {"SINTERSTORE", "set", "set", "set2"}, {"SREM", "set", "a"}, {"SUNIONSTORE", "set", "set", "set2"}, {"XACK", "x", "g", "1-1"}, {"XDEL", "x", "1-1"},
		{"ZDIFFSTORE", "z", "2", "z", "z2"}, {"ZRANGESTORE", "dest", "z", "0", "0"}, {"ZREM", "z", "a"}, {"ZREMRANGEBYLEX", "z", "[a", "[a"}, {"ZREMRANGEBYSCORE", "z", "0", "1"}, {"ZADD", "z", "5", "a"}, {"SET", "s", "x"},
	} {
		if cmd := redis.NewCmd(ctx, args...); !IsIdempotent(cmd) {
			t.Errorf("%v is not in the table", args)
		}
		c.FlushAll(ctx)
		for _, p := range prepare {
			if err := c.Do(ctx, p...).Err(); err != nil {
				t.Fatalf("%v: %v", p, err)
			}
		}
		digests := [2]any{}
		for i := range digests {
			if err := c.Do(ctx, args...).Err(); err != nil {
				t.Errorf("%v: %v", args, err)
			}
			digests[i] = c.Do(ctx, "DEBUG", "DIGEST").Val()
		}
		if digests[0] != digests[1] {
			t.Errorf("%v done twice leaves something else than once", args)
		}
	}
}

func TestArgumentsDecideWhetherACommandIsIdempotent(t *testing.T) {
	ctx := context.Background()
	for _, row := range []struct {
		args []any
		want bool
	}{
		{[]any{"set", "k", "nx"}, true}, {[]any{"SET", "k", "v", "EX", 10}, true}, {[]any{"set", "k", "v", "NX"}, false}, {[]any{"set", "k", "v", "get"}, false},
		{[]any{"zadd", "k", "nx", 1, "m"}, false}, {[]any{"zadd", "k", "incr", 1, "m"}, false}, {[]any{"zadd", "k", "gt", 1, "m"}, true},
		{[]any{"expire", "k", 10}, true}, {[]any{"expire", "k", 10, "gt"}, false}, {[]any{"incr", "k"}, false}, {[]any{"eval", "x", 0}, false}, {[]any{"json.set", "k"}, false},
	} {
		if got := IsIdempotent(redis.NewCmd(ctx, row.args...)); got != row.want {
			t.Errorf("%v: %v", row.args, got)
		}
	}
}
