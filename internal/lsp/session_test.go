package lsp_test

import (
	"testing"

	"github.com/redress-policy/redress/internal/lsp"
)

const policy = "apiVersion: redress/v1\nkind: Policy\nname: payments-api\nclassify:\n  - use: std.http\n"

func TestAPolicyThatIsOpenedIsChecked(t *testing.T) {
	session(t, lsp.Options{Version: "v1"}, `{}`, nil, func(c *client) {
		c.open("a.yaml", policy+"retry: {max_atempts: 3}\n")
		c.rest()
		expectLines(t, "opened", c.findings(), "a.yaml v1 5:8-5:19 RD003 unknown key \"max_atempts\" in retry; did you mean \"max_attempts\"?\nhelp: keys here: deadline, attempt_timeout, max_attempts, max_unknown_attempts, strategy, select, classes, budget")
		c.change("a.yaml", 2, policy+"retry: {max_attempts: 3}\n")
		c.rest()
		expectLines(t, "mended", c.findings(), "a.yaml v2 is clean")
	})
}
