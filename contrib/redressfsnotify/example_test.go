package redressfsnotify_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/contrib/redressfsnotify"
)

func Example() {
	folder, _ := os.MkdirTemp("", "policies")
	defer os.RemoveAll(folder)
	if err := os.WriteFile(folder+"/quotes.yaml", []byte(quotes), 0o644); err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	set, err := redress.Watch(ctx, redressfsnotify.Dir(folder))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Names())
	// Output: [quotes]
}

const quotes = `
apiVersion: redress/v1
kind: Policy
name: quotes
classify: [{use: std.net}]
retry: {deadline: 2s, max_attempts: 3}
`
