package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

func newTestWorker(t *testing.T) (*worker, *bytes.Buffer) {
	set, err := redress.Load(policies)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: proof.Address(t, "REDRESS_TEST_REDIS", "127.0.0.1:6379")})
	name := fmt.Sprintf("redress-example-test-%d", time.Now().UnixNano())
	t.Cleanup(func() {
		client.Del(context.Background(), name)
		client.Close()
	})
	var out bytes.Buffer
	return &worker{queue: &queue{client, name}, policy: set.MustPolicy("mail"), send: newMailService().send, out: &out}, &out
}

// drain makes every step that the queue holds, whenever it is due.
func (w *worker) drain(t *testing.T) {
	t.Helper()
	for {
		j, due, err := w.queue.take(t.Context(), time.Now().Add(48*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if j == nil {
			return
		}
		if err := w.step(t.Context(), *j, due); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMailsThatFailArePutBackAndSentLater(t *testing.T) {
	w, out := newTestWorker(t)
	for _, to := range []string{"ann", "bob", "nobody"} {
		if err := w.queue.put(t.Context(), job{To: to}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.drain(t)
	for _, line := range []string{
		"ann: sent at attempt 1",
		"bob: attempt 1 failed (SERVER_ERROR), again in ",
		"bob: attempt 2 failed (SERVER_ERROR), again in ",
		"bob: sent at attempt 3",
		"nobody: given up after 1: NON_RETRYABLE_CLASS (PERMANENT)",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q in\n%s", line, out)
		}
	}
}

func TestAnotherWorkerGoesOnWhereTheFirstStood(t *testing.T) {
	first, _ := newTestWorker(t)
	if err := first.queue.put(t.Context(), job{To: "bob"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	j, _, err := first.queue.take(t.Context(), time.Now())
	if err != nil || j == nil {
		t.Fatalf("took %v, %v", j, err)
	}
	if err := first.step(t.Context(), *j, time.Now()); err != nil {
		t.Fatal(err)
	}
	second, out := newTestWorker(t)
	second.queue = first.queue
	second.drain(t)
	if !strings.Contains(out.String(), "bob: attempt 2 failed") {
		t.Errorf("the second worker began anew:\n%s", out)
	}
}

func TestAJobThatIsNotDueIsNotTaken(t *testing.T) {
	w, _ := newTestWorker(t)
	due := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	if err := w.queue.put(t.Context(), job{To: "ann"}, due); err != nil {
		t.Fatal(err)
	}
	j, next, err := w.queue.take(t.Context(), time.Now())
	if err != nil || j != nil || !next.Equal(due) {
		t.Errorf("took %v, next %v, %v; want nothing before %v", j, next, err, due)
	}
}
