package redressaws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/redress-policy/redress"
	"github.com/redress-policy/redress/internal/leak"
	"github.com/redress-policy/redress/internal/proof"
)

func TestMain(m *testing.M) { leak.Main(m) }

// A service answers with what is scripted, the last answer again and again, and keeps
// what it was asked.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	script  []http.HandlerFunc // guarded by mu
	headers []http.Header      // guarded by mu
}

func serve(t testing.TB, script ...http.HandlerFunc) *service {
	t.Helper()
	s := &service{script: script}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.headers = append(s.headers, r.Header.Clone())
	next := s.script[0]
	if len(s.script) > 1 {
		s.script = s.script[1:]
	}
	s.mu.Unlock()
	next(w, r)
}

// asked returns the values of one header of all requests.
func (s *service) asked(header string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, h := range s.headers {
		all = append(all, h.Get(header))
	}
	return all
}

// identity is how STS answers GetCallerIdentity.
func identity(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn><UserId>U</UserId><Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
}

// refuse is how a service of the query protocol says no.
func refuse(status int, code, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>1</RequestId></ErrorResponse>`, code, message)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// client is of a user who has set all that the SDK has to retry with.
func client(t testing.TB, url string, api ...func(*sts.Options)) *sts.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	return sts.New(sts.Options{
		Region: "eu-west-1", BaseEndpoint: aws.String(url), HTTPClient: &http.Client{Transport: transport},
		RetryMode: aws.RetryModeStandard, RetryMaxAttempts: 7,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "SECRET"}, nil
		}),
	}, api...)
}

func under(p *redress.Policy, opts ...redress.Option) func(*sts.Options) {
	return func(o *sts.Options) { o.APIOptions = append(o.APIOptions, Use(p, opts...)) }
}

func load(t testing.TB, policy string) *redress.Policy {
	t.Helper()
	set, err := redress.Parse("test.yaml", []byte("apiVersion: redress/v1\nkind: Policy\nname: aws\nclassify: [{use: std.aws}]\n"+policy))
	if err != nil {
		t.Fatal(err)
	}
	return set.MustPolicy("aws")
}

const quick = "retry: {deadline: 10s, max_attempts: 3, strategy: {retry_after_or: {constant: {delay: 1ms}}}}\n"

func whoami(c *sts.Client) error {
	_, err := c.GetCallerIdentity(context.Background(), nil)
	return err
}

func stopped(t *testing.T, err error, reason redress.StopReason) *redress.Error {
	t.Helper()
	e, ok := errors.AsType[*redress.Error](err)
	if !ok || e.Reason != reason {
		t.Fatalf("got %v, want %v", err, reason)
	}
	return e
}

func TestThePolicyDecidesWhatIsTriedAgain(t *testing.T) {
	s := serve(t, refuse(400, "Throttling", "Rate exceeded"), refuse(503, "ServiceUnavailable", "busy"), identity)
	out, err := client(t, s.URL, under(load(t, quick))).GetCallerIdentity(context.Background(), nil)
	if err != nil || aws.ToString(out.Account) != "1" {
		t.Fatalf("got %v, %v", out, err)
	}
	if got := fmt.Sprint(s.asked("Amz-Sdk-Request")); got != "[attempt=1; max=3 attempt=2; max=3 attempt=3; max=3]" {
		t.Errorf("the service was told %s", got)
	}
	ids, signatures := s.asked("Amz-Sdk-Invocation-Id"), s.asked("Authorization")
	if ids[0] == "" || ids[0] != ids[2] || signatures[2] == "" {
		t.Errorf("invocations %q, signatures %q", ids, signatures)
	}
}

func TestTheSDKsOwnRetriesAreOff(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer http.HandlerFunc
		policy string
		reason redress.StopReason
		asked  int
	}{
		{"the policy's cap counts", refuse(503, "ServiceUnavailable", "busy"), quick, redress.MaxAttemptsGlobal, 3},
		{"what the policy calls permanent is not retried", refuse(400, "Throttling", "no"), "default_class: PERMANENT\nretry: {max_attempts: 1}\n", redress.MaxAttemptsGlobal, 1},
		{"credentials are not retried", refuse(403, "ExpiredToken", "expired"), quick, redress.NonRetryableClass, 1},
		{"a budget counts", refuse(503, "ServiceUnavailable", "busy"), quick[:len(quick)-2] + ", budget: {max_retries: 1, window: 1m}}\n", redress.BudgetExhausted, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, row.answer)
			err := whoami(client(t, s.URL, under(load(t, row.policy))))
			e := stopped(t, err, row.reason)
			if e.Operation != "sts.GetCallerIdentity" || len(s.asked("Host")) != row.asked {
				t.Errorf("operation %s, asked %d times, want %d", e.Operation, len(s.asked("Host")), row.asked)
			}
			if _, ok := errors.AsType[smithy.APIError](err); !ok {
				t.Errorf("the service's own error is lost: %v", err)
			}
			if _, ok := errors.AsType[*ratelimit.QuotaExceededError](err); ok {
				t.Errorf("the SDK's own quota was asked: %v", err)
			}
		})
	}
}

func TestAnOpenBreakerSendsNothing(t *testing.T) {
	s := serve(t, refuse(503, "ServiceUnavailable", "busy"))
	c := client(t, s.URL, under(load(t, "retry: {max_attempts: 1}\ncircuit_breaker: {failure_threshold: 2}\n")))
	for range 2 {
		stopped(t, whoami(c), redress.MaxAttemptsGlobal)
	}
	stopped(t, whoami(c), redress.CircuitOpen)
	if n := len(s.asked("Host")); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

func TestAServiceIsWaitedForAsItAsks(t *testing.T) {
	s := serve(t, refuse(400, "Throttling", "slow down", "X-Amz-Retry-After", "60000"))
	err := whoami(client(t, s.URL, under(load(t, quick))))
	if e := stopped(t, err, redress.DeadlineExceeded); !strings.Contains(e.Note, "a sleep of 1m0") {
		t.Errorf("the hint was not heeded: %v", e)
	}
}

func TestAnAttemptThatTakesTooLongIsCutAndMadeAgain(t *testing.T) {
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, identity)
	if err := whoami(client(t, s.URL, under(load(t, "retry: {attempt_timeout: 100ms, strategy: {constant: {delay: 1ms}}}\n")))); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotIdempotentIsNotRepeatedOnceItWasSent(t *testing.T) {
	s := serve(t, hangUp)
	stopped(t, whoami(client(t, s.URL, under(load(t, quick), redress.NotIdempotent()))), redress.ReasonNotIdempotent)
	if n := len(s.asked("Host")); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

func TestASignatureOfAWrongClockIsMadeAnew(t *testing.T) {
	ahead := time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat)
	s := serve(t, refuse(403, "SignatureDoesNotMatch", "Signature expired", "Date", ahead), identity)
	c := client(t, s.URL, under(load(t, quick)))
	if err := whoami(c); err != nil {
		t.Fatal(err)
	}
	dates := s.asked("X-Amz-Date")
	first, _ := time.Parse("20060102T150405Z", dates[0])
	second, err := time.Parse("20060102T150405Z", dates[1])
	if corrected := second.Sub(first); err != nil || corrected < 15*time.Minute {
		t.Errorf("signed for %v, then for %v", dates[0], dates[1])
	}
	s = serve(t, refuse(403, "SignatureDoesNotMatch", "wrong key"))
	stopped(t, whoami(client(t, s.URL, under(load(t, quick)))), redress.NonRetryableClass)
}

func TestFailuresOfAWSHaveTheirClass(t *testing.T) {
	table := proof.New(t, "AWS SDK for Go v2, STS", "std.aws")
	once := load(t, "retry: {max_attempts: 1}\n")
	for _, row := range []struct {
		failure string
		answer  http.HandlerFunc
		want    redress.Class
	}{
		{"Throttling", refuse(400, "Throttling", "Rate exceeded"), redress.ClassRateLimit},
		{"ThrottlingException", refuse(400, "ThrottlingException", "Rate exceeded", "X-Amz-Retry-After", "1500"), redress.ClassRateLimit},
		{"RequestLimitExceeded", refuse(503, "RequestLimitExceeded", "Request limit exceeded."), redress.ClassRateLimit},
		{"ExpiredToken", refuse(403, "ExpiredToken", "The security token included in the request is expired"), redress.ClassAuth},
		{"InvalidClientTokenId", refuse(403, "InvalidClientTokenId", "The security token included in the request is invalid."), redress.ClassAuth},
		{"SignatureDoesNotMatch", refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match"), redress.ClassAuth},
		{"MissingAuthenticationToken", refuse(403, "MissingAuthenticationToken", "Request is missing Authentication Token"), redress.ClassAuth},
		{"IncompleteSignature", refuse(400, "IncompleteSignature", "The request signature does not conform"), redress.ClassAuth},
		{"AccessDenied", refuse(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole"), redress.ClassPermission},
		{"NotAuthorized", refuse(400, "NotAuthorized", "You do not have permission to perform this action."), redress.ClassPermission},
		{"OptInRequired", refuse(403, "OptInRequired", "The AWS access key ID needs a subscription for the service."), redress.ClassPermission},
		{"RegionDisabledException", refuse(403, "RegionDisabledException", "STS is not activated in this region"), redress.ClassPermission},
		{"IDPCommunicationError", refuse(400, "IDPCommunicationError", "The identity provider could not be reached"), redress.ClassTransient},
		{"MalformedPolicyDocument", refuse(400, "MalformedPolicyDocument", "The policy is malformed"), redress.ClassPermanent},
		{"ValidationError", refuse(400, "ValidationError", "RoleArn must be given"), redress.ClassPermanent},
		{"InternalFailure", refuse(500, "InternalFailure", "We encountered an internal error"), redress.ClassServerError},
		{"ServiceUnavailable", refuse(503, "ServiceUnavailable", "Service unavailable"), redress.ClassServerError},
		{"502 of a load balancer", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, "<html><body><h1>502 Bad Gateway</h1></body></html>")
		}, redress.ClassServerError},
		{"the connection ends before an answer", hangUp, redress.ClassTransient},
		{"half an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			fmt.Fprint(w, "<GetCallerIdentityResponse>")
		}, redress.ClassTransient},
	} {
		err := whoami(client(t, serve(t, row.answer).URL, under(once)))
		table.Check(t, row.failure, own(err), row.want)
	}
	slow := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	err := whoami(client(t, slow.URL, under(load(t, "retry: {max_attempts: 1, attempt_timeout: 50ms}\n"))))
	table.Check(t, "no answer within the attempt's timeout", own(err), redress.ClassTransient)
	err = whoami(client(t, "http://"+proof.FreeAddress(t), under(once)))
	table.Check(t, "nothing listens", own(err), redress.ClassTransient)
	none := client(t, slow.URL, under(once), func(o *sts.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+proof.FreeAddress(t), nil)
			if err != nil {
				return aws.Credentials{}, err
			}
			_, err = http.DefaultClient.Do(request)
			return aws.Credentials{}, err
		})
	})
	table.Check(t, "credentials cannot be fetched", own(whoami(none)), redress.ClassTransient)
}

// own is what the SDK returned from the attempt.
func own(err error) error {
	if e, ok := errors.AsType[*redress.Error](err); ok {
		return e.Err
	}
	return err
}

func Example() {
	service := httptest.NewServer(http.HandlerFunc(identity))
	defer service.Close()
	set, err := redress.Parse("aws.yaml", []byte(`
apiVersion: redress/v1
kind: Policy
name: aws
classify: [{use: std.aws}]
retry: {deadline: 20s, attempt_timeout: 5s, max_attempts: 4}
`))
	if err != nil {
		panic(err)
	}
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(service.URL), Credentials: aws.AnonymousCredentials{}}
	cfg.APIOptions = append(cfg.APIOptions, Use(set.MustPolicy("aws")))
	out, err := sts.NewFromConfig(cfg).GetCallerIdentity(context.Background(), nil)
	if err != nil {
		panic(err)
	}
	fmt.Println("account", aws.ToString(out.Account))
	// Output: account 1
}
