package lsp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lsp"
)

// Each text has a cursor, ‸. What is shown holds want, and is about the range at.
var hovers = []struct {
	name, text, at, want string
}{
	{"a key", head + "ret‸ry: {max_attempts: 3}", "3:0-3:5", "**retry**\n\n"},
	{"a key with a default", head + "retry: {max_‸attempts: 3}", "3:8-3:20", "**max_attempts** · default 6\n\n"},
	{"a key of a rule", head + "classify:\n  - id: x\n    wh‸en: true", "5:4-5:8", "**when**\n\nThe condition, in CEL"},
	{"the end of a key", head + "retry‸: {}", "3:0-3:5", "**retry**"},
	{"a class", head + "default_class: TRANS‸IENT", "3:15-3:24", "**TRANSIENT**\n\nThe path to the dependency failed"},
	{"a strategy", head + "retry: {strategy: st‸op}", "3:18-3:22", "**stop**\n\nDoes not retry"},
	{"the key of a strategy", head + "retry: {strategy: {full_‸jitter: {max: 3s}}}", "3:19-3:30", "**full_jitter**\n\nAnything up to the exponential step"},
	{"a kind", "apiVersion: redress/v1\nkind: Bud‸get", "1:6-1:12", "**Budget**\n\nA limit on retries"},
	{"a pack", head + "classify: [{use: std.ma‸rker}]", "3:17-3:27", "**std.marker** · rule pack\n\n"},
	{"the rules of a pack", head + "classify: [{use: std.re‸dis}]", "3:17-3:26", "\n- the rules of `std.net`"},
	{"a pack of the set", head + "classify: [{use: ac‸me}]", "3:17-3:21", "**acme** · rule pack\n\nWhat Acme answers.\n\n`classify`\n\n- `maintenance` SERVER_ERROR: `err.status == 503`"},
	{"a budget", head + "retry: {budget: sh‸ared}", "3:16-3:22", "**shared** · Budget\n\n```yaml\napiVersion: redress/v1\nkind: Budget\nname: shared\nmax_retries: 20\nwindow: 60s\n```"},
	{"a budget's own keys", head + "retry: {budget: {wind‸ow: 3s}}", "3:17-3:23", "**window**"},
	{"a rule of a test", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases: [{expect: {rule: acme/main‸tenance}}]", "3:24-3:40", "**acme/maintenance** · SERVER_ERROR\n\n```cel\nerr.status == 503\n```"},
	{"the policy of a test", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: st‸ock", "2:8-2:13", "**stock** · Policy"},
	{"a field", head + "classify: [{when: err.sta‸tus == 3}]", "3:22-3:28", "**err.status** · int\n\nHTTP or protocol status"},
	{"a field in quotes of YAML", head + "classify: [{when: '\"🧨\" == err.‸code'}]", "3:31-3:35", "**err.code** · string"},
	{"a field in a block", head + "classify:\n  - when: |-\n      err.timeout &&\n      err.ph‸ase == \"sent\"", "6:10-6:15", "**err.phase** · string"},
	{"a member of a closed set", head + "classify: [{when: err.kind == \"n‸et\"}]", "3:30-3:35", "The connection"},
	{"a class in an expression", head + "retry: {select: [{when: class == AU‸TH}]}", "3:33-3:37", "**AUTH**\n\nCredentials are missing"},
	{"a var", head + "vars: {late: remaining < elapsed}\nclassify: [{when: vars.la‸te}]", "4:23-4:27", "**vars.late**\n\n```cel\nremaining < elapsed\n```"},
	{"an attribute", head + "attributes: {tier: string}\nclassify: [{when: err.attr.ti‸er == \"x\"}]", "4:27-4:31", "**err.attr.tier** · string"},
	{"a field of a cause", head + "classify: [{when: 'err.causes.exists(c, c.ki‸nd == \"net\")'}]", "3:42-3:46", "**c.kind** · string"},
	{"a function", head + "classify: [{when: has‸(err.code)}]", "3:18-3:21", "```cel\nhas(err.retry_after)\n```"},
	{"a method", head + "classify: [{when: err.code.starts‸With(\"a\")}]", "3:27-3:37", "```cel\nstartsWith(\"ERR\")\n```"},
	{"a code in a comment", head + "retry: {} # redress:ignore RD3‸03 -- one client", "3:27-3:32", "**RD303** no-jitter\n\n"},
	{"the name of a policy", "apiVersion: redress/v1\nkind: Policy\nname: pay‸ments", "2:6-2:14", "**name**\n\nThe name of the document, unique among those of its kind in the set.\n\nthe envelope of payments among 2 files"},
	{"while the document is broken", head + "owner: \"\nretry: {max_‸attempts: [\nclassify: }", "4:8-4:20", "**max_attempts**"},
	{"free text", head + "owner: m‸e", "", ""},
	{"between words", head + "retry: ‸ {}", "", ""},
	{"an operator", head + "classify: [{when: err.code =‸= \"a\"}]", "", ""},
	{"an unknown name", head + "classify: [{when: foo.b‸ar}]", "", ""},
	{"an unknown pack", head + "classify: [{use: st‸d}]", "", ""},
	{"an unknown key", head + "re‸: 1", "", ""},
	{"a code that is none", head + "# RD9‸99", "", ""},
}

func TestWhatIsShownExplainsWhatStandsThere(t *testing.T) {
	opts := lsp.Options{Envelope: func(sources []*dsl.Source, policy string) string {
		return fmt.Sprintf("the envelope of %s among %d files\n", policy, len(sources))
	}}
	session(t, opts, `{}`, others, func(c *client) {
		c.open("others.yaml", others["others.yaml"])
		for i, test := range hovers {
			name := fmt.Sprintf("doc%d.yaml", i)
			text, line, character := cursor(t, test.text)
			c.open(name, text)
			result, _ := c.result("textDocument/hover", c.place(name, line, character)).(map[string]any)
			at, got := "", ""
			if result != nil {
				at, got = spanOf(result["range"]), result["contents"].(map[string]any)["value"].(string)
			}
			if at != test.at || !strings.Contains(got, test.want) || test.want == "" && got != "" {
				t.Errorf("%s: at %q\n%s\nwant at %q\n%s", test.name, at, got, test.at, test.want)
			}
			c.close(name)
		}
	})
}

// Each text has a cursor, ‸, and a line that says where it leads, "" for nowhere.
var definitions = []struct {
	name, text, want string
}{
	{"a pack of the set", head + "classify: [{use: ac‸me}]", "others.yaml 2:6-2:10"},
	{"a built-in pack", head + "classify: [{use: std.h‸ttp}]", ""},
	{"a budget", head + "retry: {budget: sh‸ared}", "others.yaml 9:6-9:12"},
	{"a breaker", head + "circuit_breaker: ‸cluster", "others.yaml 15:6-15:13"},
	{"a policy that is called", head + "calls: [stock‸]", "others.yaml 19:6-19:11"},
	{"the policy of a test", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: st‸ock", "others.yaml 19:6-19:11"},
	{"the fallback policy of a set", "apiVersion: redress/v1\nkind: Set\nname: x\nfallback_policy: sto‸ck", "others.yaml 19:6-19:11"},
	{"a policy of an environment", "apiVersion: redress/v1\nkind: Environment\nname: x\npolicies: {sto‸ck: {rate: 3}}", "others.yaml 19:6-19:11"},
	{"a var", head + "vars: {late: true, \"lâte\": true}\nclassify: [{when: vars.la‸te}]", "doc 3:7-3:11"},
	{"an attribute", head + "attributes:\n  tier: string\nclassify: [{when: '\"🧨\" == err.attr.ti‸er'}]", "doc 4:2-4:6"},
	{"an attribute of a result", head + "attributes:\n  tier: string\nclassify_result: [{when: result.attr.tier‸ == \"\"}]", "doc 4:2-4:6"},
	{"a field", head + "classify: [{when: err.co‸de == \"x\"}]", ""},
	{"a rule", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases: [{expect: {rule: go‸ne}}]", "others.yaml 22:9-22:13"},
	{"a rule of a scenario", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\nscenarios: [{calls: [{expect: {rule: on‸ce}}]}]", "others.yaml 26:11-26:15"},
	{"a select rule", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases: [{expect: {select: on‸ce}}]", "others.yaml 26:11-26:15"},
	{"a rule of a pack", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases: [{expect: {rule: acme/maint‸enance}}]", "others.yaml 5:9-5:20"},
	{"a rule of a built-in pack", "apiVersion: redress/v1\nkind: PolicyTest\npolicy: stock\ncases: [{expect: {rule: std.http/x‸}}]", ""},
	{"an alias", head + "x-a: &limit 3\nretry: {max_attempts: *li‸mit}", "doc 3:12-3:13"},
	{"an alias of nothing", head + "retry: {max_attempts: *li‸mit}", ""},
	{"a name that nothing has", head + "retry: {budget: nob‸ody}", ""},
	{"a key", head + "ret‸ry: {budget: shared}", ""},
	{"a comment", head + "# shar‸ed", ""},
	{"while the document is broken", head + "owner: \"\nclassify: [{{\nretry: {budget: sha‸red", "others.yaml 9:6-9:12"},
}

func TestADefinitionIsWhereTheNameIsMade(t *testing.T) {
	session(t, lsp.Options{}, `{}`, others, func(c *client) {
		for i, test := range definitions {
			name := fmt.Sprintf("doc%d.yaml", i)
			text, line, character := cursor(t, test.text)
			c.open(name, text)
			result, _ := c.result("textDocument/definition", c.place(name, line, character)).(map[string]any)
			got := ""
			if result != nil {
				got = strings.Replace(strings.TrimPrefix(result["uri"].(string), c.uri("")+"/"), name, "doc", 1) + " " + spanOf(result["range"])
			}
			if got != test.want {
				t.Errorf("%s: it leads to %q, want %q", test.name, got, test.want)
			}
			c.close(name)
		}
	})
}
