// Worker sends mails from a queue in Redis. A mail that fails is not waited for: the
// worker stores where its call stands beside the mail, to be gone on from when its time
// has come, by this worker or another, also after a restart.
//
//	go run ./examples/worker -demo
//
// It needs a Redis; -redis says where. With -demo it sends five mails through a mail
// service that misbehaves, tells what becomes of each, and ends.
package main

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
)

//go:embed policy.yaml
var policies embed.FS

func main() {
	address := flag.String("redis", "127.0.0.1:6379", "address of a Redis")
	name := flag.String("queue", "redress-example-mails", "name of the queue")
	demo := flag.Bool("demo", false, "send five mails and end when the queue is empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *address, *name, *demo); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, address, name string, demo bool) error {
	set, err := redress.Load(policies)
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: address})
	defer client.Close()
	w := &worker{queue: &queue{client, name}, policy: set.MustPolicy("mail"), send: newMailService().send, out: out}
	if demo {
		for _, to := range []string{"ann", "bob", "nobody", "carol", "dave"} {
			if err := w.queue.put(ctx, job{ID: rand.Text(), To: to}, time.Now()); err != nil {
				return err
			}
		}
	}
	return w.run(ctx, demo)
}

// A worker takes jobs whose time has come and makes one attempt at each.
type worker struct {
	queue  *queue
	policy *redress.Policy
	send   func(ctx context.Context, to string) error
	out    io.Writer
}

// run works until ctx ends, or, if it is told to, until the queue is empty.
func (w *worker) run(ctx context.Context, untilEmpty bool) error {
	for {
		j, due, err := w.queue.take(ctx, time.Now())
		switch {
		case err != nil:
			return err
		case j != nil:
			if err := w.step(ctx, *j, time.Now()); err != nil {
				return err
			}
			continue
		case due.IsZero() && untilEmpty:
			return nil
		}
		if err := pause(ctx, due); err != nil {
			return err
		}
	}
}

// step makes one attempt at a job, and puts it back if there is to be another.
func (w *worker) step(ctx context.Context, j job, now time.Time) error {
	outcome, state, err := redress.Step(ctx, w.policy, j.State, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, w.send(ctx, j.To)
	}, redress.WithOperation("mail.send"))
	if err != nil {
		return fmt.Errorf("the job for %s: %w", j.To, err)
	}
	switch {
	case outcome.Reason == redress.Scheduled:
		fmt.Fprintf(w.out, "%s: attempt %d failed (%v), again in %v\n", j.To, outcome.Attempts, outcome.Class, outcome.NextDelay.Round(10*time.Millisecond))
		j.State = state
		return w.queue.put(ctx, j, now.Add(outcome.NextDelay))
	case outcome.Reason == redress.Canceled: // the worker is shut down: the job waits where it was
		return w.queue.put(context.WithoutCancel(ctx), j, now)
	case outcome.OK:
		fmt.Fprintf(w.out, "%s: sent at attempt %d\n", j.To, outcome.Attempts)
	default:
		fmt.Fprintf(w.out, "%s: given up after %d: %v (%v)\n", j.To, outcome.Attempts, outcome.Reason, outcome.Class)
	}
	return nil
}

// pause waits until due, and for a second at most, since others may put jobs into the
// queue.
func pause(ctx context.Context, due time.Time) error {
	wait := time.Second
	if !due.IsZero() {
		wait = min(max(time.Until(due), 0), wait)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
