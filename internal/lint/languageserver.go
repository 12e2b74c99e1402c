package lint

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/format"
	"github.com/redress-policy/redress/internal/load"
	"github.com/redress-policy/redress/internal/lsp"
)

// languageServer serves an editor on standard input and output.
func (c *Command) languageServer(args []string) error {
	var r request
	flags := flag.NewFlagSet("lsp", flag.ContinueOnError)
	r.flags(flags)
	rest, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("lsp takes no arguments: the editor says what to look at")
	}
	l, err := r.linter()
	if err != nil {
		return err
	}
	code, err := lsp.Serve(context.Background(), c.stdin(), c.Stdout, lsp.Options{
		Version: Version(),
		Check: func(sources []*dsl.Source) dsl.Diagnostics {
			return l.check(sources).found
		},
		Excludes: l.config.Excludes,
		Envelope: func(sources []*dsl.Source, policy string) string { return l.envelopeOf(sources, policy) },
		Format:   format.Format,
	})
	if err != nil {
		return err
	}
	if code != 0 {
		return errors.New("the editor went away without saying so")
	}
	return nil
}

// envelopeOf is the envelope of a policy in Markdown, "" if the set does not load.
func (l *linter) envelopeOf(sources []*dsl.Source, policy string) string {
	result := load.Sources(sources, options(l.functions))
	if !result.Sound {
		return ""
	}
	for _, e := range l.envelopesOf(result) {
		if e.Policy == policy {
			var b bytes.Buffer
			e.print(&b)
			return "```text\n" + strings.TrimRight(b.String(), "\n") + "\n```"
		}
	}
	return ""
}
