package engine

import (
	"math"
	"net/http"
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

func TestRateLimitFieldsAreAHintWhereThereIsNoRetryAfter(t *testing.T) {
	for _, row := range []struct {
		name   string
		header http.Header
		want   time.Duration
		ok     bool
	}{
		{"three fields, used up", http.Header{"Ratelimit-Limit": {"100"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"30"}}, 30 * time.Second, true},
		{"three fields, with parameters", http.Header{"Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"30;x=1"}}, 30 * time.Second, true},
		{"three fields, something remains", http.Header{"Ratelimit-Remaining": {"3"}, "Ratelimit-Reset": {"30"}}, 0, false},
		{"no reset", http.Header{"Ratelimit-Remaining": {"0"}}, 0, false},
		{"a reset alone", http.Header{"Ratelimit-Reset": {"30"}}, 0, false},
		{"one field of version 07", http.Header{"Ratelimit": {"limit=100, remaining=0, reset=31"}}, 31 * time.Second, true},
		{"one field of version 07, something remains", http.Header{"Ratelimit": {"limit=100, remaining=7, reset=31"}}, 0, false},
		{"a quota of version 08", http.Header{"Ratelimit": {`"default";r=0;t=32`}}, 32 * time.Second, true},
		{"quotas, one used up", http.Header{"Ratelimit": {`"minute";r=0;t=33, "day";r=500;t=900`}}, 33 * time.Second, true},
		{"quotas in fields of their own, two used up", http.Header{"Ratelimit": {`"minute";r=0;t=33`, `"day";r=0;t=900`}}, 15 * time.Minute, true},
		{"a quota of which nobody knows when", http.Header{"Ratelimit": {`"default";r=0`}}, 0, false},
		{"garbage", http.Header{"Ratelimit": {"soon"}}, 0, false},
		{"Retry-After beside them", http.Header{"Retry-After": {"7"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"30"}}, 7 * time.Second, true},
		{"Retry-After that cannot be read beside them", http.Header{"Retry-After": {"soon"}, "Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {"30"}}, 0, false},
		{"Retry-After twice", http.Header{"Retry-After": {"2", "3"}}, 3 * time.Second, true},
		{"other names", http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {"30"}}, 0, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := ResultOf(&http.Response{StatusCode: 429, Header: row.header})
			if f.RetryAfter != row.want || f.HasRetryAfter != row.ok {
				t.Errorf("a hint of %v, %v; want %v, %v", f.RetryAfter, f.HasRetryAfter, row.want, row.ok)
			}
		})
	}
}
