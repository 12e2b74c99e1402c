package engine

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(1999, 12, 31, 23, 59, 0, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	for _, row := range []struct {
		name, value string
		want        time.Duration
		ok          bool
	}{
		{"seconds, the example of RFC 9110", "120", 2 * time.Minute, true},
		{"a date, the example of RFC 9110", "Fri, 31 Dec 1999 23:59:59 GMT", 59 * time.Second, true},
		{"an obsolete date of RFC 850", "Friday, 31-Dec-99 23:59:59 GMT", 59 * time.Second, true},
		{"an obsolete date of asctime", "Fri Dec 31 23:59:59 1999", 59 * time.Second, true},
		{"white space", " \t120 ", 2 * time.Minute, true},
		{"no wait", "0", 0, true},
		{"leading zeros", "000000000000000000000000000007", 7 * time.Second, true},
		{"a date in the past", "Sun, 06 Nov 1994 08:49:37 GMT", 0, true},
		{"a date that is now", "Fri, 31 Dec 1999 23:59:00 GMT", 0, true},
		{"more than a year", "31536001", year, true},
		{"more than any duration", "9223372037", year, true},
		{"more than any number", strings.Repeat("9", 1000), year, true},
		{"a date in a far year", "Fri, 31 Dec 9999 23:59:59 GMT", year, true},

		{"nothing", "", 0, false},
		{"white space alone", "  ", 0, false},
		{"a word", "soon", 0, false},
		{"a negative number", "-1", 0, false},
		{"a sign", "+1", 0, false},
		{"a fraction", "1.5", 0, false},
		{"an exponent", "1e3", 0, false},
		{"a unit", "120s", 0, false},
		{"a Go duration", "2m0s", 0, false},
		{"two values", "120, 60", 0, false},
		{"a space within", "1 20", 0, false},
		{"digits of another script", "١٢٠", 0, false},
		{"a date without its zone", "Fri, 31 Dec 1999 23:59:59", 0, false},
		{"a date in another form", "1999-12-31T23:59:59Z", 0, false},
		{"a day that does not exist", "Fri, 32 Dec 1999 23:59:59 GMT", 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, ok := ParseRetryAfter(row.value, now)
			if got != row.want || ok != row.ok {
				t.Errorf("%q: got %v, %t, want %v, %t", row.value, got, ok, row.want, row.ok)
			}
		})
	}
}

func TestRetryAfterDateNeedsANow(t *testing.T) {
	if after, ok := ParseRetryAfter("Fri, 31 Dec 1999 23:59:59 GMT", time.Time{}); ok || after != 0 {
		t.Errorf("got %v, %t", after, ok)
	}
	if after, ok := ParseRetryAfter("7", time.Time{}); !ok || after != 7*time.Second {
		t.Errorf("got %v, %t", after, ok)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, value := range []string{"120", "0", "Fri, 31 Dec 1999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 1999", "-1", "1e9", "99999999999999999999", ""} {
		f.Add(value, int64(946684740))
	}
	f.Add("Fri, 31 Dec 9999 23:59:59 GMT", int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		now := time.Unix(unix, 0)
		after, ok := ParseRetryAfter(value, now)
		if after < 0 || after > maxRetryAfter || !ok && after != 0 {
			t.Errorf("%q at %v: %v, %t", value, now, after, ok)
		}
		if padded, again := ParseRetryAfter(" "+value+"\t", now); padded != after || again != ok {
			t.Errorf("%q: white space changes %v, %t to %v, %t", value, after, ok, padded, again)
		}
		later, ok := ParseRetryAfter(value, now.Add(time.Hour))
		if ok && later > after {
			t.Errorf("%q: waits longer the later it is: %v, then %v", value, after, later)
		}
	})
}
