package redressdebug

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/proof"
)

// chromium opens url in a browser without a window; more says what it does then. It
// returns what the browser printed and what it logged.
func chromium(t *testing.T, url string, more ...string) (out, log string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		proof.Missing(t, "chromium is not installed: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(),
	}, more...)
	cmd := exec.CommandContext(ctx, path, append(args, url)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	printed, err := cmd.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, stderr.String())
	}
	return string(printed), stderr.String()
}

func TestABrowserShowsThePage(t *testing.T) {
	w := newWorld(t, Options{})
	w.call("payments", "payments.charge", returns(nil))
	w.call("payments", "payments.<b>refund</b>", returns(errors.New("slow down")))
	for range 3 {
		w.call("payments", "payments.charge", returns(redress.ServerFault(errors.New("down"))))
	}
	server := httptest.NewServer(w.page)
	defer server.Close()
	dom, log := chromium(t, server.URL+"/debug/redress", "--dump-dom")
	for _, part := range []string{
		`<span class="mark open">open</span>`,
		`<td class="CIRCUIT_OPEN">CIRCUIT_OPEN</td>`,
		"payments payments.charge: CIRCUIT_OPEN after 0 attempts",
		"RATE_LIMIT by rule throttled",
		"payments.&lt;b&gt;refund&lt;/b&gt;",
		"<code>" + w.set.MustPolicy("payments").Revision() + "</code>",
	} {
		if !strings.Contains(dom, part) {
			t.Errorf("the page does not show %q", part)
		}
	}
	if strings.Contains(log, "Content Security Policy") {
		t.Errorf("the browser refuses a part of the page:\n%s", log)
	}
	if file := os.Getenv("REDRESS_TEST_SCREENSHOT"); file != "" {
		chromium(t, server.URL, "--window-size=1200,1600", "--screenshot="+file)
	}
}
