package redressredis

import (
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A nature is what the documentation of a command says about doing it twice.
type nature uint8

const (
	unknown    nature = iota
	reads             // changes nothing
	sets              // writes, and leaves the same when done twice; the reply may differ
	conditions        // sets, unless an argument makes it depend on what is there
	changes           // each time anew
	binds             // changes or depends on its connection
	blocks            // waits on purpose
)

// natures follows the command reference, https://redis.io/docs/latest/commands, for
// Redis 7.0. What is not here, such as the commands of modules, is not repeated.
var natures = table(map[nature]string{
	reads: `bitcount bitfield_ro bitpos command dbsize dump echo eval_ro evalsha_ro exists expiretime fcall_ro
		geodist geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange
		hexists hget hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals info keys lastsave lcs lindex llen
		lolwut lpos lrange mget object pexpiretime pfcount ping pttl pubsub randomkey role scan scard sdiff
		sinter sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr sunion time
		touch ttl type xinfo xlen xpending xrange xrevrange zcard zcount zdiff zinter zintercard zlexcount
		zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex zrevrangebyscore
		zrevrank zscan zscore zunion`,
	sets: `bitop del expireat geoadd geosearchstore getex hdel hmset hset lset mset persist pexpireat
		pfadd pfmerge psetex sadd sdiffstore setbit setex setrange sinterstore srem sunionstore unlink xack
		xdel zdiffstore zinterstore zrangestore zrem zremrangebylex zremrangebyscore zunionstore`,
	conditions: `set expire pexpire zadd`,
	changes: `append bitfield copy decr decrby eval evalsha fcall flushall flushdb function georadius
		georadiusbymember getdel getset hincrby hincrbyfloat hsetnx incr incrby incrbyfloat linsert lmove lmpop
		lpop lpush lpushx lrem ltrim migrate move msetnx publish rename renamenx restore rpop rpoplpush rpush
		rpushx script setnx smove sort spop spublish swapdb xadd xautoclaim xclaim xgroup xsetid xtrim zincrby
		zmpop zpopmax zpopmin zremrangebyrank`,
	binds: `asking auth client discard exec failover hello monitor multi psubscribe psync punsubscribe quit
		readonly readwrite replconf reset select ssubscribe subscribe sunsubscribe sync unsubscribe unwatch
		watch`,
	blocks: `blmove blmpop blpop brpop brpoplpush bzmpop bzpopmax bzpopmin wait waitaof`,
})

func table(lists map[nature]string) map[string]nature {
	all := map[string]nature{"xread": reads, "xreadgroup": changes}
	for n, list := range lists {
		for _, name := range strings.Fields(list) {
			all[name] = n
		}
	}
	return all
}

// conditional lists the arguments that make a command depend on what it finds, so that
// the second time need not do, or answer, what the first did.
var conditional = map[string][]string{
	"set":     {"nx", "get", "ifeq", "ifne", "ifdeq", "ifdne"},
	"expire":  {"nx", "xx", "gt", "lt"},
	"pexpire": {"nx", "xx", "gt", "lt"},
	"zadd":    {"incr", "nx"},
}

// IsIdempotent reports whether cmd may be repeated when it is not known what became of
// it: doing it twice leaves the data as doing it once would. The reply may differ: a
// DEL that is repeated counts no key. It holds for commands that only read, and for
// SET, MSET, HSET, DEL, SADD, ZADD, EXPIRE and their like, without arguments that make
// them depend on what is there (SET with NX or GET, ZADD with INCR or NX, EXPIRE with a
// condition). It does not hold for INCR, LPUSH, XADD, PUBLISH, scripts, and any command
// that Redis 7.0 does not have.
func IsIdempotent(cmd redis.Cmder) bool {
	name := cmd.Name()
	switch natures[name] {
	case reads, sets:
		return true
	case conditions:
		return !mentions(cmd, conditional[name])
	}
	return false
}

// mentions reports whether an option is one of words. Those of ZADD come after the key,
// of the others after the value.
func mentions(cmd redis.Cmder, words []string) bool {
	args, first := cmd.Args(), 3
	if cmd.Name() == "zadd" {
		first = 2
	}
	for i := first; i < len(args); i++ {
		if text, ok := args[i].(string); ok && slices.Contains(words, strings.ToLower(text)) {
			return true
		}
	}
	return false
}

// bound reports whether a command is none of the policy's business: it waits on
// purpose, or it is about its connection.
func bound(cmd redis.Cmder) bool {
	switch name := cmd.Name(); natures[name] {
	case binds, blocks:
		return true
	case reads, changes:
		return (name == "xread" || name == "xreadgroup") && mentionsBlock(cmd)
	}
	return false
}

// mentionsBlock looks for BLOCK before the names of the streams.
func mentionsBlock(cmd redis.Cmder) bool {
	for _, arg := range cmd.Args()[1:] {
		switch strings.ToLower(fmt.Sprint(arg)) {
		case "block":
			return true
		case "streams":
			return false
		}
	}
	return false
}

// operation names the call after the command; the names are bounded by the table.
func operation(cmd redis.Cmder) string {
	name := cmd.Name()
	if natures[name] == unknown {
		return "redis.other"
	}
	return "redis." + name
}
