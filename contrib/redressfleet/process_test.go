package redressfleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// The fleet for real: processes, which are this test binary run again, and a private
// redis-server, which is killed, stopped and flushed under them.

const childVariable = "REDRESS_FLEET_CHILD"

// What an instance of these tests has: short, so that minutes pass in seconds.
const (
	realBeat   = 150 * time.Millisecond
	realWindow = 2 * time.Second
	realLimit  = 40
)

const fleetPolicies = `
apiVersion: redress/v1
kind: Budget
name: shared
scope: fleet
max_retries: 40
window: 2s
---
apiVersion: redress/v1
kind: CircuitBreaker
name: shared
scope: fleet
failure_threshold: 3
window: 10s
recovery_timeout: 1s
probe_timeout: 3s
---
apiVersion: redress/v1
kind: Policy
name: spender
classify: [{use: std.net}]
default_class: TRANSIENT
retry: {deadline: 10s, max_attempts: 2, strategy: {constant: {delay: 1ms}}, budget: shared}
---
apiVersion: redress/v1
kind: Policy
name: caller
classify: [{use: std.net}]
default_class: TRANSIENT
retry: {deadline: 10s, max_attempts: 1}
circuit_breaker: shared
`

// A report is a line that an instance writes: what happened at which time.
type report struct {
	At   time.Time
	What string // "retry", "slow", "lost", "hangs", or the state of its breaker, when that changes
}

// child is the main function of an instance. It reads orders from stdin, one a line, and
// ends with it: "fail" and "work" say what becomes of its calls, "hang" that the next one
// never returns.
func child() {
	reports := json.NewEncoder(os.Stdout)
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(childVariable), Protocol: 2, DisableIdentity: true, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	fleet, err := Join(NewRedis(client, "test"), Options{Instance: strconv.Itoa(os.Getpid()), Interval: realBeat, Timeout: realBeat})
	if err != nil {
		panic(err)
	}
	set, err := redress.Parse("fleet.yaml", []byte(fleetPolicies), redress.WithFleet(fleet))
	if err != nil {
		panic(err)
	}
	orders := make(chan string)
	go func() {
		defer close(orders)
		for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
			orders <- lines.Text()
		}
	}()
	spender, caller := set.MustPolicy("spender"), set.MustPolicy("caller")
	broken := errors.New("broken")
	state, does := caller.Breaker().State().String(), ""
	_ = reports.Encode(report{time.Now(), state})
	tick := time.NewTicker(20 * time.Millisecond)
	for {
		select {
		case order, ok := <-orders:
			if !ok {
				return
			}
			does = order
			continue
		case <-tick.C:
		}
		if heard, err := fleet.Store(); err != nil || !heard.IsZero() && time.Since(heard) > 2*realBeat {
			_ = reports.Encode(report{time.Now(), "lost"})
		}
		began := time.Now()
		tries := 0
		_ = redress.Do(context.Background(), spender, func(context.Context) error {
			if tries++; tries == 2 {
				_ = reports.Encode(report{time.Now(), "retry"})
			}
			return broken
		})
		_ = redress.Do(context.Background(), caller, func(context.Context) error {
			switch does {
			case "fail":
				return broken
			case "hang":
				_ = reports.Encode(report{time.Now(), "hangs"})
				select {}
			}
			return nil
		})
		if time.Since(began) > 2*time.Second {
			_ = reports.Encode(report{time.Now(), "slow"})
		}
		if now := caller.Breaker().State().String(); now != state {
			state = now
			_ = reports.Encode(report{time.Now(), state})
		}
	}
}

// A process is one instance, as the test sees it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	orders interface {
		Write([]byte) (int, error)
		Close() error
	}
	read chan struct{}

	mu      sync.Mutex
	retries ledger   // guarded by mu
	state   string   // guarded by mu
	states  []report // guarded by mu; since it began
	hangs   bool     // guarded by mu
	slow    int      // guarded by mu
	lost    int      // guarded by mu
}

func spawn(t *testing.T, address string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), read: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childVariable+"="+address)
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.orders = stdin
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			p.note(lines.Bytes())
		}
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) note(line []byte) {
	var r report
	if json.Unmarshal(line, &r) != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.What {
	case "retry":
		p.retries = append(p.retries, r.At)
	case "slow":
		p.slow++
	case "lost":
		p.lost++
	case "hangs":
		p.hangs = true
	default:
		p.state = r.What
		p.states = append(p.states, r)
	}
}

// kill ends exactly this process, at once.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.read
	_ = p.cmd.Wait()
}

func (p *process) order(what string) {
	if _, err := fmt.Fprintln(p.orders, what); err != nil {
		p.t.Error(err)
	}
}

func (p *process) seen() (retries ledger, state string, slow int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.retries), p.state, p.slow
}

// became returns when the process first came into a state after a time; zero if it did not.
func (p *process) became(state string, after time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.states {
		if r.What == state && r.At.After(after) {
			return r.At
		}
	}
	return time.Time{}
}

func (p *process) hanging() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hangs
}

type processes []*process

func (all processes) order(what string) {
	for _, p := range all {
		p.order(what)
	}
}

// disturbed reports whether an instance missed the store, as happens on a machine that
// has much else to do: then what holds for a fleet in good order need not.
func (all processes) disturbed() bool {
	for _, p := range all {
		p.mu.Lock()
		lost := p.lost
		p.mu.Unlock()
		if lost > 0 {
			p.t.Logf("an instance missed the store %d times", lost)
			return true
		}
	}
	return false
}

func (all processes) retries() ledger {
	var l ledger
	for _, p := range all {
		one, _, _ := p.seen()
		l = append(l, one...)
	}
	slices.SortFunc(l, time.Time.Compare)
	return l
}

func (all processes) are(state string) bool {
	for _, p := range all {
		if _, is, _ := p.seen(); is != state {
			return false
		}
	}
	return true
}

// privateRedis starts a redis-server that the test may harm.
func privateRedis(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		proof.Missing(t, "a private Redis is needed: %v", err)
	}
	folder := t.TempDir()
	cmd := exec.Command(binary, "--port", address[strings.LastIndex(address, ":")+1:], "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no", "--logfile", filepath.Join(folder, "log"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { endRedis(cmd) })
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
	defer client.Close()
	eventually(t, "the private Redis answers", func() bool { return client.Ping(context.Background()).Err() == nil })
	return cmd
}

func endRedis(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// eventually waits for something outside of this process.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.NewTimer(30*time.Second)
	defer tick.Stop()
	defer end.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatalf("%s: not within 30s", what)
		}
	}
}

// pass lets real time pass, for processes that know no other.
func pass(d time.Duration) { <-time.After(d) }

func TestRealProcessesKeepTheBudgetWhenRedisIsKilledStoppedAndFlushed(t *testing.T) {
	address := proof.FreeAddress(t)
	server := privateRedis(t, address)
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	defer client.Close()
	var all processes
	for range 4 {
		all = append(all, spawn(t, address))
	}
	eventually(t, "retries are leased", func() bool { return len(all.retries()) >= realLimit/2 })
	pass(realWindow)
	if most := all.retries().most(realWindow); most > realLimit && !all.disturbed() {
		t.Errorf("undisturbed: %d retries in some %v, want at most %d", most, realWindow, realLimit)
	}

	_ = server.Process.Signal(syscall.SIGSTOP) // connections stand, and nothing answers
	pass(realWindow / 2)
	_ = server.Process.Signal(syscall.SIGCONT)
	pass(realWindow / 4)
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Error(err)
	}
	all[0].kill() // with what it holds
	pass(realWindow / 2)
	endRedis(server)
	pass(realWindow / 2)
	privateRedis(t, address) // empty
	before := len(all.retries())
	eventually(t, "retries are leased again", func() bool { return len(all.retries()) > before+realLimit/4 })
	pass(realWindow / 2)
	if most := all.retries().most(realWindow); most > 2*realLimit {
		t.Errorf("%d retries in some %v, want at most %d", most, realWindow, 2*realLimit)
	}
	for _, p := range all {
		if _, _, slow := p.seen(); slow > 0 {
			t.Errorf("%d calls waited for the store", slow)
		}
	}
	keys, err := client.Keys(context.Background(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Errorf("keys: %q, %v", keys, err)
	}
	for _, key := range keys {
		if ttl := client.PTTL(context.Background(), key).Val(); ttl <= 0 {
			t.Errorf("%s has no TTL", key)
		}
	}
}

func TestRealProcessesOpenTheBreakerByQuorumAndCloseItByOneProbe(t *testing.T) {
	address := proof.FreeAddress(t)
	server := privateRedis(t, address)
	var all processes
	for range 3 {
		all = append(all, spawn(t, address))
	}
	eventually(t, "all are there", func() bool { return all.are("closed") })
	pass(10 * realBeat) // the store has been told of all
	all[0].order("fail")
	pass(10 * realBeat)
	if !all.are("closed") && !all.disturbed() {
		t.Error("one instance alone opened it")
	}
	all[1].order("fail")
	eventually(t, "a quorum opens it for all", func() bool { return all.are("open") })
	all.order("work")
	eventually(t, "a probe closes it for all", func() bool { return all.are("closed") })

	all.order("fail")
	eventually(t, "it opens again", func() bool { return all.are("open") })
	endRedis(server)
	all.order("work")
	eventually(t, "each closes its own without a store", func() bool { return all.are("closed") })
	all[0].order("fail")
	eventually(t, "and opens its own", func() bool { return processes(all[:1]).are("open") })
	if !processes(all[1:]).are("closed") {
		t.Error("it opened for others without a store")
	}
}

// breakerInStore is what the store has about the breaker of these tests.
func breakerInStore(t *testing.T, client *redis.Client) map[string]string {
	t.Helper()
	fields, err := client.HGetAll(context.Background(), "test:1:{breaker:shared}").Result()
	if err != nil {
		t.Error(err)
	}
	return fields
}

func TestRealProcessesPassTheProbeOnWhenItsHolderIsKilled(t *testing.T) {
	address := proof.FreeAddress(t)
	privateRedis(t, address)
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
	defer client.Close()
	var all processes
	for range 3 {
		all = append(all, spawn(t, address))
	}
	eventually(t, "all are there", func() bool { return all.are("closed") })
	pass(10 * realBeat)
	all.order("fail")
	eventually(t, "a quorum opens it for all", func() bool { return all.are("open") })
	all.order("hang") // whose call passes is the probe, and never tells
	holder := -1
	eventually(t, "one probes", func() bool {
		holder = slices.IndexFunc(all, (*process).hanging)
		return holder >= 0
	})
	lease := breakerInStore(t, client)
	ends, err := strconv.ParseInt(lease["holder_until"], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	all[holder].kill()
	killed := time.Now()
	others := slices.Delete(slices.Clone(all), holder, holder+1)
	if slices.ContainsFunc(others, (*process).hanging) && !all.disturbed() {
		t.Error("two probed at once")
	}
	others.order("work")
	eventually(t, "another probe closes it for all that are left", func() bool { return others.are("closed") })
	if lease["holder"] != strconv.Itoa(all[holder].cmd.Process.Pid) || all.disturbed() {
		t.Logf("the lease was that of %s", lease["holder"])
		return // on a machine that has much else to do it may have gone on already
	}
	for _, p := range others {
		if at := p.became("closed", killed); at.UnixMilli() < ends {
			t.Errorf("closed %dms before the lease of the dead was over", ends-at.UnixMilli())
		}
	}
}

func TestRealProcessesKeepABreakerOpenWhenRedisIsFlushed(t *testing.T) {
	address := proof.FreeAddress(t)
	privateRedis(t, address)
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
	defer client.Close()
	var all processes
	for range 3 {
		all = append(all, spawn(t, address))
	}
	eventually(t, "all are there", func() bool { return all.are("closed") })
	pass(10 * realBeat)
	all.order("fail")
	eventually(t, "a quorum opens it for all", func() bool { return all.are("open") })
	if err := client.FlushAll(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	flushed := time.Now()
	eventually(t, "it is voted for again", func() bool { return breakerInStore(t, client)["open"] == "1" })
	pass(2 * time.Second) // two recovery times, in which every probe fails
	for _, p := range all {
		if at := p.became("closed", flushed); !at.IsZero() {
			t.Errorf("closed %v after the store was flushed, and nothing has succeeded", at.Sub(flushed))
		}
	}
	all.order("work")
	eventually(t, "a probe closes it for all", func() bool { return all.are("closed") })
}
