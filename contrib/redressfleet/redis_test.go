package redressfleet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// TestTheScriptsDecideAsTheMemoryDoes asks both stores the same, at the same virtual
// times: of the scripts only the clock is replaced.
func TestTheScriptsDecideAsTheMemoryDoes(t *testing.T) {
	ctx := context.Background()
	address := proof.FreeAddress(t)
	privateRedis(t, address)
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
	defer client.Close()
	real := NewRedis(client, "differential")
	virtualScripts(t)
	for seed := range uint64(8) {
		random := rand.New(rand.NewPCG(seed, 1))
		if err := client.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		now := time.UnixMilli(1_790_000_000_000)
		memory := NewMemory(func() time.Time { return now })
		var last Answer
		for n := range 250 {
			now = now.Add(time.Duration(random.IntN(3000)) * time.Millisecond)
			if random.IntN(60) == 0 {
				now = now.Add(-5 * time.Second)
			}
			if err := client.Del(ctx, "clock").Err(); err != nil {
				t.Fatal(err)
			}
			client.RPush(ctx, "clock", now.Unix(), now.UnixMilli()%1000*1000)
			ask := randomAsk(random, n, last)
			want, err := memory.Exchange(ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			got, err := real.Exchange(ctx, ask)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, exchange %d\n%+v\nRedis says  %+v\nmemory says %+v", seed, n, ask, got, want)
			}
			last = got
		}
	}
}

// virtualScripts has the scripts read the time from a key until the test ends.
func virtualScripts(t *testing.T) {
	wasBudget, wasBreaker := budgetScript, breakerScript
	t.Cleanup(func() { budgetScript, breakerScript = wasBudget, wasBreaker })
	clock := func(source string) *redis.Script {
		replaced := strings.Replace(source, "redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, 1)", 1)
		if replaced == source {
			t.Fatal("a script does not read the time as it should")
		}
		return redis.NewScript(replaced)
	}
	budgetScript, breakerScript = clock(budgetSource), clock(breakerSource)
}

func randomAsk(random *rand.Rand, n int, last Answer) Ask {
	ask := Ask{Instance: fmt.Sprint("i", random.IntN(5)), Fresh: fmt.Sprint("e", n), Alive: 3 * time.Second, Quiet: 2 * time.Second}
	budget := BudgetAsk{Name: "b", Limit: 30, Span: 20 * time.Second, Want: random.IntN(8), Stepped: random.IntN(80) == 0}
	breaker := BreakerAsk{Name: "c", Suspect: random.IntN(2) == 0, Probe: random.IntN(2) == 0, Result: Result(random.IntN(3)), Recovery: 4 * time.Second, Lease: 3 * time.Second, Window: 10 * time.Second}
	if last.Budgets != nil {
		budget.Epoch, breaker.Epoch, breaker.Gen = last.Budgets[0].Epoch, last.Breakers[0].Epoch, last.Breakers[0].Gen
		if random.IntN(3) == 0 {
			budget.Back = []Slot{{last.Budgets[0].Slot, random.IntN(4)}}
		}
	}
	for range random.IntN(3) {
		budget.Told = append(budget.Told, Past{time.Duration(random.IntN(25000)) * time.Millisecond, random.IntN(3)})
	}
	ask.Budgets, ask.Breakers = []BudgetAsk{budget}, []BreakerAsk{breaker}
	return ask
}

func TestASetOfAFleetDoesNotLoadWithoutOneNorWithAWindowThatIsTooShort(t *testing.T) {
	_, err := redress.Parse("fleet.yaml", []byte(fleetPolicies))
	if err == nil || !strings.Contains(err.Error(), "redress.WithFleet") {
		t.Errorf("without a fleet: %v", err)
	}
	fleet, err := Join(NewMemory(time.Now), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	_, err = redress.Parse("fleet.yaml", []byte(fleetPolicies), redress.WithFleet(fleet))
	if err == nil || !strings.Contains(err.Error(), "the window is 2s, and retries are leased for 5s") {
		t.Errorf("with a short window: %v", err)
	}
}

func TestJoinSaysWhichOptionMakesNoSense(t *testing.T) {
	_, err := Join(nil, Options{Interval: time.Nanosecond, Timeout: -1})
	for _, part := range []string{"the store is nil", "Interval is 1ns", "Timeout is -1ns"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	}
}

func TestAnExchangeMayNotTakeLongerThanItsInterval(t *testing.T) {
	for _, row := range []struct {
		opts Options
		want string
	}{
		{Options{Timeout: 2 * time.Second}, "Timeout is 2s, must not be longer than the Interval of 1s"},
		{Options{Interval: 2 * time.Second, Timeout: 2 * time.Second}, ""},
	} {
		fleet, err := Join(NewMemory(time.Now), row.opts)
		if err == nil {
			defer fleet.Close()
		}
		if (err != nil) != (row.want != "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %q", row.opts, err, row.want)
		}
	}
}

func TestCallsGoOnWithoutAStoreThatEverAnswered(t *testing.T) {
	client := redis.NewClient(&redis.Options{Addr: proof.FreeAddress(t), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer client.Close()
	fleet, err := Join(NewRedis(client, ""), Options{Interval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	set, err := redress.Parse("fleet.yaml", []byte(fleetPolicies), redress.WithFleet(fleet))
	if err != nil {
		t.Fatal(err)
	}
	if err := redress.Do(context.Background(), set.MustPolicy("spender"), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	err = redress.Do(context.Background(), set.MustPolicy("spender"), func(context.Context) error { return fmt.Errorf("broken") })
	if err == nil || !strings.Contains(err.Error(), "of the whole fleet") {
		t.Errorf("got %v", err)
	}
	eventually(t, "the failure of the store is told", func() bool {
		heard, err := fleet.Store()
		return heard.IsZero() && err != nil
	})
}

func TestTheExampleRuns(t *testing.T) {
	t.Setenv("REDRESS_TEST_REDIS", proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379"))
	Example()
}
