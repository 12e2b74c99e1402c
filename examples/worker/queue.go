package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
)

// A job is a mail that is to be sent, and where its call stands.
type job struct {
	ID    string            `json:"id"` // two mails to the same person are two jobs
	To    string            `json:"to"`
	State redress.StepState `json:"state"`
}

// A queue holds jobs by the time at which they are due, in a sorted set of Redis. It is a
// small queue for an example: a job whose worker dies in the middle of an attempt is lost.
type queue struct {
	client *redis.Client
	name   string
}

func (q *queue) put(ctx context.Context, j job, due time.Time) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return q.client.ZAdd(ctx, q.name, redis.Z{Score: float64(due.UnixMilli()), Member: text}).Err()
}

// takeDue takes the first job that is due; without one it tells when the next will be.
var takeDue = redis.NewScript(`
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if #first == 0 then return false end
if tonumber(first[2]) > tonumber(ARGV[1]) then return {'', first[2]} end
redis.call('ZREM', KEYS[1], first[1])
return first
`)

// take returns a job that is due, or nil and the time at which the next one is: the zero
// time if there is none.
func (q *queue) take(ctx context.Context, now time.Time) (*job, time.Time, error) {
	first, err := takeDue.Run(ctx, q.client, []string{q.name}, now.UnixMilli()).StringSlice()
	if errors.Is(err, redis.Nil) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	due, err := strconv.ParseFloat(first[1], 64)
	if err != nil {
		return nil, time.Time{}, err
	}
	if first[0] == "" {
		return nil, time.UnixMilli(int64(due)), nil
	}
	var j job
	if err := json.Unmarshal([]byte(first[0]), &j); err != nil {
		return nil, time.Time{}, err
	}
	return &j, time.UnixMilli(int64(due)), nil
}

// A mailService misbehaves: the first mails to bob and carol fail.
type mailService struct {
	mu    sync.Mutex
	calls map[string]int // guarded by mu
}

func newMailService() *mailService { return &mailService{calls: map[string]int{}} }

func (m *mailService) send(_ context.Context, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[to]++
	switch n := m.calls[to]; {
	case to == "bob" && n <= 2:
		return statusError(http.StatusServiceUnavailable)
	case to == "carol" && n == 1:
		return statusError(http.StatusBadGateway)
	case to == "nobody":
		return statusError(http.StatusUnprocessableEntity)
	}
	return nil
}

// A statusError is an answer of the mail service; rules see it as err.status.
type statusError int

func (s statusError) Error() string   { return "the mail service answered " + http.StatusText(int(s)) }
func (s statusError) StatusCode() int { return int(s) }
