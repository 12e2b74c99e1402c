package redress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redress-policy/redress"
)

// watched follows a source that has the policy p with two attempts.
func watched(t *testing.T, source *scripted, every time.Duration) (*redress.LiveSet, *heard) {
	t.Helper()
	told := &heard{}
	source.set("p.yaml", policyOf("p", 2))
	set, err := redress.Watch(t.Context(), source, redress.Every(every), redress.WithPolicyObserver(told))
	if err != nil {
		t.Fatal(err)
	}
	return set, told
}

// before has f called before every read from now on.
func (s *scripted) before(f func(reads int, files map[string]string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each = f
}

func TestFailuresThatDifferInNumbersAreOneAndAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		set, told := watched(t, source, time.Minute)
		source.before(func(reads int, _ map[string]string) {
			source.err = fmt.Errorf("read tcp 127.0.0.1:%d->127.0.0.1:6379: i/o timeout", 50000+reads)
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if err := set.Status().Err; err == nil || !strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("Status.Err = %v", err)
		}
		if got := strings.Count(told.take(), "policy_reload_failed"); got != 1 {
			t.Errorf("told %d times, want once", got)
		}
		if source.reads > 30 {
			t.Errorf("read %d times in 10 minutes", source.reads)
		}
		_, err := redress.Watch(t.Context(), source)
		if err == nil || !strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("the first load: %v", err)
		}
	})
}

func TestASourceThatNeverSettlesIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		set, told := watched(t, source, time.Minute)
		source.before(func(reads int, files map[string]string) { files["p.yaml"] = policyOf("p", reads) })
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if err := set.Status().Err; err == nil || !strings.Contains(err.Error(), "does not settle") {
			t.Errorf("Status.Err = %v", err)
		}
		if got := strings.Count(told.take(), "policy_reload_failed"); got != 1 {
			t.Errorf("told %d times, want once", got)
		}
		if got := attempts(t, set.MustPolicy("p")); got != 2 {
			t.Errorf("%d attempts, want 2", got)
		}
	})
}

// A panicking source does so whenever it is asked for something.
type panicking struct {
	scripted
	reads bool
}

func (p *panicking) Read(ctx context.Context) (redress.Snapshot, error) {
	if p.reads {
		panic("no file")
	}
	return p.scripted.Read(ctx)
}

func (p *panicking) Notify(context.Context, func()) error { panic("no watch") }

func TestASourceThatPanicsEndsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &panicking{}
		source.set("p.yaml", policyOf("p", 2))
		set, err := redress.Watch(t.Context(), redress.Layers(redress.Layer{Name: "one", Source: source}), redress.Every(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := set.Status().Notify; err == nil || !strings.Contains(err.Error(), "no watch") {
			t.Errorf("Status.Notify = %v", err)
		}
		source.reads = true
		if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "no file") {
			t.Errorf("Reload = %v", err)
		}
		source.reads = false
		if err := set.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestLayersOfWhichNoneTellsOfChangesHaveNotStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		source.set("p.yaml", policyOf("p", 2))
		set, err := redress.Watch(t.Context(), redress.Layers(redress.Layer{Name: "one", Source: source}))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := set.Status().Notify; err != nil {
			t.Errorf("Status.Notify = %v", err)
		}
	})
}

const incident = "apiVersion: redress/v1\nkind: Override\nname: %s\npolicy: p\nexpires: %s\nset: {mode: off}\n"

func TestAnOverrideExpiresAlsoWhileTheSourceIsBroken(t *testing.T) {
	for name, trouble := range map[string]func(*scripted){
		"it cannot be read":   func(s *scripted) { s.fail(errors.New("gone")) },
		"it has a bad file":   func(s *scripted) { s.set("bad.yaml", "kind: Polcy\n") },
		"it has no file":      func(s *scripted) { s.set("p.yaml", ""); s.set("now.yaml", "") },
		"nothing has changed": func(*scripted) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which begins in 2000
				source := &scripted{}
				source.set("now.yaml", fmt.Sprintf(incident, "now", "2000-01-01"))
				set, _ := watched(t, source, time.Minute)
				trouble(source)
				time.Sleep(23 * time.Hour)
				if got := attempts(t, set.MustPolicy("p")); got != 1 {
					t.Errorf("%d attempts before, want 1", got)
				}
				time.Sleep(time.Hour + 2*time.Minute)
				synctest.Wait()
				if got := attempts(t, set.MustPolicy("p")); got != 2 {
					t.Errorf("%d attempts after it has expired, want 2", got)
				}
				if err := set.Status().Err; (err != nil) != (name != "nothing has changed") {
					t.Errorf("Status.Err = %v", err)
				}
			})
		})
	}
}

func TestAnOverrideExpiresInTimeHoweverSeldomTheSourceIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		source.set("now.yaml", fmt.Sprintf(incident, "now", "2000-01-01T12:00:00Z"))
		set, _ := watched(t, source, 1000*time.Hour)
		time.Sleep(12*time.Hour + time.Second)
		synctest.Wait()
		if got := attempts(t, set.MustPolicy("p")); got != 2 {
			t.Errorf("%d attempts after it has expired, want 2", got)
		}
	})
}

func TestARefusedSetIsTakenOnceAnOverrideOfItHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &scripted{}
		set, _ := watched(t, source, time.Minute)
		source.set("p.yaml", policyOf("p", 4))
		source.set("one.yaml", fmt.Sprintf(incident, "one", "2000-01-01"))
		source.set("two.yaml", fmt.Sprintf(incident, "two", "2000-01-02"))
		if err := set.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "overridden twice") {
			t.Fatalf("Reload = %v", err)
		}
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		if err := set.Status().Err; err != nil {
			t.Errorf("after one has expired: %v", err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := attempts(t, set.MustPolicy("p")); got != 4 {
			t.Errorf("%d attempts after both have expired, want 4", got)
		}
	})
}

func TestAnHTTPSourceIsNotRedirectedToWhereItIsNotHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, policyOf("p", 2)) }))
	defer plain.Close()
	server := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	_, err := redress.Watch(t.Context(), &redress.HTTPSource{URL: server.URL, Client: server.Client()}, redress.Settle(0))
	if err == nil || !strings.Contains(err.Error(), "not https") {
		t.Errorf("got %v", err)
	}
}

func TestAnHTTPSourceTellsNoQueryOfItsURL(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, policyOf("p", 2))
	}))
	defer server.Close()
	defer server.Client().CloseIdleConnections()
	source := &redress.HTTPSource{URL: server.URL + "/p.yaml?signature=secret", Client: server.Client()}
	set, err := redress.Watch(t.Context(), source, redress.Every(time.Hour), redress.Settle(0))
	if err != nil {
		t.Fatal(err)
	}
	if from := set.Status().From; from != server.URL+"/p.yaml?..." {
		t.Errorf("From is %q", from)
	}
	status = http.StatusTeapot
	answered := set.Reload(t.Context())
	server.Close()
	for _, err := range []error{answered, set.Reload(t.Context())} {
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "/p.yaml?...") {
			t.Errorf("got %v", err)
		}
	}
}

// A silent server is one that takes a request and never answers.
type silent struct{}

func (silent) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestAnHTTPSourceWithoutAClientDoesNotWaitForEver(t *testing.T) {
	was := http.DefaultClient.Transport
	http.DefaultClient.Transport = silent{}
	defer func() { http.DefaultClient.Transport = was }()
	synctest.Test(t, func(t *testing.T) {
		_, err := redress.Watch(t.Context(), &redress.HTTPSource{URL: "https://policies.example"})
		if err == nil || !strings.Contains(err.Error(), "Timeout") && !strings.Contains(err.Error(), "deadline") {
			t.Errorf("got %v", err)
		}
	})
}
