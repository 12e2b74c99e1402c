// Load-source loads a folder of policies and ends.
package main

import (
	"fmt"
	"os"

	"github.com/redress-policy/redress"
)

func main() {
	set, err := redress.Load(os.DirFS(os.Args[1]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(set.Names())
}
