package importer_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/redress-policy/redress/internal/importer"
)

// one makes an import of what else is in the file: there is something to import.
const one = "resilience4j.retry.instances.a.maxAttempts=2"

// TestPropertiesAreReadAsJavaReadsThem looks at what the losses say of keys that are not
// known, which is all that was read.
func TestPropertiesAreReadAsJavaReadsThem(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an equals sign", "k=v", "1 k=v"},
		{"a colon", "k:v", "1 k=v"},
		{"a blank", "k v", "1 k=v"},
		{"a tab", "k\tv", "1 k=v"},
		{"blanks around a separator", " \t k \t=\f v", "1 k=v"},
		{"the first separator counts", "k=v=w:x", "1 k=v=w:x"},
		{"a separator behind another one is part of the value", "k : = v", "1 k== v"},
		{"a separator behind a backslash", `k\=l\:m\ n=v`, "1 k=l:m n=v"},
		{"no separator", "k", "1 k="},
		{"no value", "k=", "1 k="},
		{"no key", "=v", ""}, // the key is not one of Resilience4j's
		{"blanks behind a value stay", "k=v \t", "1 k=v \t"},
		{"comments", "# a=b\n ! c=d\nk=v#w!", "3 k=v#w!"},
		{"a comment does not go on", "# a\\\nk=v", "2 k=v"},
		{"empty lines", "\n \t\n\r\nk=v", "4 k=v"},
		{"lines of Windows", "k=v\r\nl=w\r\n", "1 k=v; 2 l=w"},
		{"a line that goes on", "k=v\\\n  w", "1 k=vw"},
		{"a line of Windows that goes on", "k=v\\\r\n  w\r\nl=x", "1 k=vw; 3 l=x"},
		{"a key that goes on", "k\\\n  m=v", "2 km=v"},
		{"a value that begins on the next line", "k=\\\n  v", "2 k=v"},
		{"a line that goes on with no comment", "k=v\\\n#w", "1 k=v#w"},
		{"a line that goes on with an empty one", "k=v\\\n\nl=w", "1 k=v; 3 l=w"},
		{"a line that begins with one that goes on", "\\\n\\\n\n\\\n k=v", "5 k=v"},
		{"two backslashes end a line", "k=v\\\\\nl=w", `1 k=v\; 2 l=w`},
		{"three backslashes do not", "k=v\\\\\\\nm=w", `1 k=v\m=w`},
		{"escapes", `k=\t\n\r\f\q\"\\`, "1 k=\t\n\r\fq\"\\"},
		{"characters by numbers", `\u006b=\u00E9\u20ac\ud83d\ude00`, "1 k=é€\U0001F600"},
		{"a separator by its number", `k\u003d=v`, "1 k==v"},
		{"a blank by its number begins a value", `k=\u0020v`, "1 k= v"},
		{"UTF-8", "k=é", "1 k=é"},
		{"ISO 8859-1", "k=\xe9", "1 k=é"},
		{"a byte order mark", "\ufeffk=v", "1 k=v"},
		{"a list in short", "k[]=v,w", "1 k=v,w"},
		{"dashes that are no separator", "#--\nk=v\n#----\nl=w", "2 k=v; 4 l=w"},
		{"a separator behind a comment of its kind is a comment", "k=v\n# x\n#---\nl=w", "1 k=v; 4 l=w"},
		{"a separator above a comment is a comment", "k=v\n#---\n\n# x\nl=w", "1 k=v; 5 l=w"},
		{"a separator behind blanks is a comment", "k=v\n #---\nl=w", "1 k=v; 3 l=w"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, keys := c.text+"\n", regexp.MustCompile(`(?m)^([ \t]*)(k|l|\\u006b)`)
			if strings.HasPrefix(c.text, "\ufeff") {
				text = "\ufeffresilience4j." + strings.TrimPrefix(text, "\ufeff")
			}
			text = keys.ReplaceAllString(text, "${1}resilience4j.$2") + one
			result, err := importer.Import("resilience4j", "f.properties", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range result.Losses {
				if path := strings.Trim(l.Path, `"`); strings.HasPrefix(path, "resilience4j.") && l.Status == importer.Dropped {
					got = append(got, fmt.Sprintf("%d %s=%s", l.Line, strings.TrimPrefix(path, "resilience4j."), l.Value))
				}
			}
			if s := strings.Join(got, "; "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
			checkLosses(t, []byte(text), result)
		})
	}
}

func TestBadPropertiesAreRefusedWithTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no number", "a=b\n  " + one + "x", "f.properties:2:46: maxAttempts is a whole number, not the text 2x"},
		{"no number behind letters that are more than a byte", `resilience4j.retry.instances.é\u00e9.maxAttempts : x`, "f.properties:1:52: maxAttempts is a whole number"},
		{"no number in a file that is no UTF-8", "# \xe9\nresilience4j.retry.instances.\xe9.maxAttempts=x", "f.properties:2:44: maxAttempts is a whole number"},
		{"no value", "resilience4j.retry.instances.a.maxAttempts = \r\n", "f.properties:1:46: maxAttempts is a whole number, not an empty text"},
		{"a value on the next line", "resilience4j.retry.instances.a.waitDuration=\\\n   soon", "f.properties:2:4: waitDuration is a duration such as 500ms, 1s or PT0.5S, not the text soon"},
		{"no hexadecimal digit", `a=b\u00g0`, `f.properties:1:4: four hexadecimal digits belong behind \u`},
		{"too few digits", "a=b\\u00e\n9=c", `f.properties:1:4: four hexadecimal digits belong behind \u`},
		{"a sign for a digit", `a=\u+123`, `f.properties:1:3: four hexadecimal digits`},
		{"half of a character", `a=\ud83dx`, `f.properties:1:3: \ud83d is half of a character`},
		{"two first halves", `a=\ud83d\ud83d`, `f.properties:1:3: \ud83d is half of a character`},
		{"a backslash at the end", "a=b\\", "f.properties:1:5: a backslash continues the line, but the file ends"},
		{"a continued line that the file ends", "a=b\\\n  ", "f.properties:2:3: a backslash continues the line, but the file ends"},
		{"a key twice", "a=1\nb=2\n a:3", "f.properties:3:2: the key a is written twice, first on line 1"},
		{"a property in two spellings", one + "\nresilience4j.retry.instances[a].max-attempts=3", "f.properties:2:46: max-attempts is given twice, first on line 1"},
		{"a place of a list twice", one + "\nresilience4j.retry.instances.a.retryExceptions[0]=A\nresilience4j.retry.instances.a.retry-exceptions[0]=B", "f.properties:3:52: [0] is given twice, first on line 2"},
		{"a list with a gap", one + "\nresilience4j.retry.instances.a.retryExceptions[0]=A\nresilience4j.retry.instances.a.retryExceptions[2]=B", "f.properties:3:51: there is retryExceptions[2], but no retryExceptions[1]"},
		{"a list as a whole and by its places", "resilience4j.retry.instances.a.retryExceptions=A\nresilience4j.retry.instances.a.retryExceptions[0]=B", "f.properties:2:51: retryExceptions is a value on line 1"},
		{"a value for an instance", "resilience4j.retry.instances.a=1", "f.properties:1:32: a is an object, not the text 1"},
		{"a bracket that stays open", "resilience4j.retry.instances[a.maxAttempts=1", "f.properties:1:44: [a.maxAttempts is an object, not the text 1"},
		{"a missing config", "resilience4j.retry.instances.a.base-config=b", "f.properties:1:44: there is no config b"},
		{"a line break that editors do not show", "a=b\rc=d", "f.properties:1:4: U+000D breaks lines for Java but not for editors"},
		{"no text", "a=\x00", "f.properties:1:3: byte 0x00 is not text"},
		{"nothing", "# only a comment\n#---\n", "f.properties: nothing is written there"},
		{"nothing to import", "a=b", "f.properties: nothing to import as Spring configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := importer.Import("resilience4j", "f.properties", []byte(c.text))
			if err == nil {
				t.Fatalf("no error:\n%s", result.YAML)
			}
			if !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %q, want %q", err, c.want)
			}
		})
	}
}

// TestFormsOfOneConfigurationBecomeTheSamePolicies leaves the comments aside, which say
// where values come from.
func TestFormsOfOneConfigurationBecomeTheSamePolicies(t *testing.T) {
	const want = `
resilience4j:
  retry:
    instances:
      backendA:
        maxAttempts: 4
        waitDuration: 250ms
        enableExponentialBackoff: true
        exponentialMaxWaitDuration: 2s
        retryExceptions: [java.io.IOException, java.util.concurrent.TimeoutException]
        ignoreExceptions: [java.net.ConnectException]
  circuitbreaker:
    instances:
      backendA: {slidingWindowType: TIME_BASED, failureRateThreshold: 40}
`
	for _, c := range []struct{ name, file, text string }{
		{"properties", "f.properties", `
resilience4j.retry.instances.backendA.maxAttempts=4
resilience4j.retry.instances.backendA.waitDuration=250ms
resilience4j.retry.instances.backendA.enableExponentialBackoff=true
resilience4j.retry.instances.backendA.exponentialMaxWaitDuration=2s
resilience4j.retry.instances.backendA.retryExceptions=java.io.IOException,java.util.concurrent.TimeoutException
resilience4j.retry.instances.backendA.ignoreExceptions=java.net.ConnectException
resilience4j.circuitbreaker.instances.backendA.slidingWindowType=TIME_BASED
resilience4j.circuitbreaker.instances.backendA.failureRateThreshold=40
`},
		{"properties in other spellings, with blanks behind values", "f.properties", `
resilience4j.circuit-breaker.instances[backendA].sliding_window_type = time-based ` + `
resilience4j.circuitbreaker.instances[backendA].failure-rate-threshold : 40 ` + `
resilience4j.retry.instances[backendA].max-attempts 4 ` + `
resilience4j.retry.instances.[backendA].WAIT_DURATION 250
resilience4j.retry.instances.backendA.enable-exponential-backoff=TRUE ` + `
resilience4j.retry.instances.backendA.exponential_max_wait_duration=PT2S
resilience4j.retry.instances.backendA.retry-exceptions[1]=java.util.concurrent.TimeoutException ` + `
resilience4j.retry.instances.backendA.retryExceptions[0]=java.io.IOException
resilience4j.retry.instances.backendA.ignore_exceptions[]=java.net.ConnectException
`},
		{"properties of several documents, of which the later replaces lists", "F.Properties", `
resilience4j.retry.instances.backendA.maxAttempts=9
resilience4j.retry.instances.backendA.waitDuration=250ms
resilience4j.retry.instances.backendA.retryExceptions[0]=java.lang.Exception
resilience4j.retry.instances.backendA.retryExceptions[1]=java.lang.Exception
resilience4j.retry.instances.backendA.retryExceptions[2]=java.lang.Exception
resilience4j.retry.instances.backendA.ignoreExceptions=java.io.IOException
!---
resilience4j.retry.instances.backendA.max-attempts=4
resilience4j.retry.instances.backendA.enableExponentialBackoff=true
resilience4j.retry.instances.backendA.exponentialMaxWaitDuration=2s
resilience4j.retry.instances.backendA.retry-exceptions[0]=java.io.IOException
resilience4j.retry.instances.backendA.retry-exceptions[1]=java.util.concurrent.TimeoutException
resilience4j.retry.instances.backendA.ignore-exceptions[0]=java.net.ConnectException
#---
resilience4j.circuitbreaker.instances.backendA.slidingWindowType=TIME_BASED
resilience4j.circuitbreaker.instances.backendA.failureRateThreshold=40
`},
		{"YAML with flattened lists", "f", `
resilience4j.retry.instances.backendA:
  maxAttempts: 4
  waitDuration: 250ms
  enableExponentialBackoff: true
  exponentialMaxWaitDuration: 2s
  retryExceptions: {"[1]": java.util.concurrent.TimeoutException, "[0]": java.io.IOException}
  ignoreExceptions[0]: java.net.ConnectException
resilience4j.circuitbreaker.instances[backendA]: {slidingWindowType: TIME_BASED, failureRateThreshold: 40}
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := withoutComments(t, c.file, c.text), withoutComments(t, "f", want); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

var commentOfYAML = regexp.MustCompile(`(?m)(^|  )\s*#.*\n?`)

func withoutComments(t *testing.T, file, text string) string {
	t.Helper()
	result, err := importer.Import("resilience4j", file, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	loads(t, result)
	return strings.ReplaceAll(commentOfYAML.ReplaceAllString(string(result.YAML), "\n"), "\n\n", "\n")
}

// TestUnknownFieldsBelowDottedKeysAreReportedWithTheirValue covers keys that stand beside
// each other in the file and below each other for Spring.
func TestUnknownFieldsBelowDottedKeysAreReportedWithTheirValue(t *testing.T) {
	for file, text := range map[string]string{
		"f.properties": "x=1\n" + one + "\nresilience4j.retry.instances.a.patience=3\nresilience4j.bulkhead.instances.a.x=4\nresilience4j.unheard=5\n",
		"f":            "x: 1\nresilience4j.retry.instances.a: {maxAttempts: 2}\nresilience4j.retry.instances.a.patience: 3\nresilience4j.bulkhead.instances.a.x: 4\nresilience4j: {unheard: 5}\n",
	} {
		result, err := importer.Import("resilience4j", file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range result.Losses {
			if l.Status == importer.Dropped {
				got = append(got, fmt.Sprintf("%d %s %s", l.Line, l.Value, l.Why))
			}
		}
		want := "1  no failure handling; " +
			"3 3 not known to be a part of Resilience4j's configuration; " +
			"4 4 the language has no limit on concurrent calls or on their rate; " +
			"5 5 not known to be a part of Resilience4j's configuration"
		if s := strings.Join(got, "; "); s != want {
			t.Errorf("%s: got %q, want %q", file, s, want)
		}
	}
}

func TestEmptyListsAreDropped(t *testing.T) {
	result, err := importer.Import("resilience4j", "f.properties", []byte(one+"\nresilience4j.retry.instances.a.ignoreExceptions="))
	if err != nil {
		t.Fatal(err)
	}
	if l := result.Losses[1]; l.Line != 2 || l.Status != importer.Dropped || l.Why != "the list is empty" {
		t.Errorf("got %+v", l)
	}
}

// TestChoicesOfADNSRecordNeverShareAName imports one service config twice.
func TestChoicesOfADNSRecordNeverShareAName(t *testing.T) {
	config := `{"serviceConfig": ` + method(`"retryPolicy": {`+retryPolicy+`}`) + `}`
	for _, c := range []struct{ name, text, want string }{
		{"one choice keeps the names", "grpc_config=[" + config + "]", "a"},
		{"blanks stand around the name of the attribute", "\n \tgrpc_config= [" + config + "]", "a"},
		{"without the name of the attribute", "[" + config + "," + config + "]", "a-choice-1 a-choice-2"},
		{"a choice without policies has a number", "[" + config + `,{"serviceConfig": {}},` + config + "]", "a-choice-1 a-choice-3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := importer.Import("grpc", "f", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			loads(t, result)
			checkLosses(t, []byte(c.text), result)
			var names, noted []string
			for _, m := range regexp.MustCompile(`(?m)^name: (.*)$`).FindAllStringSubmatch(string(result.YAML), -1) {
				names = append(names, m[1])
			}
			for _, l := range result.Losses {
				if name, ok := strings.CutPrefix(l.Became, "name: "); ok {
					noted = append(noted, name)
				}
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("got the names %s, want %s", got, c.want)
			}
			for _, name := range names {
				if len(names) > 1 && !slices.Contains(noted, name) {
					t.Errorf("the report has the names %q, not %s", noted, name)
				}
			}
		})
	}
}

// TestRandomPropertiesNeverPanicAndKeepTheirPlaces puts together what means something in
// .properties files and in keys of Spring.
func TestRandomPropertiesNeverPanicAndKeepTheirPlaces(t *testing.T) {
	words := []string{
		"\n", "\n", "\n", "\r\n", "\r", "\\", "\\\n", "\\u", "\\u00e9", "\\ud83d", "\\ude00", "#", "!", "#---\n", "\n!---\n", "=", "=", ":", " ", "\t", "\f",
		".", "[", "]", "[0]", "[1]", "[]", "[00]", "resilience4j", "resilience4j.retry.instances.", "\nresilience4j.retry.instances.a.", "\nresilience4j.circuitbreaker.instances[b].",
		"\nresilience4j.retry.configs.default.", "maxAttempts", "max-attempts=3", "retryExceptions", "ignore_exceptions[0]=java.io.IOException", "waitDuration=1s", "baseConfig=default",
		"slidingWindowSize", "2", "${X:3}", "${", "spring.config.activate.on-profile=x", "é", "日", "\xe9", "\x00", "a", "\ufeff",
	}
	for seed := range uint64(20_000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var b strings.Builder
		for range random.IntN(40) {
			word := words[random.IntN(len(words))]
			if word == "\x00" && random.IntN(20) > 0 || word == "\r" && random.IntN(20) > 0 {
				continue
			}
			b.WriteString(word)
		}
		text := []byte(b.String())
		result, err := importer.Import("resilience4j", "fuzz.properties", text)
		if err != nil {
			checkErrorPlaces(t, text, err)
		} else {
			if seed%20 == 0 {
				loads(t, result)
			}
			checkLosses(t, text, result)
			checkReport(t, result)
		}
		if t.Failed() {
			t.Fatalf("seed %d: %q", seed, text)
		}
	}
}

var placeOfError = regexp.MustCompile(`^fuzz\.properties:(\d+):(\d+): `)

// checkErrorPlaces holds errors to name a place that is in the file, unless they are
// about all of it.
func checkErrorPlaces(tb testing.TB, text []byte, err error) {
	tb.Helper()
	lines := strings.Split(strings.TrimPrefix(string(text), "\ufeff"), "\n")
	for _, message := range strings.Split(err.Error(), "\n") {
		m := placeOfError.FindStringSubmatch(message)
		if m == nil {
			if !strings.Contains(message, "nothing ") && !strings.Contains(message, "larger than") {
				tb.Errorf("no place: %q", message)
			}
			continue
		}
		line, _ := strconv.Atoi(m[1])
		column, _ := strconv.Atoi(m[2])
		if line < 1 || line > len(lines) {
			tb.Errorf("%q is on line %d of %d", message, line, len(lines))
			continue
		}
		width := len(lines[line-1])
		if utf8.Valid(text) {
			width = utf8.RuneCountInString(lines[line-1])
		}
		if column < 1 || column > width+1 {
			tb.Errorf("%q is in column %d of %d", message, column, width)
		}
	}
}

// TestHostilePropertiesEndSoon is about what costs time or memory in .properties files.
func TestHostilePropertiesEndSoon(t *testing.T) {
	const big = 1 << 20
	many := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < big-200; i++ {
			fmt.Fprintf(&b, strings.ReplaceAll(format, "%d", "%[1]d"), i)
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"too large":               strings.Repeat(" ", big+1),
		"lines that go on":        strings.Repeat("\\\n", big/2-10) + one,
		"many keys":               many("k%d\n"),
		"many documents":          strings.Repeat("a=1\n#---\n", big/10),
		"many separators":         strings.Repeat("#---\n\n", big/7),
		"a long line":             one + strings.Repeat("9", big/2),
		"escapes":                 "a=" + strings.Repeat(`\ud83d\ude00`, big/13),
		"ISO 8859-1":              "a=" + strings.Repeat("\xe9", big-2),
		"many dots":               "resilience4j" + strings.Repeat(".a", big/4) + "=1",
		"many brackets":           "resilience4j" + strings.Repeat("[a]", big/4) + "=1",
		"open brackets":           "resilience4j" + strings.Repeat("[", big/2) + "=1",
		"many places of a list":   one + "\n" + many("resilience4j.retry.instances.a.retryExceptions[%d]=A\n"),
		"many instances":          many("resilience4j.retry.instances.a%d.maxAttempts=1\n"),
		"instances inherit lists": many("resilience4j.retry.instances.a%d.baseConfig=default\nresilience4j.retry.configs.default.retryExceptions[%d]=A\n"),
		"a place beyond all":      "resilience4j.retry.instances.a.retryExceptions[999999999]=A",
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			result, err := importer.Import("resilience4j", "f.properties", []byte(text))
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			switch {
			case err != nil && len(err.Error()) > 10_000:
				t.Errorf("an error of %d bytes", len(err.Error()))
			case err == nil:
				loads(t, result)
			}
		})
	}
}
