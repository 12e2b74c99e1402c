package redressredis

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// Everything below is answered by a real server, or by nothing where one should be.

func TestFailuresOfRedisHaveTheirClass(t *testing.T) {
	ctx := context.Background()
	table := proof.New(t, "Redis 7, go-redis", "std.redis")
	main := launch(t, true)
	c := plain(t, main.address)

	t.Run("answers", func(t *testing.T) {
		main.do("SET", "text", "x")
		table.Check(t, "INCR of a text", c.Incr(ctx, "text").Err(), redress.ClassPermanent)
		table.Check(t, "a list command on a text", c.LPush(ctx, "text", 1).Err(), redress.ClassPermanent)
		table.Check(t, "no such key (redis.Nil)", c.Get(ctx, "absent").Err(), redress.ClassPermanent)
		table.Check(t, "an unknown command", c.Do(ctx, "NOSUCH").Err(), redress.ClassPermanent)
		table.Check(t, "a script that is not loaded", c.EvalSha(ctx, strings.Repeat("a", 40), nil).Err(), redress.ClassPermanent)
		table.Check(t, "a script that fails", c.Eval(ctx, "return redis.call('LPUSH', 'text', 1)", []string{"text"}).Err(), redress.ClassPermanent)
		table.Check(t, "RESTORE over a key that is there", c.Restore(ctx, "text", 0, c.Dump(ctx, "text").Val()).Err(), redress.ClassPermanent)
		_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Do(ctx, "NOSUCH"); return nil })
		table.Check(t, "a transaction with an unknown command", err, redress.ClassPermanent)
		err = c.Watch(ctx, func(tx *redis.Tx) error {
			main.do("SET", "watched", "changed")
			_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error { p.Ping(ctx); return nil })
			return err
		}, "watched")
		table.Check(t, "a watched key was changed", err, redress.ClassConcurrency)
	})
	t.Run("stream groups", func(t *testing.T) {
		table.Check(t, "a consumer group that is not there", c.XReadGroup(ctx, &redis.XReadGroupArgs{Group: "g", Consumer: "c", Streams: []string{"s", ">"}, Block: -1}).Err(), redress.ClassPermanent)
		main.do("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
		table.Check(t, "a consumer group that is there already", c.XGroupCreate(ctx, "s", "g", "$").Err(), redress.ClassPermanent)
	})
	t.Run("access", func(t *testing.T) {
		s := launch(t, true)
		s.do("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+get")
		as := func(user, password string) func(*redis.Options) {
			return func(o *redis.Options) { o.Username, o.Password = user, password }
		}
		table.Check(t, "a wrong password", plain(t, s.address, as("reader", "wrong")).Get(ctx, "k").Err(), redress.ClassAuth)
		table.Check(t, "a command that the ACL forbids", plain(t, s.address, as("reader", "secret")).Set(ctx, "k", 1, 0).Err(), redress.ClassPermission)
		s.do("CONFIG", "SET", "requirepass", "secret")
		table.Check(t, "no password", plain(t, s.address).Get(ctx, "k").Err(), redress.ClassAuth)
	})
	t.Run("memory", func(t *testing.T) {
		s := launch(t, true, "--maxmemory-policy", "noeviction")
		s.do("CONFIG", "SET", "maxmemory", "1")
		m := plain(t, s.address)
		table.Check(t, "maxmemory is reached", m.Set(ctx, "k", 1, 0).Err(), redress.ClassRateLimit)
		table.Check(t, "maxmemory is reached within a script", m.Eval(ctx, "return redis.call('SET', 'k', 1)", []string{"k"}).Err(), redress.ClassRateLimit)
	})
	t.Run("clients", func(t *testing.T) {
		s := launch(t, true)
		s.do("CONFIG", "SET", "maxclients", "1")
		// go-redis takes the refusal for the answer of a Redis that does not know HELLO, and
		// reads on from a connection that Redis has closed.
		table.Check(t, "maxclients is reached", plain(t, s.address, listenOnly).Get(ctx, "k").Err(), redress.ClassTransient)
		one := plain(t, main.address, func(o *redis.Options) { o.PoolSize, o.PoolTimeout = 1, 10*time.Millisecond })
		conn := one.Conn()
		defer conn.Close()
		if err := conn.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		table.Check(t, "no connection in the pool is free", one.Get(ctx, "k").Err(), redress.ClassRateLimit)
	})
	t.Run("replica", func(t *testing.T) {
		s := launch(t, true, "--replica-serve-stale-data", "no")
		s.do("REPLICAOF", "127.0.0.1", port(proof.FreeAddress(t)))
		r := plain(t, s.address)
		table.Check(t, "a replica without its master", r.Get(ctx, "k").Err(), redress.ClassTransient)
		s.do("CONFIG", "SET", "replica-serve-stale-data", "yes")
		table.Check(t, "a write to a replica", r.Set(ctx, "k", 1, 0).Err(), redress.ClassConcurrency)
		s.do("REPLICAOF", "NO", "ONE")
		s.do("CONFIG", "SET", "min-replicas-to-write", "1")
		table.Check(t, "too few replicas", r.Set(ctx, "k", 1, 0).Err(), redress.ClassTransient)
	})
	t.Run("snapshots fail", func(t *testing.T) {
		s := launch(t, true, "--save", "3600 1")
		s.do("SET", "k", "v")
		if err := os.Mkdir(filepath.Join(s.folder, "dump.rdb"), 0o700); err != nil { // the file's name is taken
			t.Fatal(err)
		}
		m := plain(t, s.address)
		m.Do(ctx, "BGSAVE")
		eventually(t, "the snapshot fails", func() bool {
			return strings.Contains(m.Info(ctx, "persistence").Val(), "rdb_last_bgsave_status:err")
		})
		table.Check(t, "a write while snapshots fail", m.Set(ctx, "k", 1, 0).Err(), redress.ClassServerError)
	})
	t.Run("cluster", func(t *testing.T) {
		s := launch(t, true, "--cluster-enabled", "yes")
		n := plain(t, s.address)
		table.Check(t, "a cluster of which slots are not served", n.Get(ctx, "k").Err(), redress.ClassTransient)
		s.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
		eventually(t, "the cluster is up", func() bool { return strings.Contains(n.ClusterInfo(ctx).Val(), "cluster_state:ok") })
		table.Check(t, "keys of several slots", n.MGet(ctx, "a", "b").Err(), redress.ClassPermanent)
		other := launch(t, true, "--cluster-enabled", "yes")
		o := plain(t, other.address)
		s.do("CLUSTER", "MEET", "127.0.0.1", port(other.address))
		eventually(t, "the nodes know each other", func() bool {
			return strings.Contains(n.ClusterInfo(ctx).Val(), "cluster_known_nodes:2") && strings.Contains(o.ClusterInfo(ctx).Val(), "cluster_state:ok")
		})
		table.Check(t, "a key of another node", anonymous(o.Get(ctx, "k").Err(), s.address), redress.ClassConcurrency)
		slot := n.ClusterKeySlot(ctx, "{k}1").Val()
		s.do("CLUSTER", "SETSLOT", slot, "MIGRATING", o.ClusterMyID(ctx).Val())
		table.Check(t, "a key whose slot is on its way", anonymous(n.Get(ctx, "{k}1").Err(), other.address), redress.ClassConcurrency)
		s.do("CLUSTER", "SETSLOT", slot, "STABLE")
		s.do("SET", "{k}1", "v")
		s.do("CLUSTER", "SETSLOT", slot, "MIGRATING", o.ClusterMyID(ctx).Val())
		table.Check(t, "several keys, some on their way", n.MGet(ctx, "{k}1", "{k}2").Err(), redress.ClassTransient)
	})
	t.Run("a script that does not end", func(t *testing.T) {
		s := launch(t, true, "--busy-reply-threshold", "10")
		b := plain(t, s.address, func(o *redis.Options) { o.ReadTimeout = -1 })
		done := make(chan error, 1)
		go func() { done <- b.Eval(ctx, "while true do end", nil).Err() }()
		p := plain(t, s.address)
		var err error
		eventually(t, "the script is slow", func() bool { err = p.Get(ctx, "k").Err(); return err != nil && !errors.Is(err, redis.Nil) })
		table.Check(t, "a script keeps Redis busy", err, redress.ClassConcurrency)
		s.do("SCRIPT", "KILL")
		table.Check(t, "a script that was killed", <-done, redress.ClassPermanent)
	})
	t.Run("loading", func(t *testing.T) {
		folder := t.TempDir()
		s := launchIn(t, folder, true)
		s.do("DEBUG", "POPULATE", "2000")
		s.do("SAVE")
		s.kill()
		// 10 ms a key: the load lasts longer than the test.
		s = launchIn(t, folder, false, "--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
		l := plain(t, s.address)
		var err error
		eventually(t, "Redis answers while it loads", func() bool {
			err = l.Get(ctx, "k").Err()
			return err != nil && strings.HasPrefix(err.Error(), "LOADING")
		})
		table.Check(t, "Redis loads its data", err, redress.ClassTransient)
	})
	t.Run("the way to it", func(t *testing.T) {
		s := launch(t, true)
		w := plain(t, s.address, func(o *redis.Options) { o.ReadTimeout = 50 * time.Millisecond })
		if err := w.Ping(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		s.do("CLIENT", "PAUSE", "600000", "ALL")
		table.Check(t, "no reply within the client's read timeout", w.Get(ctx, "k").Err(), redress.ClassTransient)
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		table.Check(t, "no reply within the context's deadline", plain(t, main.address).BLPop(short, 0, "nothing").Err(), redress.ClassTransient)

		k := plain(t, main.address, func(o *redis.Options) { o.PoolSize = 1; o.ReadTimeout = time.Minute })
		id := k.ClientID(ctx).Val()
		popped := make(chan error, 1)
		go func() { popped <- k.BLPop(ctx, 0, "nothing").Err() }()
		eventually(t, "the client waits", func() bool { return strings.Contains(c.Info(ctx, "clients").Val(), "blocked_clients:1") })
		main.do("CLIENT", "KILL", "ID", id)
		table.Check(t, "the connection is killed during a command", <-popped, redress.ClassTransient)

		d := plain(t, s.address)
		s.kill()
		table.Check(t, "nothing listens", d.Get(ctx, "k").Err(), redress.ClassTransient)
		_ = d.Close()
		table.Check(t, "the client is closed", d.Get(ctx, "k").Err(), redress.ClassPermanent)
	})
}

func port(address string) string { _, p, _ := cutAddress(address); return p }

// anonymous checks that a redirection leads where it should.
func anonymous(err error, address string) error {
	if err == nil || !strings.HasSuffix(err.Error(), address) {
		return errors.Join(errors.New("not redirected to "+address), err)
	}
	return err
}

// listenOnly has a client hear what Redis says before it is asked. Redis turns a client
// that is one too many away at once; whether such a client reads that, or finds the
// connection reset while it writes, is a matter of luck.
func listenOnly(o *redis.Options) {
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		return muted{conn}, err
	}
}

type muted struct{ net.Conn }

func (muted) Write(p []byte) (int, error) { return len(p), nil }
