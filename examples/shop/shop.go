package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redresshttp"
	"github.com/redress-policy/redress/redresssql"
)

// A shop takes orders. What may fail runs under the policy of what it depends on; nothing
// in this file says how often anything is tried.
type shop struct {
	stock    *http.Client // under policy inventory
	stockURL string
	db       *sql.DB
	orders   *redress.Policy
	cache    *redis.Client // under policy cache
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /orders/{order}/{article}", s.put)
	mux.HandleFunc("GET /orders/{order}", s.get)
	return mux
}

// put reserves the article, keeps the order, and remembers it in the cache.
func (s *shop) put(w http.ResponseWriter, r *http.Request) {
	order, article := r.PathValue("order"), r.PathValue("article")
	if err := s.reserve(r.Context(), order, article); err != nil {
		fail(w, err)
		return
	}
	err := redresssql.Do(r.Context(), s.db, nil, s.orders, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "insert into redress_example_orders values ($1, $2) on conflict (id) do update set article = $2", order, article)
		return err
	}, redress.WithOperation("store.put"))
	if err != nil {
		fail(w, err)
		return
	}
	s.remember(r.Context(), order, article)
	fmt.Fprintf(w, "order %s: one %s\n", order, article)
}

func (s *shop) reserve(ctx context.Context, order, article string) error {
	ctx = redresshttp.WithOperation(ctx, "inventory.reserve")
	req, err := http.NewRequestWithContext(ctx, "PUT", s.stockURL+"/stock/"+article+"/"+order, nil)
	if err != nil {
		return err
	}
	resp, err := s.stock.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return errNoArticle
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the inventory answered %s", resp.Status)
	}
	return nil
}

var errNoArticle = errors.New("no such article")

// get looks into the cache first. A cache that fails is one that knows nothing.
func (s *shop) get(w http.ResponseWriter, r *http.Request) {
	order := r.PathValue("order")
	article, err := s.cache.Get(r.Context(), key(order)).Result()
	if err != nil {
		article, err = s.find(r.Context(), order)
		if err == nil {
			s.remember(r.Context(), order, article)
		}
	}
	switch {
	case errors.Is(err, sql.ErrNoRows):
		http.Error(w, "no such order", http.StatusNotFound)
	case err != nil:
		fail(w, err)
	default:
		fmt.Fprintf(w, "order %s: one %s\n", order, article)
	}
}

func (s *shop) find(ctx context.Context, order string) (string, error) {
	return redress.Call(ctx, s.orders, func(ctx context.Context) (article string, err error) {
		err = s.db.QueryRowContext(ctx, "select article from redress_example_orders where id = $1", order).Scan(&article)
		return article, err
	}, redress.WithOperation("store.get"))
}

func (s *shop) remember(ctx context.Context, order, article string) {
	_ = s.cache.Set(ctx, key(order), article, time.Minute).Err() // the page of the policies tells if it failed
}

func key(order string) string { return "redress-example-order:" + order }

// fail answers a request that a dependency let down, and says why in the policies' words.
func fail(w http.ResponseWriter, err error) {
	if errors.Is(err, errNoArticle) {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if stopped, ok := errors.AsType[*redress.Error](err); ok {
		w.Header().Set("X-Stop-Reason", stopped.Reason.String())
		http.Error(w, fmt.Sprintf("%s is not to be had: %v", stopped.Policy, stopped.Reason), http.StatusServiceUnavailable)
		return
	}
	http.Error(w, err.Error(), http.StatusBadGateway)
}
