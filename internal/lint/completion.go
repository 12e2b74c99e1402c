package lint

import (
	"flag"
	"fmt"
	"strings"
)

// completion prints completions for a shell: verbs, and files behind them.
func (c *Command) completion(args []string) error {
	rest, err := c.parse(flag.NewFlagSet("completion", flag.ContinueOnError), args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usagef("completion takes one shell: bash, zsh or fish")
	}
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	words := strings.Join(names, " ")
	switch rest[0] {
	case "bash":
		fmt.Fprintf(c.Stdout, `_redress_lint() {
  local word="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -f -- "$word"))
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY+=($(compgen -W "%s" -- "$word"))
  fi
}
complete -o filenames -F _redress_lint redress-lint
`, words)
	case "zsh":
		fmt.Fprintln(c.Stdout, "#compdef redress-lint\n_redress_lint() {\n  local -a verbs\n  verbs=(")
		for _, v := range verbs() {
			fmt.Fprintf(c.Stdout, "    '%s:%s'\n", v.name, strings.ReplaceAll(strings.ReplaceAll(v.summary, "'", ""), ":", " "))
		}
		fmt.Fprintln(c.Stdout, "  )\n  (( CURRENT == 2 )) && _describe verb verbs\n  _files\n}\ncompdef _redress_lint redress-lint")
	case "fish":
		for _, v := range verbs() {
			fmt.Fprintf(c.Stdout, "complete -c redress-lint -n __fish_use_subcommand -a %s -d '%s'\n", v.name, strings.ReplaceAll(v.summary, "'", ""))
		}
	default:
		return usagef("completion knows bash, zsh and fish, not %q", rest[0])
	}
	return nil
}
