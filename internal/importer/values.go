package importer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// described says what a value is, for errors.
func (n *node) described() string {
	switch n.kind {
	case mapping:
		return "a mapping"
	case list:
		return "a list"
	case textual:
		if n.value == "" {
			return "an empty text"
		}
		return "the text " + plain(n.value)
	}
	return plain(n.value)
}

var decimal = lazyregexp.New(`^[+-]?[0-9]+(\.0+)?$`)

// whole reads an integer of at least least. Quotes do not matter: protobuf's JSON and
// the configuration of Spring and .NET all take them.
func (j *job) whole(n *node, least int64) (int64, bool) {
	if n == nil {
		return 0, false
	}
	digits, _, _ := strings.Cut(n.value, ".")
	x, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case n.kind != numeric && n.kind != textual || !decimal.MatchString(n.value) || err != nil:
		j.fail(n, "%s is a whole number, not %s", plain(n.key), n.described())
	case x < least:
		j.fail(n, "%s is at least %d, not %s", plain(n.key), least, plain(n.value))
	default:
		return x, true
	}
	return 0, false
}

// real reads a number that is above least and not above most.
func (j *job) real(n *node, least, most float64) (float64, bool) {
	if n == nil {
		return 0, false
	}
	x, err := strconv.ParseFloat(n.value, 64)
	switch {
	case n.kind != numeric && n.kind != textual || err != nil || math.IsNaN(x) || math.IsInf(x, 0):
		j.fail(n, "%s is a number, not %s", plain(n.key), n.described())
	case x <= least || x > most:
		j.fail(n, "%s is above %v and at most %v, not %s", plain(n.key), least, most, plain(n.value))
	default:
		return x, true
	}
	return 0, false
}

// truth reads true or false; absent is false.
func (j *job) truth(n *node) bool {
	if n == nil {
		return false
	}
	word := strings.ToLower(n.value)
	if n.kind != boolean && n.kind != textual || word != "true" && word != "false" {
		j.fail(n, "%s is true or false, not %s", plain(n.key), n.described())
	}
	return word == "true"
}

// words reads a scalar as text.
func (j *job) words(n *node) (string, bool) {
	if n == nil {
		return "", false
	}
	if !n.scalar() {
		j.fail(n, "%s is a text, not %s", plain(n.key), n.described())
		return "", false
	}
	return n.value, true
}

// items returns what stands in a list.
func (j *job) items(n *node) []*node {
	if n == nil {
		return nil
	}
	if n.kind != list {
		j.fail(n, "%s is a list, not %s", plain(n.key), n.described())
		return nil
	}
	return n.kids
}

// object returns the node if it is a mapping, nil if it is absent.
func (j *job) object(n *node) *node {
	if n != nil && n.kind != mapping {
		j.fail(n, "%s is an object, not %s", plain(n.key), n.described())
		return nil
	}
	return n
}

// A notation is one way to write durations.
type notation struct {
	form string // an example
	read func(*node) (time.Duration, error)
}

// span reads a duration of at least least.
func (j *job) span(n *node, as notation, least time.Duration) (time.Duration, bool) {
	if n == nil {
		return 0, false
	}
	if !n.scalar() {
		j.fail(n, "%s is a duration such as %s, not %s", plain(n.key), as.form, n.described())
		return 0, false
	}
	d, err := as.read(n)
	switch {
	case err != nil:
		j.fail(n, "%s is a duration such as %s, not %s", plain(n.key), as.form, n.described())
	case d < least && least == 1:
		j.fail(n, "%s is above 0s, not %s", plain(n.key), plain(n.value))
	case d < least:
		j.fail(n, "%s is at least %s, not %s", plain(n.key), short(least), plain(n.value))
	default:
		return d, true
	}
	return 0, false
}

var errNotation = errors.New("another notation")

var protoSeconds = lazyregexp.New(`^-?[0-9]{1,10}(\.[0-9]{1,9})?s$`)

// protoJSON is the notation of google.protobuf.Duration.
var protoJSON = notation{"1.5s", func(n *node) (time.Duration, error) {
	if n.kind != textual || !protoSeconds.MatchString(n.value) {
		return 0, errNotation
	}
	return time.ParseDuration(n.value)
}}

// goLike is the notation of Go, which Kubernetes has too.
var goLike = notation{"250ms, 2s or 1m30s", func(n *node) (time.Duration, error) { return time.ParseDuration(n.value) }}

// short writes a duration without the zeros that Go puts at its end.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// times multiplies a duration, and stops at a day when the product is longer: no call
// takes that long.
func times(d time.Duration, factor float64) time.Duration {
	x := float64(d) * factor
	if !(x < float64(24*time.Hour)) {
		return 24 * time.Hour
	}
	return time.Duration(math.Round(x))
}

// longest is the longest wait that exponential backoff reaches within attempts, in
// whole milliseconds.
func longest(base time.Duration, factor float64, attempts int64) time.Duration {
	return max(rounded(times(base, math.Pow(factor, float64(max(attempts-2, 0))))), base)
}

// rounded is a duration in whole milliseconds, not shorter.
func rounded(d time.Duration) time.Duration {
	if short := d.Truncate(time.Millisecond); short < d {
		return short + time.Millisecond
	}
	return d
}

// capped is an integer that the language can hold.
func capped(x int64) (int64, bool) {
	return min(x, math.MaxInt32), x <= math.MaxInt32
}

func decimalText(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

func counted(x int64, noun string) string {
	if x == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", x, noun)
}
