package engine

import (
	"net/http"
	"strings"
	"time"
)

// maxRetryAfter bounds what a server can ask for. It is far beyond any deadline, and
// far from where durations overflow.
const maxRetryAfter = 365 * 24 * time.Hour

// ParseRetryAfter reads the value of a Retry-After header, RFC 9110 section 10.2.3:
// a number of seconds, or an HTTP date in any of the three forms of section 5.6.7,
// counted from now. White space around the value is passed over. A date in the past
// is no wait at all; more than a year is a year. Anything else is refused, and so is
// a date when now is the zero time: ok is false.
func ParseRetryAfter(value string, now time.Time) (after time.Duration, ok bool) {
	value = strings.Trim(value, " \t")
	if seconds, ok := parseSeconds(value); ok {
		return seconds, true
	}
	date, ok := parseDate(value)
	if !ok || now.IsZero() {
		return 0, false
	}
	// Sub saturates where a duration would overflow.
	return min(max(date.Sub(now), 0), maxRetryAfter), true
}

// parseSeconds reads 1*DIGIT. Digits past maxRetryAfter are read, not added.
func parseSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	total := time.Duration(0)
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if total < maxRetryAfter {
			total = total*10 + time.Duration(c-'0')*time.Second
		}
	}
	return min(total, maxRetryAfter), true
}

func parseDate(s string) (time.Time, bool) {
	if s == "" {
		return time.Time{}, false
	}
	date, err := http.ParseTime(s)
	return date, err == nil
}
