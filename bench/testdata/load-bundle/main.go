// Load-bundle loads a bundle and ends.
package main

import (
	"fmt"
	"os"

	"github.com/redress-policy/redress/bundle"
)

func main() {
	data, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	set, err := bundle.Load(data)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(set.Names())
}
