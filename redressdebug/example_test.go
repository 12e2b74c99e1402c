package redressdebug_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/redressdebug"
)

func Example() {
	page := redressdebug.New(redressdebug.Options{})
	set, err := redress.Parse("payments.yaml", []byte(payments), redress.WithPolicyObserver(page))
	if err != nil {
		log.Fatal(err)
	}
	page.Watch(set)
	mux := http.NewServeMux()
	mux.Handle("/debug/redress", page)

	_ = redress.Do(context.Background(), set.MustPolicy("payments"), func(context.Context) error {
		return redress.Permanent(errors.New("no such account"))
	}, redress.WithOperation("charge"))

	shown := httptest.NewRecorder()
	mux.ServeHTTP(shown, httptest.NewRequest("GET", "/debug/redress", nil))
	fmt.Println(strings.Contains(shown.Body.String(), "PERMANENT by the error&#39;s marker"))
	// Output:
	// true
}

const payments = `
apiVersion: redress/v1
kind: Policy
name: payments
classify: [{id: full, when: "err.code == 'FULL'", class: RATE_LIMIT}]
circuit_breaker: {failure_threshold: 5}
`
