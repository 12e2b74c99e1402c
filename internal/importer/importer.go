// Package importer turns the failure handling of other systems into redress policies,
// and says of every field of the input what became of it.
//
// The policies load as they are. Where the input is silent and the language is not, the
// value is written out with a comment, and stands among the losses without a path.
package importer

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/redress-policy/redress/dsl"
)

// Status says how much of a field was kept.
type Status string

const (
	// Exact fields mean the same in the policy.
	Exact Status = "exact"
	// Approximated fields became something that behaves differently in places, which
	// the loss says.
	Approximated Status = "approximated"
	// Dropped fields have no part in the policy.
	Dropped Status = "dropped"
)

// worse tells which of two fates of one field is to be reported.
var worse = map[Status]int{Exact: 0, Approximated: 1, Dropped: 2}

// A Loss says what became of one field of the input, or, if Path is empty, of a value
// that the input does not give.
type Loss struct {
	Path   string
	Line   int    // where the field stands; without a path, the line of what needed the value
	Value  string // as it is written; "" for fields that are no failure handling, which may be secrets
	Status Status
	Became string // what it is in the policy, "" if dropped
	Why    string // "" if exact and without anything to say
}

// A Result is one import.
type Result struct {
	YAML   []byte // policies, with comments that say where each value comes from
	Losses []Loss // all fields in the order of the input, then the values that it does not give
}

// Limits of the input. They bound the time and memory that any input can cost.
const (
	maxSize      = 1 << 20 // bytes
	maxDepth     = 64      // mappings and lists within each other
	maxNodes     = 100_000 // values, those that aliases repeat counted again
	maxDocuments = 1_000
	maxErrors    = 20 // that are reported at once
)

// A source is one system that can be imported from.
type source struct {
	name   string
	title  string
	looks  string // what was looked for, when there is nothing
	json   bool   // whether JSON is the only form
	lax    bool   // whether its JSON may have comments and trailing commas
	record bool   // whether its JSON may be what a DNS TXT record holds
	spring bool   // whether it may be a .properties file
	policy func(*job)
}

func sources() []source {
	return []source{
		{name: "envoy", title: "Envoy configuration", policy: importEnvoy,
			looks: "retry_policy (retry_on, num_retries, ...) or timeout of a route, and outlier_detection or circuit_breakers of a cluster, anywhere in the file"},
		{name: "grpc", title: "gRPC service config", json: true, record: true, policy: importGRPC,
			looks: "methodConfig[].retryPolicy, hedgingPolicy or timeout, and retryThrottling"},
		{name: "istio", title: "Istio configuration", policy: importIstio,
			looks: "VirtualService spec.http[].retries or timeout, and DestinationRule spec.trafficPolicy.outlierDetection or connectionPool.http.maxRetries"},
		{name: "polly", title: ".NET configuration", json: true, lax: true, policy: importPolly,
			looks: "options of Polly 8 (MaxRetryAttempts, BackoffType, FailureRatio, ...) or of the standard resilience handler (TotalRequestTimeout, AttemptTimeout, ...), anywhere in the file"},
		{name: "resilience4j", title: "Spring configuration", spring: true, policy: importResilience4j,
			looks: "resilience4j.retry, circuitbreaker or timelimiter with instances or configs"},
	}
}

// Sources returns the names that [Import] takes, sorted.
func Sources() []string {
	var names []string
	for _, s := range sources() {
		names = append(names, s.name)
	}
	slices.Sort(names)
	return names
}

// Import reads the configuration of the system named from. fileName is for messages and
// comments, and names what has no name of its own; the file is not opened. Errors begin
// with the file, the line and the column where these are known.
func Import(from, fileName string, text []byte) (*Result, error) {
	all := sources()
	i := slices.IndexFunc(all, func(s source) bool { return s.name == from })
	if i < 0 {
		return nil, fmt.Errorf("unknown source %q; one of %s", from, strings.Join(Sources(), ", "))
	}
	r := &reader{file: plain(fileName), json: all[i].json, lax: all[i].lax, record: all[i].record}
	r.properties = all[i].spring && strings.EqualFold(path.Ext(fileName), ".properties")
	root, err := r.read(text)
	if err != nil {
		return nil, err
	}
	j := &job{source: all[i], file: r.file, root: root, taken: map[string]bool{}, noted: map[Loss]bool{}}
	all[i].policy(j)
	return j.finish()
}

// A job is one import under way.
type job struct {
	source
	file  string
	root  *node // a mapping, the list of the documents of the file, or of the choices of a DNS record
	docs  []document
	gaps  []Loss          // values that the input does not give
	noted map[Loss]bool   // all gaps
	taken map[string]bool // kind and name of documents
	errs  []error
}

// fail notes an error at a value of the input.
func (j *job) fail(n *node, format string, args ...any) {
	if len(j.errs) < maxErrors {
		j.errs = append(j.errs, fmt.Errorf("%s:%d:%d: %s", j.file, n.line, n.column, fmt.Sprintf(format, args...)))
	}
}

func (j *job) finish() (*Result, error) {
	if len(j.errs) > 0 {
		return nil, errors.Join(j.errs...)
	}
	if len(j.docs) == 0 {
		return nil, fmt.Errorf("%s: nothing to import as %s: looked for %s", j.file, j.title, j.looks)
	}
	slices.SortStableFunc(j.gaps, func(a, b Loss) int { return a.Line - b.Line })
	result := &Result{YAML: j.write(), Losses: append(j.root.losses(), j.gaps...)}
	// What is written here must load. That it does not can only be a mistake of this
	// package, or more policies than a file may hold.
	_, found := dsl.ParseSet([]*dsl.Source{dsl.NewSource(j.file, result.YAML)})
	if found.HasErrors() {
		return nil, fmt.Errorf("%s: cannot be written as one file of policies: %w", j.file, found.Err())
	}
	return result, nil
}

// stem names what has no name in the input, after its file.
func (j *job) stem() string {
	base := path.Base(strings.ReplaceAll(j.file, `\`, "/"))
	if name := legalName(strings.TrimSuffix(base, path.Ext(base))); name != "" {
		return name
	}
	return j.name
}
