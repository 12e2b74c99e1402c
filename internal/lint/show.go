package lint

import (
	"flag"
	"fmt"
	"os"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
	"github.com/redress-policy/redress/schema"
)

// show prints built-in rule packs as they are written, and what bundles hold.
func (c *Command) show(args []string) error {
	names, err := c.parse(flag.NewFlagSet("show", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		for _, name := range interp.Packs() {
			fmt.Fprintln(c.Stdout, name)
		}
		return nil
	}
	for _, name := range names {
		text, ok := interp.PackSource(name)
		if _, err := os.Stat(name); !ok && err == nil {
			if err := c.showBundle(name); err != nil {
				return err
			}
			continue
		}
		if !ok {
			if near, found := nearestPack(name); found {
				return usagef("no built-in rule pack and no file is called %q; did you mean %q?", name, near)
			}
			return usagef("no built-in rule pack and no file is called %q; redress-lint show lists them", name)
		}
		if _, err := c.Stdout.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// nearestPack is the built-in rule pack that was probably meant, perhaps without its std.
func nearestPack(name string) (string, bool) {
	packs := interp.Packs()
	if near, ok := dsl.Nearest(name, packs); ok {
		return near, true
	}
	return dsl.Nearest("std."+name, packs)
}

// schema prints the JSON Schema.
func (c *Command) schema(args []string) error {
	rest, err := c.parse(flag.NewFlagSet("schema", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("schema takes no arguments")
	}
	_, err = c.Stdout.Write(schema.JSON())
	return err
}
