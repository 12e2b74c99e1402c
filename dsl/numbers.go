package dsl

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redress-policy/redress/internal/lazyregexp"
)

// isPlainInteger reports whether a text is a whole number in plain decimal.
func isPlainInteger(s string) bool { return isWhole(strings.TrimPrefix(s, "-")) }

// isWhole reports whether a text is digits, with no zero before others.
func isWhole(s string) bool { return areDigits(s) && (s[0] != '0' || len(s) == 1) }

func areDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// integer reads a plain decimal integer of at least least and at most most.
func (d *decoder) integer(what string, v *Value[int], least, most int) func(*node) {
	return func(n *node) {
		s := n.target()
		if !d.hasCoreTag(n) {
			return
		}
		switch {
		case s.kind != scalarNode || s.isNull() || s.tag == boolTag:
			d.errorf(n.rng(), CodeWrongType, "write digits", "%s is a whole number, not %s", what, n.describe())
			return
		case s.style != plainStyle || s.tagged && s.tag != intTag:
			help := "write digits alone"
			if isPlainInteger(s.value) {
				help = "write " + shorten(s.value) + ", without quotes or tag"
			}
			d.errorf(n.rng(), CodeBadInteger, help, "%s is a whole number, not %s", what, n.describe())
			return
		case !isPlainInteger(s.value):
			is, help := otherNotation(s.value)
			d.errorf(n.rng(), CodeBadInteger, help, "%s is a whole number in plain decimal, not %s", what, is)
			return
		}
		x, err := strconv.Atoi(s.value)
		switch {
		case x > most || err != nil && s.value[0] != '-':
			d.errorf(n.rng(), CodeOutOfRange, fmt.Sprintf("write %d or less", most), "%s is at most %d, not %s", what, most, shorten(s.value))
		case x < least || err != nil:
			d.errorf(n.rng(), CodeOutOfRange, fmt.Sprintf("write %d or more", least), "%s is at least %d, not %s", what, least, shorten(s.value))
		default:
			set(v, n, x)
		}
	}
}

// notations are the ways to write an integer that are not ours. Readers of YAML do
// not agree on them: 017 is 15 to some and 17 to others.
var notations = []struct {
	form *lazyregexp.Regexp
	says string
}{
	{lazyregexp.New(`_`), "%s with underscores"},
	{lazyregexp.New(`^[-+]?0[xX]`), "the hexadecimal %s"},
	{lazyregexp.New(`^[-+]?0[bB]`), "the binary %s"},
	{lazyregexp.New(`^[-+]?0[oO]`), "the octal %s"},
	{lazyregexp.New(`^[-+]?0[0-9]+$`), "%s, which some readers take for octal"},
	{lazyregexp.New(`^\+`), "%s with a sign"},
	{lazyregexp.New(`^-?[0-9.]+[eE]`), "%s with an exponent"},
	{lazyregexp.New(`^-?[0-9]*\.0*$`), "%s with a decimal point"},
	{lazyregexp.New(`^-?[0-9]*\.[0-9]*$`), "the fraction %s"},
}

// otherNotation names the notation of what is no plain integer, and says what to
// write instead.
func otherNotation(s string) (is, help string) {
	is, help = shorten(s), "write digits alone"
	for _, n := range notations {
		if n.form.MatchString(s) {
			is = fmt.Sprintf(n.says, is)
			break
		}
	}
	digits := strings.TrimPrefix(strings.ReplaceAll(s, "_", ""), "+")
	decimal, errDecimal := strconv.Atoi(digits)
	octal, errOctal := strconv.ParseInt(digits, 0, 64)
	x, err := strconv.ParseFloat(digits, 64)
	switch {
	case errDecimal == nil && errOctal == nil && int64(decimal) != octal:
		help = fmt.Sprintf("write %d, or %d if it was meant as octal", decimal, octal)
	case errDecimal == nil:
		help = fmt.Sprintf("write %d", decimal)
	case errOctal == nil:
		help = fmt.Sprintf("write %d", octal)
	case err == nil && x == math.Trunc(x) && math.Abs(x) < 1e15:
		help = fmt.Sprintf("write %d", int64(x))
	case err == nil && math.Abs(x) < 1e15:
		help = fmt.Sprintf("write %d or %d", int64(math.Floor(x)), int64(math.Ceil(x)))
	}
	return is, help
}

// isPlainNumber reports whether a text is a number in plain decimal, perhaps with a fraction
// and an exponent: -0.5, 2., .5 and 1e-3 are.
func isPlainNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		exponent := s[at+1:]
		if exponent != "" && (exponent[0] == '+' || exponent[0] == '-') {
			exponent = exponent[1:]
		}
		if !areDigits(exponent) {
			return false
		}
		s = s[:at]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	if whole == "" {
		return areDigits(fraction)
	}
	return isWhole(whole) && (fraction == "" || areDigits(fraction))
}

// number reads a decimal number, perhaps with a fraction. bounds says in words which
// fit.
func (d *decoder) number(what string, v *Value[float64], fits func(float64) bool, bounds string) func(*node) {
	return func(n *node) {
		s, ok := d.scalar(n, what, "a number", floatTag, intTag)
		if !ok {
			return
		}
		x, err := strconv.ParseFloat(s.value, 64)
		switch {
		case s.style != plainStyle:
			d.errorf(n.rng(), CodeWrongType, "write it without quotes", "%s is a number, not a text", what)
		case err != nil || !isPlainNumber(s.value):
			d.errorf(n.rng(), CodeOutOfRange, "write it like 2 or 0.5", "%s is a number in plain decimal, not %s", what, shorten(s.value))
		case !fits(x):
			d.errorf(n.rng(), CodeOutOfRange, "write a number that is "+bounds, "%s is %s, not %s", what, bounds, shorten(s.value))
		default:
			set(v, n, x)
		}
	}
}

// positive is the least duration that takes time.
const positive = time.Duration(1)

// duration reads a duration as Go writes it: of at least least, which is positive or 0.
func (d *decoder) duration(what string, v *Value[time.Duration], least time.Duration) func(*node) {
	return func(n *node) {
		s := n.target()
		if !d.hasCoreTag(n) {
			return
		}
		if s.kind != scalarNode || s.isNull() || s.tag == boolTag {
			d.errorf(n.rng(), CodeWrongType, durationForm, "%s is a duration, not %s", what, n.describe())
			return
		}
		x, err := time.ParseDuration(s.value)
		switch {
		case err != nil || s.tag != strTag: // 0 alone is a number
			d.errorf(n.rng(), CodeBadDuration, durationHelp(s.value), "%s is a duration, not %s", what, n.describe())
		case x < least && least == positive:
			d.errorf(n.rng(), CodeOutOfRange, "write a time, such as 250ms or 30s, or leave the key out", "%s is more than 0s; this is %s", what, shorten(s.value))
		case x < least:
			d.errorf(n.rng(), CodeOutOfRange, "write 0s or more", "%s is not negative; this is %s", what, shorten(s.value))
		default:
			set(v, n, x)
		}
	}
}

const durationForm = "write it like 250ms, 30s or 1m30s; units are ns, us, ms, s, m and h"

var (
	quantity = lazyregexp.New(`^([0-9]+(?:\.[0-9]+)?) *([a-z]+)$`)
	clock    = lazyregexp.New(`^([0-9]+):([0-5][0-9])$`)
)

// units are the names that people give to units of time.
var units = map[string]time.Duration{
	"msec": time.Millisecond, "msecs": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// durationHelp says how a duration of another notation is written.
func durationHelp(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if isPlainInteger(s) && len(s) < 12 {
		if s == "0" {
			return "write 0s"
		}
		return fmt.Sprintf("write %ss for seconds or %sms for milliseconds", s, s)
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil && x > 0 && x < 1e9 {
		return fmt.Sprintf("write %v for seconds", time.Duration(x*float64(time.Second)))
	}
	if compact := strings.ReplaceAll(s, " ", ""); len(compact) < 32 {
		if _, err := time.ParseDuration(compact); err == nil {
			return "write " + compact
		}
		// ISO 8601 writes PT1M30S.
		if iso, ok := strings.CutPrefix(compact, "pt"); ok {
			if _, err := time.ParseDuration(iso); err == nil {
				return "write " + iso
			}
		}
	}
	if m := quantity.FindStringSubmatch(s); m != nil {
		x, err := strconv.ParseFloat(m[1], 64)
		if unit := units[m[2]]; err == nil && unit > 0 && x*float64(unit) < math.MaxInt64/2 {
			return "write " + short(time.Duration(x*float64(unit)))
		}
	}
	if m := clock.FindStringSubmatch(s); m != nil {
		return fmt.Sprintf("write %sm%ss, or %sh%sm", m[1], m[2], m[1], m[2])
	}
	return durationForm
}

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
