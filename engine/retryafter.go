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

// longestOf reads a Retry-After header that was sent more than once, each time with a
// number of seconds, which RFC 9110 does not allow: the longest is safe.
func longestOf(values string) (after time.Duration, ok bool) {
	for value := range strings.SplitSeq(values, ",") {
		seconds, valid := parseSeconds(strings.Trim(value, " \t"))
		if !valid {
			return 0, false
		}
		after = max(after, seconds)
	}
	return after, true
}

// rateLimitReset returns when a quota that is used up will be renewed, as the rate limit
// fields of an answer say: draft-ietf-httpapi-ratelimit-headers, in the forms that its
// versions gave them and that servers send,
//
//	RateLimit-Remaining: 0, RateLimit-Reset: 30     up to version 06
//	RateLimit: limit=100, remaining=0, reset=30     version 07
//	RateLimit: "minute";r=0;t=30, "day";r=500;t=900 from version 08 on
//
// with seconds from now, and the longest of several quotas that are used up. What says
// anything else, or that something remains, is no hint. Fields beginning with X- are
// not read: some count seconds, others are dates.
func rateLimitReset(headers map[string]string) (after time.Duration, ok bool) {
	if item(headers["ratelimit-remaining"]) == "0" {
		return parseSeconds(item(headers["ratelimit-reset"]))
	}
	fields := headers["ratelimit"]
	if fields == "" {
		return 0, false
	}
	if strings.HasPrefix(fields, "limit=") || strings.HasPrefix(fields, "remaining=") || strings.HasPrefix(fields, "reset=") {
		return usedUp(strings.Split(fields, ","), "remaining", "reset")
	}
	for quota := range strings.SplitSeq(fields, ",") {
		if reset, used := usedUp(strings.Split(quota, ";"), "r", "t"); used {
			after, ok = max(after, reset), true
		}
	}
	return after, ok
}

// item returns a structured field's value without its parameters, RFC 8941.
func item(value string) string {
	value, _, _ = strings.Cut(value, ";")
	return strings.Trim(value, " \t")
}

// usedUp looks for remaining=0 among parameters, and returns their reset.
func usedUp(parameters []string, remaining, reset string) (after time.Duration, ok bool) {
	used, known := false, false
	for _, p := range parameters {
		name, value, _ := strings.Cut(strings.Trim(p, " \t"), "=")
		switch name {
		case remaining:
			used = value == "0"
		case reset:
			after, known = parseSeconds(value)
		}
	}
	if !used || !known {
		return 0, false
	}
	return after, true
}
