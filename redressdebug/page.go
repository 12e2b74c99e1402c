package redressdebug

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/engine"
)

// Options are what a page may be told. The zero Options are the defaults.
type Options struct {
	// Errors has the page show the texts of errors. They may hold whatever a dependency,
	// or the program, put into them.
	Errors bool
}

// A Page observes calls and shows what it knows over HTTP, as a page for people or as
// JSON (?format=json, or Accept: application/json). It remembers why the last 1,000 calls
// ended and the story of the last 50 that failed, at most five of the same policy for
// the same reason. It is safe for use by many goroutines.
type Page struct {
	options Options
	history history

	mu   sync.Mutex
	sets []Policies // guarded by mu
}

var (
	_ redress.CallObserver = (*Page)(nil)
	_ http.Handler         = (*Page)(nil)
)

// New returns a page that shows no set yet.
func New(options Options) *Page { return &Page{options: options} }

// Policies is a set of policies: a [redress.Set], or something that stands for one.
type Policies interface {
	Names() []string
	Policy(name string) (*redress.Policy, error)
}

// Watch has the page show the policies of set, as they are whenever it is asked.
func (p *Page) Watch(set Policies) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets = append(p.sets, set)
}

// A report is all that the page shows.
type report struct {
	Time     time.Time      `json:"time"`
	Policies []policyState  `json:"policies"`
	Breakers []breakerState `json:"breakers"`
	Budgets  []budgetState  `json:"budgets"`
	Calls    int            `json:"calls"` // how many ends_of_calls add up
	Ends     []endCount     `json:"ends_of_calls"`
	Failures []failure      `json:"failures"` // latest first
}

type policyState struct {
	Name           string   `json:"name"`
	Revision       string   `json:"revision"`
	Operations     []string `json:"operations"`
	MaxAttempts    int      `json:"max_attempts"`
	Deadline       float64  `json:"deadline_seconds"`
	AttemptTimeout float64  `json:"attempt_timeout_seconds"` // 0 means none
	Breaker        string   `json:"breaker"`
	Budget         string   `json:"budget"`
	RuleErrors     uint64   `json:"rule_errors"`
	Faults         uint64   `json:"faults"`
}

type breakerState struct {
	Name             string   `json:"name"`
	Policies         []string `json:"policies"`
	State            string   `json:"state"`
	FailureThreshold int      `json:"failure_threshold"`
	Window           float64  `json:"window_seconds"`
	RecoveryTimeout  float64  `json:"recovery_timeout_seconds"`
	Open             float64  `json:"open_seconds"`      // so far
	HalfOpen         float64  `json:"half_open_seconds"` // so far
}

type budgetState struct {
	Name       string   `json:"name"`
	Policies   []string `json:"policies"`
	Remaining  int      `json:"remaining"`
	MaxRetries int      `json:"max_retries"`
	Window     float64  `json:"window_seconds"`
}

type endCount struct {
	Policy     string    `json:"policy"`
	Operation  string    `json:"operation"`
	StopReason string    `json:"stop_reason"`
	Count      int       `json:"count"`
	Last       time.Time `json:"last"`
}

func (p *Page) report(now time.Time) *report {
	r := &report{Time: now, Policies: []policyState{}, Breakers: []breakerState{}, Budgets: []budgetState{}}
	breakers, budgets := map[*engine.Breaker]int{}, map[*engine.Budget]int{}
	for _, policy := range p.policies() {
		r.addPolicy(policy)
		if b := policy.Breaker(); b != nil {
			at, known := breakers[b]
			if !known {
				at = len(r.Breakers)
				breakers[b] = at
				r.Breakers = append(r.Breakers, stateOfBreaker(b, now))
			}
			r.Breakers[at].Policies = append(r.Breakers[at].Policies, policy.Name())
		}
		if b := policy.Budget(); b != nil {
			at, known := budgets[b]
			if !known {
				at = len(r.Budgets)
				budgets[b] = at
				r.Budgets = append(r.Budgets, stateOfBudget(b, now))
			}
			r.Budgets[at].Policies = append(r.Budgets[at].Policies, policy.Name())
		}
	}
	p.history.tell(r)
	return r
}

func (p *Page) policies() []*redress.Policy {
	p.mu.Lock()
	sets := slices.Clone(p.sets)
	p.mu.Unlock()
	var all []*redress.Policy
	for _, set := range sets {
		for _, name := range set.Names() {
			if policy, err := set.Policy(name); err == nil { // a set may change between its two answers
				all = append(all, policy)
			}
		}
	}
	return all
}

func (r *report) addPolicy(p *redress.Policy) {
	spec, stats := p.Spec(), p.Stats()
	state := policyState{
		Name: p.Name(), Revision: p.Revision(), Operations: append([]string{}, spec.Operations...),
		MaxAttempts: spec.MaxAttempts, Deadline: spec.Deadline.Seconds(), AttemptTimeout: spec.AttemptTimeout.Seconds(),
		RuleErrors: stats.RuleErrors,
		Faults:     stats.RulePanics + stats.StrategyFaults + stats.HookPanics + stats.ObserverPanics + stats.LostOperations,
	}
	if b := p.Breaker(); b != nil {
		state.Breaker = b.Name()
	}
	if b := p.Budget(); b != nil {
		state.Budget = b.Name()
	}
	r.Policies = append(r.Policies, state)
}

func stateOfBreaker(b *engine.Breaker, now time.Time) breakerState {
	spec := b.Spec()
	open, halfOpen := b.Times(now)
	return breakerState{
		Name: b.Name(), State: b.State().String(), FailureThreshold: spec.FailureThreshold,
		Window: spec.Window.Seconds(), RecoveryTimeout: spec.RecoveryTimeout.Seconds(),
		Open: open.Seconds(), HalfOpen: halfOpen.Seconds(),
	}
}

func stateOfBudget(b *engine.Budget, now time.Time) budgetState {
	spec := b.Spec()
	return budgetState{Name: b.Name(), Remaining: b.Remaining(now), MaxRetries: spec.MaxRetries, Window: spec.Window.Seconds()}
}

// tell adds the history to a report.
func (h *history) tell(r *report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	type key struct {
		policy, operation string
		reason            engine.StopReason
	}
	counts := map[key]*endCount{}
	for i := range h.ends {
		e := &h.ends[i]
		k := key{e.policy, e.operation, e.reason}
		if counts[k] == nil {
			counts[k] = &endCount{Policy: e.policy, Operation: e.operation, StopReason: e.reason.String()}
		}
		counts[k].Count++
		if e.time.After(counts[k].Last) {
			counts[k].Last = e.time
		}
	}
	r.Calls, r.Ends = len(h.ends), []endCount{}
	for _, c := range counts {
		r.Ends = append(r.Ends, *c)
	}
	slices.SortFunc(r.Ends, func(a, b endCount) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Operation, b.Operation), cmp.Compare(b.Count, a.Count), cmp.Compare(a.StopReason, b.StopReason))
	})
	r.Failures = append([]failure{}, h.failures...)
	slices.Reverse(r.Failures)
}

// ServeHTTP shows the page. It answers GET and HEAD.
func (p *Page) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Vary", "Accept")
	header.Set("X-Content-Type-Options", "nosniff")
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "the page can only be read", http.StatusMethodNotAllowed)
		return
	}
	asJSON, known := wantsJSON(request)
	if !known {
		http.Error(w, "format is json or html", http.StatusBadRequest)
		return
	}
	var body bytes.Buffer
	kind := "text/html; charset=utf-8"
	write := func(r *report) error { return page.Execute(&body, r) }
	if asJSON {
		kind = "application/json"
		encoder := json.NewEncoder(&body)
		encoder.SetIndent("", "  ")
		write = func(r *report) error { return encoder.Encode(r) }
	}
	if err := write(p.report(time.Now())); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	header.Set("Content-Type", kind)
	header.Set("Content-Security-Policy", security)
	_, _ = w.Write(body.Bytes()) // a reader that has gone needs no answer
}

// wantsJSON goes by the format that was named, and else by what is accepted first.
func wantsJSON(request *http.Request) (yes, known bool) {
	switch request.URL.Query().Get("format") {
	case "json":
		return true, true
	case "html":
		return false, true
	case "":
		accept := request.Header.Get("Accept")
		at := strings.Index(accept, "application/json")
		html := strings.Index(accept, "text/html")
		return at >= 0 && (html < 0 || at < html), true
	}
	return false, false
}

//go:embed page.html
var pageText string

//go:embed page.css
var style string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"seconds": func(s float64) string {
		d := time.Duration(s * float64(time.Second))
		if d >= time.Second {
			d = d.Round(10 * time.Millisecond)
		} else {
			d = d.Round(10 * time.Microsecond)
		}
		return d.String()
	},
	"clock": func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	"style": func() template.CSS { return template.CSS(style) },
	"join":  func(list []string) string { return strings.Join(list, ", ") },
}).Parse(pageText))

// security lets the page load nothing and run nothing; its own style is known by its hash.
var security = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()
