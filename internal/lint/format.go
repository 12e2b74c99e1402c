package lint

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"path/filepath"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/format"
)

// format writes policy files in their canonical form.
func (c *Command) format(args []string) error {
	var r request
	flags := flag.NewFlagSet("fmt", flag.ContinueOnError)
	check := flags.Bool("check", false, "change nothing; exit with 1 if a file is not formatted")
	diff := flags.Bool("diff", false, "change nothing; show what would change")
	flags.StringVar(&r.configFile, "config", "", "the config `FILE`, whose excluded files are left alone")
	flags.BoolVar(&r.noConfig, "no-config", false, "look for no config file")
	paths, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(paths) == 1 && paths[0] == "-" {
		text, err := io.ReadAll(io.LimitReader(c.stdin(), dsl.MaxFileSize+1))
		if err != nil {
			return err
		}
		out, err := format.Format("<stdin>", text)
		if err != nil {
			return c.unformatted(err)
		}
		_, err = c.Stdout.Write(out)
		return err
	}
	config, err := r.readConfig()
	if err != nil {
		return err
	}
	sets, err := r.read(paths, c.stdin(), config)
	if err != nil {
		return err
	}
	changed, failed := 0, false
	for _, set := range sets {
		for _, source := range set.sources {
			out, err := format.Format(source.Name, source.Bytes)
			switch {
			case err != nil:
				c.unformatted(err)
				failed = true
				continue
			case bytes.Equal(out, source.Bytes):
				continue
			}
			changed++
			switch {
			case *diff:
				fmt.Fprint(c.Stdout, unified(source.Name, source.Bytes, out))
			case *check:
				fmt.Fprintln(c.Stdout, source.Name)
			default:
				if err := replaceFile(filepath.FromSlash(source.Name), out); err != nil {
					return err
				}
				fmt.Fprintln(c.Stdout, source.Name)
			}
		}
	}
	if failed || changed > 0 && (*check || *diff) {
		return errFindings
	}
	return nil
}

// unformatted prints why a file cannot be formatted.
func (c *Command) unformatted(err error) error {
	fmt.Fprintln(c.Stdout, err)
	return errFindings
}
