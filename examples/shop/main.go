// Shop is a service with three dependencies under one set of policies: an inventory that
// speaks HTTP, a PostgreSQL, a Redis.
//
//	go run ./examples/shop
//
// It needs a PostgreSQL and a Redis; where they are, -postgres and -redis say. While it
// runs, break.sh breaks its dependencies one after the other and sends orders meanwhile:
//
//	examples/shop/break.sh
//
// What the policies made of it is shown on the page /debug/redress of the second address
// that it prints, as metrics for Prometheus on /metrics, and as spans on /traces.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"database/sql"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressotel"
	"github.com/redress-policy/redress/contrib/redressprom"
	"github.com/redress-policy/redress/contrib/redressredis"
	"github.com/redress-policy/redress/redressdebug"
	"github.com/redress-policy/redress/redresshttp"
)

//go:embed policies
var policies embed.FS

// A config says where things are.
type config struct {
	listen, admin   string // addresses of the shop and of those who look after it
	postgres, redis string // addresses
	user, database  string // of PostgreSQL
}

func main() {
	var c config
	flag.StringVar(&c.listen, "listen", "127.0.0.1:8080", "address of the shop")
	flag.StringVar(&c.admin, "admin", "127.0.0.1:8081", "address of /debug/redress, /metrics, /traces and /break")
	flag.StringVar(&c.postgres, "postgres", "127.0.0.1:5432", "address of a PostgreSQL")
	flag.StringVar(&c.user, "user", "postgres", "user of PostgreSQL")
	flag.StringVar(&c.database, "database", "postgres", "database of PostgreSQL; a table redress_example_orders is made in it")
	flag.StringVar(&c.redis, "redis", "127.0.0.1:6379", "address of a Redis")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := start(ctx, c)
	if err == nil {
		fmt.Printf("shop:      http://%s/orders/1\npolicies:  http://%s/debug/redress\n", s.shop, s.admin)
		err = s.wait()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// A service is a shop that runs.
type service struct {
	shop, admin string // addresses
	ended       chan error
}

// wait returns when the service has ended.
func (s *service) wait() error {
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// start starts a shop that ends with ctx.
func start(ctx context.Context, c config) (*service, error) {
	page, metrics, spans := redressdebug.New(redressdebug.Options{Errors: true}), redressprom.New(redressprom.Options{}), &lastSpans{}
	tracer, err := redressotel.New(redressotel.Options{TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))})
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(policies, "policies")
	if err != nil {
		return nil, err
	}
	set, err := redress.Load(files, redress.WithPolicyObserver(redress.Observers(page, metrics, tracer)))
	if err != nil {
		return nil, err
	}
	page.Watch(set)
	metrics.Watch(set)

	b := &breakable{}
	if b.postgres, err = newProxy(ctx, c.postgres); err != nil {
		return nil, err
	}
	if b.redis, err = newProxy(ctx, c.redis); err != nil {
		return nil, err
	}
	warehouse := http.NewServeMux()
	warehouse.Handle("PUT /stock/{article}/{order}", &b.inventory)
	s := &service{ended: make(chan error, 3)}
	stock, err := s.serve(ctx, "127.0.0.1:0", warehouse)
	if err != nil {
		return nil, err
	}

	front := &shop{stockURL: "http://" + stock, orders: set.MustPolicy("orders")}
	front.stock = &http.Client{Transport: &redresshttp.Transport{Policy: set.MustPolicy("inventory"), RetryHeader: "X-Retry-Attempt"}}
	front.cache = redis.NewClient(&redis.Options{Addr: b.redis.address(), MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	if err := redressredis.Use(front.cache, set.MustPolicy("cache")); err != nil {
		return nil, err
	}
	if front.db, err = openOrders(ctx, c, b.postgres.address()); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _, _ = front.db.Close(), front.cache.Close() })

	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics)
	admin := http.NewServeMux()
	admin.Handle("/debug/redress", page)
	admin.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	admin.Handle("/traces", spans)
	admin.Handle("POST /break/{dependency}/{how}", b)
	admin.Handle("POST /mend/{dependency}", b)
	if s.admin, err = s.serve(ctx, c.admin, admin); err != nil {
		return nil, err
	}
	s.shop, err = s.serve(ctx, c.listen, front.handler())
	return s, err
}

// serve serves h until ctx ends, and returns the address.
func (s *service) serve(ctx context.Context, address string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() { s.ended <- server.Serve(l) }()
	return l.Addr().String(), nil
}

func openOrders(ctx context.Context, c config, address string) (*sql.DB, error) {
	db, err := sql.Open("pgx", fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", c.user, address, c.database))
	if err != nil {
		return nil, err
	}
	if _, err = db.ExecContext(ctx, "create table if not exists redress_example_orders (id text primary key, article text not null)"); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("PostgreSQL at %s: %w", c.postgres, err)
	}
	return db, nil
}

// breakable is what can be broken: POST /break/redis/hang, POST /mend/redis.
type breakable struct {
	postgres, redis *proxy
	inventory       inventory
}

func (b *breakable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	dependency, how := r.PathValue("dependency"), r.PathValue("how")
	switch dependency {
	case "inventory":
		b.inventory.broken.Store(how != "")
	case "postgres", "redis":
		if how != "" && how != "refuse" && how != "hang" {
			http.Error(w, "a server can refuse or hang", http.StatusBadRequest)
			return
		}
		map[string]*proxy{"postgres": b.postgres, "redis": b.redis}[dependency].set(how)
	default:
		http.Error(w, "there are inventory, postgres and redis", http.StatusNotFound)
	}
}
