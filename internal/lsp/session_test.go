package lsp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/lsp"
)

const policy = head + "classify:\n  - use: std.http\n"

const (
	unknownKey = "RD003 unknown key \"max_atempts\" in retry; did you mean \"max_attempts\"?\nhelp: keys here: deadline, attempt_timeout, max_attempts, max_unknown_attempts, strategy, select, classes, budget"
	budget     = "apiVersion: redress/v1\nkind: Budget\nname: shared\nmax_retries: 20\nwindow: 60s\n"
)

func TestAPolicyThatIsOpenedIsChecked(t *testing.T) {
	session(t, lsp.Options{}, `{}`, nil, func(c *client) {
		c.open("a.yaml", policy+"retry: {max_atempts: 3}\n")
		c.rest()
		expectLines(t, "opened", c.findings(), "a.yaml v1 5:8-5:19 "+unknownKey)
		c.change("a.yaml", 2, policy+"retry: {max_attempts: 3}\n")
		c.rest()
		expectLines(t, "mended", c.findings(), "a.yaml v2 is clean")
		c.change("a.yaml", 3, policy)
		c.rest()
		expectLines(t, "still good", c.findings())
	})
}

func TestExcludedFilesAreNotLookedAt(t *testing.T) {
	opts := lsp.Options{Excludes: func(name string) bool { return strings.Contains(name, "/vendor/") }}
	session(t, opts, `{}`, map[string]string{"vendor/a.yaml": policy + "retry: {max_atempts: 3}\n"}, func(c *client) {
		c.open("a.yaml", policy+"retry: {max_atempts: 3}\n")
		c.open("vendor/b.yaml", policy+"retry: {max_atempts: 3}\n")
		c.rest()
		expectLines(t, "opened", c.findings(), "a.yaml v1 5:8-5:19 "+unknownKey)
	})
}

func TestTheServerSaysWhatItCanDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, t.Context(), t.TempDir(), lsp.Options{Version: "v1.2.3", Format: func(string, []byte) ([]byte, error) { return nil, nil }})
		result := c.result("initialize", `{"capabilities": {}}`).(map[string]any)
		if info := fmt.Sprint(result["serverInfo"]); info != "map[name:redress-lint version:v1.2.3]" {
			t.Errorf("server is %s", info)
		}
		can := result["capabilities"].(map[string]any)
		expectLines(t, "capabilities", slices.Sorted(maps.Keys(can)), "codeActionProvider", "completionProvider", "definitionProvider",
			"documentFormattingProvider", "documentSymbolProvider", "hoverProvider", "positionEncoding", "textDocumentSync")
		if can["positionEncoding"] != "utf-16" {
			t.Errorf("characters are counted in %v", can["positionEncoding"])
		}
		c.in.Close()
		<-c.done
	})
}

func TestTheFirstEncodingThatIsKnownIsSpoken(t *testing.T) {
	for offered, want := range map[string]string{`[]`: "utf-16", `["utf-8", "utf-16"]`: "utf-8", `["utf-7", "utf-32", "utf-8"]`: "utf-32", `["utf-7"]`: "utf-16"} {
		synctest.Test(t, func(t *testing.T) {
			c := start(t, t.Context(), t.TempDir(), lsp.Options{})
			result := c.result("initialize", `{"capabilities": {"general": {"positionEncodings": `+offered+`}}}`).(map[string]any)
			if got := result["capabilities"].(map[string]any)["positionEncoding"]; got != want {
				t.Errorf("of %s it speaks %v, want %s", offered, got, want)
			}
			c.in.Close()
			<-c.done
		})
	}
}

func TestFindingsStandWhereTheClientCountsThem(t *testing.T) {
	text := head + "classify: # 🧨\r\n  - {id: \"🧨\", when: true, class: AUTH}\r\n  - {id: a, when: err.code == \"é🧨\" && err.statsu == 1, class: AUTH}\r\n"
	for encoding, want := range map[string][]string{
		"utf-8":  {"4:9-4:15", "5:46-5:52"},
		"utf-16": {"4:9-4:13", "5:43-5:49"},
		"utf-32": {"4:9-4:12", "5:42-5:48"},
	} {
		session(t, lsp.Options{}, `{"general": {"positionEncodings": ["`+encoding+`"]}}`, nil, func(c *client) {
			c.open("a.yaml", text)
			c.rest()
			var got []string
			for _, line := range c.findings() {
				if fields := strings.Fields(line); strings.HasPrefix(line, "a.yaml v1 ") {
					got = append(got, fields[2])
				}
			}
			expectLines(t, encoding, got, want...)
		})
	}
}

func TestAnEditReplacesWhatItNames(t *testing.T) {
	session(t, lsp.Options{}, `{}`, nil, func(c *client) {
		c.open("a.yaml", policy+"owner: \"🧨\"\r\nretry: {max_atempts: 3}\r\n")
		// Behind the firecracker, two units of UTF-16; then the wrong key, in the text as
		// it is after the first edit.
		c.edit("a.yaml", 2, `{"range": {"start": {"line": 5, "character": 10}, "end": {"line": 5, "character": 10}}, "text": "é\"\r\nx-mine: \""},
			{"range": {"start": {"line": 7, "character": 8}, "end": {"line": 7, "character": 19}}, "text": "max_attempts"}`)
		c.rest()
		expectLines(t, "edited", c.findings())
		c.edit("a.yaml", 3, `{"range": {"start": {"line": 7, "character": 8}, "end": {"line": 7, "character": 20}}, "text": "max_atempts"}`)
		c.rest()
		expectLines(t, "edited back", c.findings(), "a.yaml v3 7:8-7:19 "+unknownKey)
		c.edit("a.yaml", 4, `{"range": {"start": {"line": 7, "character": 0}, "end": {"line": 99, "character": 0}}, "text": ""}`)
		c.rest()
		expectLines(t, "cut off", c.findings(), "a.yaml v4 is clean")
	})
}

func TestMendingOneFileClearsTheFindingOfAnother(t *testing.T) {
	files := map[string]string{"a.yaml": policy + "retry: {budget: shared}\n", "sub/b.yaml": strings.Replace(budget, "shared", "other", 1)}
	session(t, lsp.Options{}, `{}`, files, func(c *client) {
		c.open("a.yaml", files["a.yaml"])
		c.rest()
		if found := c.findings(); len(found) != 1 || !strings.HasPrefix(found[0], "a.yaml v1 5:16-5:22 RD019 ") {
			t.Fatalf("found %q", found)
		}
		c.open("sub/b.yaml", budget)
		c.rest()
		expectLines(t, "the budget is named", c.findings(), "a.yaml v1 is clean")
		c.close("sub/b.yaml")
		c.rest()
		if found := c.findings(); len(found) != 1 || !strings.HasPrefix(found[0], "a.yaml v1 5:16-5:22 RD019 ") {
			t.Errorf("without saving it is not, and found is %q", found)
		}
	})
}

func TestFilesThatAreNotOpenAreOfTheSet(t *testing.T) {
	files := map[string]string{"b.yaml": policy + "retry: {max_atempts: 3}\n", ".hidden.yaml": "nothing", "c.txt": "nothing"}
	session(t, lsp.Options{}, `{"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": true}}}`, files, func(c *client) {
		if asked := fmt.Sprint(c.said("client/registerCapability")); !strings.Contains(asked, "**/*.{yaml,yml}") {
			t.Errorf("the client is asked for %s", asked)
		}
		c.body(`{"jsonrpc": "2.0", "id": "redress-1", "result": null}`)
		c.open("a.yaml", budget)
		c.rest()
		expectLines(t, "opened", c.findings(), "b.yaml 5:8-5:19 "+unknownKey)
		c.write("b.yaml", policy)
		c.notify("workspace/didChangeWatchedFiles", fmt.Sprintf(`{"changes": [{"uri": %q, "type": 2}]}`, c.uri("b.yaml")))
		c.rest()
		expectLines(t, "mended on disk", c.findings(), "b.yaml is clean")
		c.write("b.yaml", "\ufeff"+policy)
		c.notify("textDocument/didSave", c.document("a.yaml"))
		c.rest()
		expectLines(t, "with a byte order mark", c.findings(), "b.yaml 0:0-0:0 RD013 the file begins with a byte order mark\nhelp: save it as UTF-8 without BOM")
		c.close("a.yaml")
		c.rest()
		expectLines(t, "closed", c.findings(), "b.yaml is clean")
	})
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	checked := 0
	opts := lsp.Options{Check: func([]*dsl.Source) dsl.Diagnostics { checked++; return nil }}
	session(t, opts, `{}`, map[string]string{"compose.yaml": "services: {}\n"}, func(c *client) {
		c.open("compose.yaml", "services: {}\n")
		c.open("notes.yaml", "# apiVersion: apps/v1\nkind: x\n")
		c.rest()
		for _, method := range []string{"textDocument/completion", "textDocument/hover", "textDocument/definition"} {
			if got := fmt.Sprint(c.result(method, c.place("compose.yaml", 0, 3))); got != "<nil>" && got != "map[isIncomplete:false items:[]]" {
				t.Errorf("%s says %s", method, got)
			}
		}
		if got := c.result("textDocument/documentSymbol", c.document("compose.yaml")); len(got.([]any)) != 0 {
			t.Errorf("it has symbols: %v", got)
		}
		if checked != 0 || len(c.findings()) != 0 {
			t.Errorf("it was checked %d times", checked)
		}
		c.change("notes.yaml", 2, policy)
		c.rest()
		if checked != 1 {
			t.Errorf("a policy beside it is checked %d times", checked)
		}
	})
}

func TestTheOrderOfOpeningDoesNotMatter(t *testing.T) {
	var names []string
	opts := lsp.Options{Check: func(sources []*dsl.Source) dsl.Diagnostics {
		names = nil
		for _, s := range sources {
			names = append(names, filepath.Base(s.Name))
		}
		return nil
	}}
	files := map[string]string{"a.yaml": policy, "sub/b.yaml": budget, "sub/deep/c.yaml": budget, "sub-b.yaml": budget}
	for _, order := range [][]string{{"a.yaml", "sub/b.yaml", "sub/deep/c.yaml"}, {"sub/deep/c.yaml", "sub/b.yaml", "a.yaml"}, {"sub/b.yaml", "a.yaml", "sub/deep/c.yaml"}} {
		session(t, opts, `{}`, files, func(c *client) {
			for _, name := range order {
				c.open(name, files[name])
				c.rest()
			}
			expectLines(t, fmt.Sprint(order), names, "a.yaml", "b.yaml", "c.yaml", "sub-b.yaml")
		})
	}
}

func TestADocumentWithoutAFolderIsASetOfItsOwn(t *testing.T) {
	session(t, lsp.Options{}, `{}`, map[string]string{"b.yaml": budget}, func(c *client) {
		c.open("untitled:Untitled-1", policy+"retry: {budget: shared}\n")
		c.open("git:/b.yaml", budget)
		c.rest()
		if found := c.findings(); len(found) != 1 || !strings.HasPrefix(found[0], "untitled:Untitled-1 v1 5:16-5:22 RD019 ") {
			t.Errorf("found %q", found)
		}
		c.close("untitled:Untitled-1")
		c.rest()
		expectLines(t, "closed", c.findings(), "untitled:Untitled-1 is clean")
	})
}

func TestASetIsReadOnceMoreWhenItsFolderIsMade(t *testing.T) {
	session(t, lsp.Options{}, `{}`, nil, func(c *client) {
		c.open("new/a.yaml", policy+"retry: {budget: shared}\n")
		c.rest()
		if found := c.findings(); len(found) != 1 {
			t.Errorf("found %q", found)
		}
		if err := os.Mkdir(filepath.Join(c.folder, "new"), 0o755); err != nil {
			t.Fatal(err)
		}
		c.write("new/b.yml", budget)
		c.notify("textDocument/didSave", c.document("new/a.yaml"))
		c.rest()
		expectLines(t, "with its folder", c.findings(), "new/a.yaml v1 is clean")
	})
}

func TestAFolderThatCannotBeReadIsSaidOnce(t *testing.T) {
	session(t, lsp.Options{}, `{}`, map[string]string{"a.yaml": policy}, func(c *client) {
		link := filepath.Join(c.folder, "b.yaml")
		if err := os.Symlink("nothing", link); err != nil {
			t.Log("there are no links here:", err)
			return
		}
		c.open("a.yaml", policy+"retry: {max_atempts: 3}\n")
		c.rest()
		c.change("a.yaml", 2, policy+"retry: {max_atempts: 4}\n")
		c.rest()
		if said := fmt.Sprint(c.said("window/showMessage")); !strings.Contains(said, "b.yaml") {
			t.Errorf("it says %s", said)
		}
		if said := c.said("window/showMessage"); said != nil {
			t.Errorf("it says again %v", said)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
		c.notify("textDocument/didSave", c.document("a.yaml"))
		c.rest()
		expectLines(t, "mended", c.findings(), "a.yaml v2 5:8-5:19 "+unknownKey)
	})
}

func TestFastTypingIsCheckedOnceAndTheNewestTextOnly(t *testing.T) {
	var mu sync.Mutex
	var checked []string
	opts := lsp.Options{Check: func(sources []*dsl.Source) dsl.Diagnostics {
		mu.Lock()
		defer mu.Unlock()
		checked = append(checked, strings.TrimPrefix(string(sources[0].Bytes), policy))
		return nil
	}}
	expect := func(when string, want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		expectLines(t, when, checked, want...)
	}
	session(t, opts, `{}`, nil, func(c *client) {
		c.open("a.yaml", policy)
		for i := range 50 {
			time.Sleep(20 * time.Millisecond)
			c.change("a.yaml", i+2, policy+fmt.Sprint("# ", i))
		}
		synctest.Wait()
		expect("while typing")
		c.rest()
		expect("at rest", "# 49")
	})
}

func TestWhatIsFoundInAnOlderTextIsNotPublished(t *testing.T) {
	var release chan bool
	started := 0
	opts := lsp.Options{Check: func(sources []*dsl.Source) dsl.Diagnostics {
		started++
		<-release
		return dsl.Diagnostics{{Range: dsl.Range{Source: sources[0], Start: 0, End: 3}, Code: dsl.CodeGap, Message: fmt.Sprint(len(sources[0].Bytes))}}
	}}
	session(t, opts, `{}`, nil, func(c *client) {
		release = make(chan bool)
		c.open("a.yaml", policy)
		c.rest()
		for i := range 5 {
			c.change("a.yaml", i+2, policy+strings.Repeat("#", i+1))
			c.rest()
		}
		if started != 1 {
			t.Errorf("%d checks run at a time", started)
		}
		if got := c.result("textDocument/hover", c.place("a.yaml", 1, 1)); got == nil {
			t.Error("while a check runs nothing is answered")
		}
		release <- true
		c.rest()
		expectLines(t, "the first check ends", c.findings())
		release <- true
		c.rest()
		expectLines(t, "the second check ends", c.findings(), fmt.Sprintf("a.yaml v6 0:0-0:3 RD206 %d", len(policy)+5))
		if started != 2 {
			t.Errorf("it was checked %d times", started)
		}
	})
}

func TestTwoSetsAreCheckedOneAfterTheOther(t *testing.T) {
	running, most, checked := 0, 0, 0
	opts := lsp.Options{Check: func([]*dsl.Source) dsl.Diagnostics {
		running++
		checked++
		most = max(most, running)
		time.Sleep(time.Second)
		running--
		return nil
	}}
	session(t, opts, `{}`, nil, func(c *client) {
		for i := range 5 {
			c.open(fmt.Sprintf("untitled:%d", i), policy)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most != 1 || checked != 5 {
			t.Errorf("%d checks, %d at a time", checked, most)
		}
	})
}

func TestAPanicIsSaidAndTheServerGoesOn(t *testing.T) {
	panics := true
	opts := lsp.Options{
		Check: func([]*dsl.Source) dsl.Diagnostics {
			if panics {
				panic("boom")
			}
			return nil
		},
		Format:   func(string, []byte) ([]byte, error) { panic("boom") },
		Envelope: func([]*dsl.Source, string) string { panic("boom") },
	}
	session(t, opts, `{}`, nil, func(c *client) {
		c.open("a.yaml", policy)
		c.rest()
		if said := fmt.Sprint(c.said("window/showMessage")); !strings.Contains(said, "boom") {
			t.Errorf("it says %s", said)
		}
		for method, params := range map[string]string{"textDocument/formatting": c.document("a.yaml"), "textDocument/hover": c.place("a.yaml", 2, 8)} {
			fail, _ := c.request(method, params)["error"].(map[string]any)
			if fail["code"] != -32603.0 || fail["message"] != "panic: boom" {
				t.Errorf("%s: %v", method, fail)
			}
		}
		panics = false
		c.change("a.yaml", 2, policy+"#")
		c.rest()
		if said := c.said("window/showMessage"); said != nil {
			t.Errorf("it says %v", said)
		}
	})
}

func TestFindingsThatStandInNoFileOfTheSetAreShownInItsFirst(t *testing.T) {
	opts := lsp.Options{Check: func(sources []*dsl.Source) dsl.Diagnostics {
		elsewhere := dsl.NewSource("elsewhere.yaml", []byte("a: 1"))
		again := dsl.NewSource(sources[1].Name, sources[1].Bytes)
		return dsl.Diagnostics{
			{Severity: dsl.Info, Code: dsl.CodeGap, Message: "nowhere"},
			{Severity: dsl.Warning, Range: dsl.Range{Source: elsewhere, Start: 3, End: 4}, Code: dsl.CodeGap, Message: "elsewhere"},
			{Range: dsl.Range{Source: again, Start: 12, End: 14}, Code: dsl.CodeGap, Message: "in a copy", Notes: []string{"why"}, Help: "write more"},
		}
	}}
	session(t, opts, `{}`, map[string]string{"b.yaml": budget}, func(c *client) {
		c.open("a.yaml", policy)
		c.rest()
		expectLines(t, "found", c.findings(), "a.yaml v1 0:0-0:0 RD206 nowhere", "a.yaml v1 0:0-0:0 RD206 elsewhere.yaml:1:4: elsewhere",
			"b.yaml 0:12-0:14 RD206 in a copy\nnote: why\nhelp: write more")
	})
}

func TestFindingsCarrySeverityAndOtherPlaces(t *testing.T) {
	text := head + "classify:\n  - {id: a, when: err.timeout, class: AUTH}\n  - {id: a, when: err.timeout, class: AUTH}\n"
	for capabilities, want := range map[string]int{`{}`: 0, `{"textDocument": {"publishDiagnostics": {"relatedInformation": true}}}`: 1} {
		session(t, lsp.Options{}, capabilities, nil, func(c *client) {
			c.open("a.yaml", text)
			c.rest()
			d := c.said("textDocument/publishDiagnostics")["diagnostics"].([]any)[0].(map[string]any)
			if d["severity"] != 1.0 || d["source"] != "redress-lint" || d["code"] != "RD012" {
				t.Errorf("it is %v", d)
			}
			related, _ := d["relatedInformation"].([]any)
			if len(related) != want {
				t.Fatalf("with %s there are %d related places", capabilities, len(related))
			}
			if want > 0 {
				at := related[0].(map[string]any)["location"].(map[string]any)
				if at["uri"] != c.uri("a.yaml") || spanOf(at["range"]) != "4:9-4:10" {
					t.Errorf("the other place is %v", at)
				}
			}
		})
	}
}

func TestTheSameSessionSaysTheSame(t *testing.T) {
	files := map[string]string{"a.yaml": policy + "retry: {max_atempts: 3}\n", "b.yaml": "kind: x", "c.yaml": budget + "x: 1\n", "sub/d.yaml": budget}
	var first []string
	for range 5 {
		session(t, lsp.Options{}, `{}`, files, func(c *client) {
			c.open("a.yaml", files["a.yaml"])
			c.open("c.yaml", files["c.yaml"])
			c.rest()
			got := c.findings()
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) {
				t.Errorf("it says\n%q\nand once said\n%q", got, first)
			}
		})
	}
}

func TestProtocolMistakesAreAnsweredAndTheSessionGoesOn(t *testing.T) {
	for _, test := range []struct {
		name, body, want string
	}{
		{"no JSON", `{"jsonrpc": "2.0", "id": 7, `, "<nil> -32700"},
		{"nothing", ``, "<nil> -32700"},
		{"bytes that are no text", "\xff\xfe\x00", "<nil> -32700"},
		{"a batch", `[]`, "<nil> -32600"},
		{"a number", `1`, "<nil> -32600"},
		{"another version", `{"jsonrpc": "1.0", "id": 7, "method": "shutdown"}`, "7 -32600"},
		{"no version", `{"id": 7, "method": "shutdown"}`, "7 -32600"},
		{"an id that is a mapping", `{"jsonrpc": "2.0", "id": {}, "method": "shutdown"}`, "<nil> -32600"},
		{"an id that is a fraction", `{"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"}`, "<nil> -32600"},
		{"an id that is null", `{"jsonrpc": "2.0", "id": null, "method": "shutdown"}`, "<nil> -32600"},
		{"neither method nor id", `{"jsonrpc": "2.0"}`, "<nil> -32600"},
		{"a method that is no text", `{"jsonrpc": "2.0", "id": 7, "method": 7}`, "<nil> -32600"},
		{"an unknown method", `{"jsonrpc": "2.0", "id": "seven", "method": "textDocument/rename"}`, "seven -32601"},
		{"formatting that is not offered", `{"jsonrpc": "2.0", "id": 7, "method": "textDocument/formatting", "params": {}}`, "7 -32601"},
		{"no params", `{"jsonrpc": "2.0", "id": 7, "method": "textDocument/hover"}`, "7 -32602"},
		{"params of another kind", `{"jsonrpc": "2.0", "id": 7, "method": "textDocument/hover", "params": []}`, "7 -32602"},
		{"a line below 0", `{"jsonrpc": "2.0", "id": 7, "method": "textDocument/hover", "params": {"position": {"line": -1}}}`, "7 -32602"},
		{"a document that is not open", `{"jsonrpc": "2.0", "id": 7, "method": "textDocument/hover", "params": {"textDocument": {"uri": "file:///x"}}}`, "7 -32602"},
		{"initialize again", `{"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": {}}`, "7 -32600"},
		{"a change of what is not open", `{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///x"}}}`, "logged"},
		{"the end of what is not open", `{"jsonrpc": "2.0", "method": "textDocument/didClose", "params": {"textDocument": {"uri": "file:///x"}}}`, "logged"},
		{"a notification without params", `{"jsonrpc": "2.0", "method": "textDocument/didOpen"}`, "logged"},
		{"an error of the client", `{"jsonrpc": "2.0", "id": "redress-1", "error": {"code": 1, "message": "no"}}`, "logged"},
		{"an unknown notification", `{"jsonrpc": "2.0", "method": "$/setTrace", "params": {}}`, ""},
		{"a cancellation of nothing", `{"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 99}}`, ""},
		{"a message that is too large", `{"jsonrpc": "2.0", "id": 7, "method": "shutdown", "params": "` + strings.Repeat("x", 16<<20) + `"}`, "<nil> -32600"},
	} {
		t.Run(test.name, func(t *testing.T) {
			session(t, lsp.Options{}, `{}`, nil, func(c *client) {
				c.body(test.body)
				synctest.Wait()
				got := ""
				if c.said("window/logMessage") != nil {
					got = "logged"
				}
				if m := c.take(func(m map[string]any) bool { return m["error"] != nil }); m != nil {
					got = fmt.Sprintf("%v %.0f", m["id"], m["error"].(map[string]any)["code"])
				}
				if got != test.want {
					t.Errorf("the answer is %q, want %q", got, test.want)
				}
				c.open("a.yaml", policy)
				if c.result("textDocument/hover", c.place("a.yaml", 1, 1)) == nil {
					t.Error("then nothing is answered any more")
				}
			})
		})
	}
}

func TestHeadersOfAnyCaseAndOrderAreRead(t *testing.T) {
	session(t, lsp.Options{}, `{}`, nil, func(c *client) {
		const body = `{"jsonrpc":"2.0","id":"x","method":"textDocument/nothing"}`
		c.raw(fmt.Sprintf("Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length:%d\r\n\r\n%s", len(body), body))
		synctest.Wait()
		if m := c.take(func(m map[string]any) bool { return m["id"] == "x" }); m == nil {
			t.Error("there is no answer")
		}
	})
}

func TestBeforeInitializeAndAfterShutdownNothingIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := start(t, t.Context(), t.TempDir(), lsp.Options{})
		code := func(method string) string {
			fail, _ := c.request(method, `{}`)["error"].(map[string]any)
			return fmt.Sprintf("%.0f", fail["code"])
		}
		c.open("a.yaml", policy) // passed over
		if got := code("textDocument/hover"); got != "-32002" {
			t.Errorf("before initialize: %s", got)
		}
		if got := code("textDocument/nothing"); got != "-32002" {
			t.Errorf("an unknown method before initialize: %s", got)
		}
		c.result("initialize", `{}`)
		c.rest()
		expectLines(t, "what was opened too early", c.findings())
		c.result("shutdown", "null")
		if got := code("textDocument/hover"); got != "-32600" {
			t.Errorf("after shutdown: %s", got)
		}
		c.notify("exit", "null")
		<-c.done
		if c.code != 0 || c.err != nil {
			t.Errorf("it ends with %d, %v", c.code, c.err)
		}
	})
}

func TestTheExitCodeIsThatOfLSP(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(c *client, cancel func())
		code int
		err  string
	}{
		{"exit without shutdown", func(c *client, _ func()) { c.notify("exit", "null") }, 1, ""},
		{"the end of the input", func(c *client, _ func()) { c.in.Close() }, 1, ""},
		{"the end of the input after shutdown", func(c *client, _ func()) { c.result("shutdown", "null"); c.in.Close() }, 0, ""},
		{"the end of the context", func(c *client, cancel func()) { cancel() }, 1, ""},
		{"the end of the input within a message", func(c *client, _ func()) { c.raw("Content-Length: 5\r\n\r\n{"); c.in.Close() }, 1, "the input ends within a message"},
		{"the end of the input within a header", func(c *client, _ func()) { c.raw("Content-Le"); c.in.Close() }, 1, "the input ends within a message"},
		{"no header", func(c *client, _ func()) { c.raw("hello\r\n") }, 1, `the header "hello" is no header; a Content-Length belongs before every message`},
		{"a length that is none", func(c *client, _ func()) { c.raw("Content-Length: -1\r\n") }, 1, `the Content-Length "-1" is no length`},
		{"a header without an end", func(c *client, _ func()) { c.in.Write([]byte(strings.Repeat("x", 1<<14))) }, 1, "the header is larger than 8192 bytes"},
		{"a broken input", func(c *client, _ func()) { c.in.CloseWithError(errors.New("unplugged")) }, 1, "unplugged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				c := start(t, ctx, t.TempDir(), lsp.Options{})
				c.result("initialize", `{}`)
				c.open("a.yaml", policy)
				test.end(c, cancel)
				<-c.done
				got := ""
				if c.err != nil {
					got = c.err.Error()
				}
				if c.code != test.code || got != test.err {
					t.Errorf("it ends with %d, %q; want %d, %q", c.code, got, test.code, test.err)
				}
			})
		})
	}
}

func TestAnOutputThatBreaksEndsTheSession(t *testing.T) {
	in, client := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := lsp.Serve(t.Context(), in, brokenWriter{}, lsp.Options{})
		in.Close()
		done <- err
	}()
	const body = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`
	fmt.Fprintf(client, "Content-Length: %d\r\n\r\n%s", len(body), body)
	if err := <-done; err == nil || err.Error() != "gone" {
		t.Errorf("it ends with %v", err)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

// outcome says in a word how a request was answered.
func (c *client) outcome(id int) string {
	answer := c.answer(id)
	if answer == nil {
		return "none"
	}
	if fail, ok := answer["error"].(map[string]any); ok {
		return fmt.Sprintf("%.0f", fail["code"])
	}
	return "answered"
}

func TestACancelledRequestIsAnsweredAsThat(t *testing.T) {
	var release chan bool
	opts := lsp.Options{Envelope: func([]*dsl.Source, string) string { <-release; return "at most 6 attempts" }}
	session(t, opts, `{}`, nil, func(c *client) {
		release = make(chan bool)
		c.open("a.yaml", policy)
		name := c.place("a.yaml", 2, 8)
		running, waiting, last := c.ask("textDocument/hover", name), c.ask("textDocument/hover", name), c.ask("textDocument/hover", name)
		for _, id := range []int{waiting, running} {
			c.notify("$/cancelRequest", fmt.Sprintf(`{"id": %d}`, id))
		}
		synctest.Wait()
		if got := c.outcome(running) + " " + c.outcome(waiting) + " " + c.outcome(last); got != "-32800 -32800 none" {
			t.Errorf("of a job that runs, one that waits and one behind them: %s", got)
		}
		if c.result("textDocument/hover", c.place("a.yaml", 1, 1)) == nil {
			t.Error("while a job runs nothing else is answered")
		}
		release <- true
		release <- true
		synctest.Wait()
		if got := c.outcome(running) + " " + c.outcome(last); got != "none answered" {
			t.Errorf("then of the first and the last: %s", got)
		}
	})
}

func TestAnIdThatWaitsForItsAnswerCannotBeUsedAgain(t *testing.T) {
	var release chan bool
	opts := lsp.Options{Envelope: func([]*dsl.Source, string) string { <-release; return "" }}
	session(t, opts, `{}`, nil, func(c *client) {
		release = make(chan bool)
		c.open("a.yaml", policy)
		id := c.ask("textDocument/hover", c.place("a.yaml", 2, 8))
		c.sent--
		c.ask("textDocument/hover", c.place("a.yaml", 2, 8))
		synctest.Wait()
		if got := c.outcome(id); got != "-32600" {
			t.Errorf("the answer is %v", got)
		}
		release <- true
	})
}

func TestFormattingEditsWhatDiffers(t *testing.T) {
	var release chan bool
	opts := lsp.Options{Format: func(name string, text []byte) ([]byte, error) {
		<-release
		if strings.Contains(string(text), "broken") {
			return nil, errors.New("it is broken")
		}
		return []byte(strings.ReplaceAll(string(text), ":  ", ": ")), nil
	}}
	session(t, opts, `{}`, nil, func(c *client) {
		release = make(chan bool, 9)
		release <- true
		c.open("a.yaml", policy+"owner:  \"🧨\"  # é\r\nx-last: 1\r\n")
		edits := c.result("textDocument/formatting", c.document("a.yaml")).([]any)
		if len(edits) != 1 || spanOf(edits[0].(map[string]any)["range"]) != "5:0-5:7" || edits[0].(map[string]any)["newText"] != "owner:" {
			t.Errorf("the edits are %v", edits)
		}
		release <- true
		c.change("a.yaml", 2, policy)
		if edits := c.result("textDocument/formatting", c.document("a.yaml")).([]any); len(edits) != 0 {
			t.Errorf("nothing differs, and the edits are %v", edits)
		}
		release <- true
		c.change("a.yaml", 3, policy+"broken")
		if fail, _ := c.request("textDocument/formatting", c.document("a.yaml"))["error"].(map[string]any); fail["code"] != -32803.0 || fail["message"] != "not formatted: it is broken" {
			t.Errorf("it fails with %v", fail)
		}
		id := c.ask("textDocument/formatting", c.document("a.yaml"))
		c.change("a.yaml", 4, policy)
		synctest.Wait()
		release <- true
		synctest.Wait()
		if got := c.outcome(id); got != "-32803" && got != "-32801" {
			t.Errorf("of a text that has changed: %s", got)
		}
		id = c.ask("textDocument/formatting", c.document("a.yaml"))
		c.change("a.yaml", 5, policy+"#")
		synctest.Wait()
		release <- true
		synctest.Wait()
		if got := c.outcome(id); got != "-32801" {
			t.Errorf("of a text that has changed: %s", got)
		}
	})
}

func TestSymbolsAreDocumentsAndRules(t *testing.T) {
	text := policy + "  - {id: declined, when: true, class: PERMANENT}\nvars: {late: remaining < duration(\"1s\")}\nretry:\n  select:\n    - id: give-up\n" +
		"---\n" + budget + "---\napiVersion: redress/v1\nkind: PolicyTest\npolicy: payments-api\ncases:\n  - name: it works\n"
	want := []string{"payments-api Policy 0:0-9:17 2:6-2:18", "  late var 6:7-6:39 6:7-6:11", "  declined PERMANENT 5:4-5:48 5:9-5:17", "  give-up - 9:6-9:17 9:10-9:17",
		"shared Budget 11:0-15:11 13:6-13:12", "payments-api PolicyTest 17:0-21:18 19:8-19:20", "  it works case 21:4-21:18 21:10-21:18"}
	session(t, lsp.Options{}, `{"textDocument": {"documentSymbol": {"hierarchicalDocumentSymbolSupport": true}}}`, nil, func(c *client) {
		c.open("a.yaml", text)
		var got []string
		var list func(symbols []any, indent string)
		list = func(symbols []any, indent string) {
			for _, s := range symbols {
				s := s.(map[string]any)
				detail, ok := s["detail"].(string)
				if !ok {
					detail = "-"
				}
				got = append(got, fmt.Sprintf("%s%v %v %s %s", indent, s["name"], detail, spanOf(s["range"]), spanOf(s["selectionRange"])))
				children, _ := s["children"].([]any)
				list(children, indent+"  ")
			}
		}
		list(c.result("textDocument/documentSymbol", c.document("a.yaml")).([]any), "")
		expectLines(t, "a tree", got, want...)
	})
	session(t, lsp.Options{}, `{}`, nil, func(c *client) {
		c.open("a.yaml", text)
		var got []string
		for _, s := range c.result("textDocument/documentSymbol", c.document("a.yaml")).([]any) {
			s := s.(map[string]any)
			got = append(got, fmt.Sprintf("%v %v", s["name"], s["containerName"]))
		}
		expectLines(t, "a list", got, "payments-api <nil>", "late payments-api", "declined payments-api", "give-up payments-api", "shared <nil>", "payments-api <nil>", "it works payments-api")
	})
}

func TestQuickFixesAreThoseOfTheFindings(t *testing.T) {
	text := head + "classify:\n  - {id: \"🧨\", when: err.statsu == 429, class: RATE_LIMIT}\n"
	opts := lsp.Options{Check: func(sources []*dsl.Source) dsl.Diagnostics {
		at := strings.Index(string(sources[0].Bytes), "statsu")
		r := dsl.Range{Source: sources[0], Start: at, End: at + 6}
		return dsl.Diagnostics{{Range: r, Code: dsl.CodeUnknownField, Message: "no", Fixes: []dsl.Fix{
			{Title: "write status", Edits: []dsl.Edit{{Range: r, Text: "status"}}}, {Title: "remove it", Edits: []dsl.Edit{{Range: r}}},
		}}}
	}}
	for _, versioned := range []bool{false, true} {
		session(t, opts, `{"workspace": {"workspaceEdit": {"documentChanges": `+fmt.Sprint(versioned)+`}}}`, nil, func(c *client) {
			c.open("a.yaml", text)
			c.rest()
			d := c.said("textDocument/publishDiagnostics")["diagnostics"].([]any)[0].(map[string]any)
			ask := func(d map[string]any, only string) []any {
				return c.result("textDocument/codeAction", fmt.Sprintf(`{"textDocument": {"uri": %q}, "range": %s, "context": {"diagnostics": [%s, {"source": "other", "range": {}, "message": ""}] %s}}`,
					c.uri("a.yaml"), encode(d["range"]), encode(d), only)).([]any)
			}
			actions := ask(d, "")
			if len(actions) != 2 {
				t.Fatalf("there are %d actions", len(actions))
			}
			first := actions[0].(map[string]any)
			want := fmt.Sprintf(`{"changes":{%q:[{"newText":"status","range":%s}]}}`, c.uri("a.yaml"), encode(d["range"]))
			if versioned {
				want = fmt.Sprintf(`{"documentChanges":[{"edits":[{"newText":"status","range":%s}],"textDocument":{"uri":%q,"version":1}}]}`, encode(d["range"]), c.uri("a.yaml"))
			}
			if first["title"] != "write status" || first["kind"] != "quickfix" || first["isPreferred"] != true || encode(first["edit"]) != want {
				t.Errorf("the first is %s\nwant the edit %s", encode(first), want)
			}
			if spanOf(d["range"]) != "4:25-4:31" {
				t.Errorf("it stands at %s", spanOf(d["range"]))
			}
			if got := ask(d, `, "only": ["refactor"]`); len(got) != 0 {
				t.Errorf("as refactorings there are %v", got)
			}
			withoutData := maps.Clone(d)
			delete(withoutData, "data")
			if got := ask(withoutData, ""); len(got) != 2 {
				t.Errorf("to a client that keeps no data there are %v", got)
			}
			c.change("a.yaml", 2, text+"#")
			if got := ask(d, ""); len(got) != 0 {
				t.Errorf("of a text that has changed there are %v", got)
			}
		})
	}
}
