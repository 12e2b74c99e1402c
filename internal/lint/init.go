package lint

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/interp"
)

// init writes a first policy, its tests and a config file.
func (c *Command) init(args []string) error {
	flags := flag.NewFlagSet("init", flag.ContinueOnError)
	pack := flags.String("pack", "std.http", "the built-in rule `PACK` to begin with; redress-lint show lists them")
	name := flags.String("name", "payments-api", "the `NAME` of the policy: that of the dependency")
	rest, err := c.parse(flags, args)
	if err != nil {
		return err
	}
	folder := "policies"
	if len(rest) > 1 {
		return usagef("init takes one folder")
	}
	if len(rest) == 1 {
		folder = rest[0]
	}
	if *pack == "" {
		return usagef("--pack names a built-in rule pack; redress-lint show lists them")
	}
	starter, ok := starters[*pack]
	if !ok {
		if _, exists := interp.PackSource(*pack); exists {
			starter = starters[""]
		} else if near, found := nearestPack(*pack); found {
			return usagef("no built-in rule pack is called %q; did you mean %q?", *pack, near)
		} else {
			return usagef("no built-in rule pack is called %q; redress-lint show lists them", *pack)
		}
	}
	text := starterPolicy(*name, *pack, starter)
	if _, found := dsl.Parse(dsl.NewSource("--name", []byte(text))); found.HasErrors() {
		return usagef("--name %s: %s", *name, found[0].Message)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return plain(err)
	}
	for _, f := range []struct{ name, text string }{
		{filepath.Join(folder, *name+".yaml"), text},
		{filepath.Join(folder, *name+"_test.yaml"), starterTests(*name, starter)},
	} {
		file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already; it was not changed", filepath.ToSlash(f.name))
		}
		if err != nil {
			return plain(err)
		}
		_, err = file.WriteString(f.text)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		fmt.Fprintln(c.Stdout, "wrote", filepath.ToSlash(f.name))
	}
	slashed := filepath.ToSlash(folder)
	fmt.Fprintf(c.Stdout, "next: redress-lint %s && redress-lint test %s\n", slashed, slashed)
	return nil
}

// A starter is what a first policy over a pack shows.
type starter struct {
	rule  string // a rule of its own, with the id own-code
	err   string // a record that it decides
	class string
	busy  string // a record that is retried
	gone  string // a record that is not
}

var starters = map[string]starter{
	"":          {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "", ""},
	"std.http":  {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{status: 503}", "{status: 404}"},
	"std.grpc":  {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{code: UNAVAILABLE, kind: grpc}", "{code: INVALID_ARGUMENT, kind: grpc}"},
	"std.sql":   {`err.code == "57014"`, `{code: "57014", kind: sql}`, "TRANSIENT", `{code: "40001", kind: sql}`, `{code: "23505", kind: sql}`},
	"std.amqp":  {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", `{code: NACKED, kind: broker}`, `{code: "404", kind: broker}`},
	"std.aws":   {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{code: SlowDown, kind: aws}", "{code: AccessDenied, kind: aws}"},
	"std.kafka": {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{code: NOT_ENOUGH_REPLICAS, kind: broker}", "{code: MESSAGE_TOO_LARGE, kind: broker}"},
	"std.mqtt":  {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", `{code: "0x89", kind: broker}`, `{code: "0x95", kind: broker}`},
	"std.nats":  {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{code: NO_RESPONDERS, kind: broker}", "{code: MAX_PAYLOAD, kind: broker}"},
	"std.redis": {`err.code == "TRY_LATER"`, `{code: TRY_LATER}`, "TRANSIENT", "{code: LOADING, kind: redis}", "{code: WRONGTYPE, kind: redis}"},
}

func starterPolicy(name, pack string, s starter) string {
	return fmt.Sprintf(`# yaml-language-server: $schema=https://raw.githubusercontent.com/redress-policy/redress/main/schema/policy.schema.json
# What failures of %[1]s mean, and what to do about them.
apiVersion: redress/v1
kind: Policy
name: %[1]s

classify:                      # the first rule that holds decides
  - id: own-code
    when: %[3]s
    class: %[4]s
  - use: %-21[2]s # redress-lint show %[2]s prints it

retry:
  deadline: 30s                # all attempts and all sleeps
  attempt_timeout: 5s
  max_attempts: 4              # the first call counts
  strategy: {decorrelated_jitter: {base: 100ms, max: 3s}}
  classes:
    RATE_LIMIT: {strategy: {retry_after_or: {cap: 20s}}}

circuit_breaker:
  failure_threshold: 5
  window: 60s
  recovery_timeout: 30s
`, name, pack, s.rule, s.class)
}

func starterTests(name string, s starter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Run by redress-lint test, and by redresstest.Run under go test.\napiVersion: redress/v1\nkind: PolicyTest\npolicy: %s\ncases:\n", name)
	fmt.Fprintf(&b, "  - name: a code of our own is recognised\n    err: %s\n    expect: {rule: own-code, class: %s}\n", s.err, s.class)
	if s.busy == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "scenarios:\n  - name: what passes by itself is tried again\n    calls:\n      - outcomes: [%s, ok]\n        expect: {ok: true, attempts: 2, stop_reason: SUCCESS}\n", s.busy)
	fmt.Fprintf(&b, "  - name: what cannot succeed is not\n    calls:\n      - outcomes: [%s]\n        expect: {ok: false, attempts: 1, stop_reason: NON_RETRYABLE_CLASS}\n", s.gone)
	return b.String()
}
