package lint

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/importer"
)

// importing turns failure handling of other systems into policies, and reports what
// became of every field.
func (c *Command) importing(args []string) error {
	flags := flag.NewFlagSet("import", flag.ContinueOnError)
	from := flags.String("from", "", "whose configuration it is: `"+strings.Join(importer.Sources(), ", ")+"`")
	to := flags.String("to", "", "the `FILE` to write (default: standard output)")
	rest, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usagef("import takes one file, or - for standard input")
	}
	if *from == "" {
		return usagef("name the system with --from: %s", strings.Join(importer.Sources(), ", "))
	}
	if !slices.Contains(importer.Sources(), *from) {
		if near, ok := dsl.Nearest(*from, importer.Sources()); ok {
			return usagef("--from: %q is not known; did you mean %s?", *from, near)
		}
		return usagef("--from: %q is not known; there is %s", *from, strings.Join(importer.Sources(), ", "))
	}
	name := filepath.ToSlash(rest[0])
	var text []byte
	if rest[0] == "-" {
		name = "<stdin>"
		text, err = io.ReadAll(io.LimitReader(c.stdin(), 2*dsl.MaxFileSize))
	} else {
		text, err = os.ReadFile(rest[0])
	}
	if err != nil {
		return plain(err)
	}
	result, err := importer.Import(*from, name, text)
	if err != nil {
		return err
	}
	if *to == "" {
		_, err = io.Copy(c.Stdout, bytes.NewReader(result.YAML))
	} else if _, statErr := os.Lstat(*to); statErr == nil {
		return fmt.Errorf("%s exists already; it was not changed", filepath.ToSlash(*to))
	} else {
		err = writeFile(*to, result.YAML)
	}
	if err == nil {
		result.Report(c.Stderr)
	}
	return err
}
