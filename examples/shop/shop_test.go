package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A visitor asks a shop that runs, with real servers behind it.
type visitor struct {
	*testing.T
	*service
	client *http.Client
}

func open(t *testing.T) *visitor {
	ctx, stop := context.WithCancel(t.Context())
	s, err := start(ctx, config{
		listen: "127.0.0.1:0", admin: "127.0.0.1:0", user: "postgres", database: "test",
		postgres: proof.Address(t, "REDRESS_TEST_POSTGRES", "127.0.0.1:5432"),
		redis:    proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379"),
	})
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, s, &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(func() {
		v.client.CloseIdleConnections()
		stop()
		for range 3 {
			<-s.ended
		}
	})
	return v
}

// ask returns status and text of an answer.
func (v *visitor) ask(method, address, path string) (status int, text string) {
	v.Helper()
	req, err := http.NewRequestWithContext(v.Context(), method, "http://"+address+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		v.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (v *visitor) want(status int, method, path string) {
	v.Helper()
	if got, text := v.ask(method, v.shop, path); got != status {
		v.Errorf("%s %s: %d, want %d: %s", method, path, got, status, text)
	}
}

func (v *visitor) operate(path string) {
	v.Helper()
	if status, text := v.ask("POST", v.admin, path); status != 200 {
		v.Fatalf("%s: %d: %s", path, status, text)
	}
}

// until asks again until the answer has the status: breakers let a probe through when
// their time has come.
func (v *visitor) until(status int, method, path string) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		got, text := v.ask(method, v.shop, path)
		if got == status {
			return
		}
		select {
		case <-ctx.Done():
			v.Fatalf("%s %s: still %d: %s", method, path, got, text)
		case <-tick.C:
		}
	}
}

func TestTheShopGoesOnWhileItsDependenciesBreakAndItsPagesTellTheStory(t *testing.T) {
	v := open(t)
	order := fmt.Sprintf("/orders/test-%d", time.Now().UnixNano())
	v.want(200, "PUT", order+"/tea")
	v.want(200, "GET", order)
	v.want(404, "PUT", order+"x/none")
	v.want(404, "GET", order+"x")

	v.operate("/break/redis/hang")
	v.want(200, "GET", order)
	v.operate("/mend/redis")

	v.operate("/break/inventory/yes")
	for range 3 {
		v.want(502, "PUT", order+"/coffee") // the inventory's own answer, after retries
	}
	v.want(503, "PUT", order+"/coffee") // the breaker is open: it is not asked
	v.operate("/mend/inventory")

	v.until(200, "GET", order) // until the cache knows it again
	v.operate("/break/postgres/refuse")
	v.until(503, "GET", order+"y")
	v.operate("/mend/postgres")
	v.until(200, "PUT", order+"/cocoa")

	_, page := v.ask("GET", v.admin, "/debug/redress?format=json")
	if !json.Valid([]byte(page)) {
		t.Errorf("the page of the policies is no JSON: %s", page)
	}
	_, metrics := v.ask("GET", v.admin, "/metrics")
	_, traces := v.ask("GET", v.admin, "/traces")
	for _, told := range []struct{ where, text, want string }{
		{"policies", page, "CIRCUIT_OPEN"},
		{"policies", page, "inventory.reserve"},
		{"metrics", metrics, `redress_calls_total{operation="inventory.reserve",policy="inventory",stop_reason="CIRCUIT_OPEN"}`},
		{"metrics", metrics, `redress_calls_total{operation="redis.get",policy="cache"`},
		{"traces", traces, "store.put"},
		{"traces", traces, "std.http/"},
	} {
		if !strings.Contains(told.text, told.want) {
			t.Errorf("the %s do not tell of %s:\n%.4000s", told.where, told.want, told.text)
		}
	}
}

func TestTheScriptBreaksEverythingAndTheShopAnswers(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		proof.Missing(t, "break.sh needs curl: %v", err)
	}
	v := open(t)
	script := exec.CommandContext(t.Context(), "sh", "break.sh")
	script.Env = append(os.Environ(), "SHOP=http://"+v.shop, "ADMIN=http://"+v.admin)
	text, err := script.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, line := range []string{
		"order 1: one tea",
		"the inventory answered 503",
		"inventory is not to be had: CIRCUIT_OPEN",
		"orders is not to be had",
		"order 7: one tea",
		`redress_calls_total{operation="redis.get",policy="cache"`,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

func TestAnOperatorsMistakesAreAnswered(t *testing.T) {
	v := open(t)
	for path, want := range map[string]int{"/break/mysql/hang": 404, "/break/redis/explode": 400, "/mend/kafka": 404} {
		if status, text := v.ask("POST", v.admin, path); status != want {
			t.Errorf("%s: %d, want %d: %s", path, status, want, text)
		}
	}
}
