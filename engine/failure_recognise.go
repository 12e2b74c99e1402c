package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// A finding is what one error says by itself; the zero finding says nothing.
type finding struct {
	kind    Kind
	code    string
	phase   Phase // "" is unknown
	settled bool  // what the error wraps does not know the phase better
	timeout bool
	rank    rank
}

// A rank orders findings: what says more about the failure counts.
type rank uint8

const (
	rankNone     rank = iota
	rankWeak          // a layer, but not what happened in it
	rankEnded         // a context or a stream ended: often the consequence of something else
	rankPath          // what went wrong on the way
	rankAnswered      // a status
	rankCoded         // the dependency's own code
)

// recognise says what err is, without looking at what it wraps, except that a
// net.OpError and an os.SyscallError speak for the errno that they hold. The first
// that says anything decides; what an error only claims to be comes last, because the
// text of net/http's timeouts says more than that they are like
// context.DeadlineExceeded.
func recognise(err error) finding {
	for _, known := range [...]func(error) finding{recogniseType, recogniseValue, recogniseAnswer, recogniseText, recogniseClaim} {
		if f := contained(known, err); f.rank != rankNone {
			return f
		}
	}
	return finding{}
}

func contained(known func(error) finding, err error) (f finding) {
	defer contain()
	return known(err)
}

// recogniseType knows the standard library's exported error types.
func recogniseType(err error) finding {
	switch e := err.(type) {
	case *Error:
		return finding{kind: KindRedress, code: e.Reason.String(), rank: rankCoded}
	case *net.OpError:
		return opError(e)
	case *net.DNSError:
		return dnsError(e)
	case *os.SyscallError:
		return errnoFinding(e.Err)
	case *net.AddrError, *net.ParseError, net.InvalidAddrError, net.UnknownNetworkError:
		return finding{kind: KindNet, code: codeBadAddress, phase: NotSent, rank: rankPath}
	case *url.Error:
		if e.Op == "parse" {
			return finding{kind: KindURL, code: codeMalformedURL, phase: NotSent, rank: rankPath}
		}
	case url.EscapeError, url.InvalidHostError:
		return finding{kind: KindURL, code: codeMalformedURL, phase: NotSent, rank: rankPath}
	case *tls.CertificateVerificationError,
		x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError, x509.SystemRootsError,
		x509.ConstraintViolationError, x509.InsecureAlgorithmError, x509.UnhandledCriticalExtension:
		return finding{kind: KindTLS, code: codeCertificate, phase: NotSent, rank: rankPath}
	case tls.RecordHeaderError:
		return recordHeader(e)
	case tls.AlertError:
		return tlsAlert(uint8(e))
	case *tls.ECHRejectionError:
		return finding{kind: KindTLS, code: codeTLSProtocol, phase: NotSent, rank: rankPath}
	}
	return errnoFinding(err)
}

// dialling reports whether an operation of a net.OpError comes before the request.
// The others than dial are net/http's, for proxies.
func dialling(op string) bool {
	return op == "dial" || op == "proxyconnect" || strings.HasPrefix(op, "socks ")
}

// opError says what went wrong by what the operation met, and where by its name.
func opError(e *net.OpError) finding {
	f := finding{kind: KindNet, rank: rankWeak}
	if _, nested := e.Err.(*net.OpError); !nested && e.Err != nil {
		if inner := recognise(e.Err); inner.rank != rankNone {
			f = inner
		}
	}
	_, errno := errnoOf(e.Err)
	if errno {
		f.kind = KindNet
	}
	if !errno && f.rank <= rankEnded && e.Timeout() {
		f = finding{kind: KindNet, code: codeIOTimeout, timeout: true, rank: rankPath}
		if dialling(e.Op) {
			f.code = codeDialTimeout
		}
	}
	switch {
	case dialling(e.Op):
		f.phase = NotSent
	case errno: // on a connection that stood, or of a datagram that had left
		f.phase, f.settled = PhaseUnknown, true
	}
	return f
}

// dnsError: a lookup that was cancelled is no failure of name resolution.
func dnsError(e *net.DNSError) finding {
	f := finding{kind: KindDNS, phase: NotSent, rank: rankPath}
	switch {
	case e.UnwrapErr != nil && anyIs(e.UnwrapErr, context.Canceled):
		return finding{kind: KindContext, code: codeCanceled, phase: NotSent, rank: rankEnded}
	case e.IsNotFound:
		f.code = codeNoSuchHost
	case e.IsTimeout:
		f.code, f.timeout = codeDNSTimeout, true
	case e.IsTemporary:
		f.code = codeDNSTemporary
	default:
		f.code = codeDNSFailure
	}
	return f
}

// errnoFinding says what an errno means, alone or in an os.SyscallError.
func errnoFinding(err error) finding {
	e, ok := errnoOf(err)
	if !ok {
		return finding{}
	}
	return finding{kind: e.kind, code: e.name, phase: e.phase, timeout: e.timeout, rank: rankPath}
}

// errnoOf finds the errno that err is, or that an os.SyscallError holds.
func errnoOf(err error) (errnoCode, bool) {
	if e, ok := err.(*os.SyscallError); ok && e != nil {
		err = e.Err
	}
	name := errnoName(err)
	if name == "" {
		return errnoCode{}, false
	}
	for _, e := range errnoCodes {
		if e.name == name {
			return e, true
		}
	}
	return errnoCode{}, false
}

// recordHeader: crypto/tls hands the connection out only before the handshake.
func recordHeader(e tls.RecordHeaderError) finding {
	f := finding{kind: KindTLS, code: codeNotTLS, rank: rankPath}
	if e.Conn != nil {
		f.phase = NotSent
	}
	return f
}

// tlsAlert: alerts that only a handshake sends come from a peer that has taken no
// request, even where TLS 1.3 lets the client write before it sees them.
// https://www.iana.org/assignments/tls-parameters, TLS Alerts.
func tlsAlert(alert uint8) finding {
	f := finding{kind: KindTLS, code: codeTLSAlert, rank: rankPath}
	switch alert {
	case 40, // handshake_failure
		42, 43, 44, 45, 46, 48, // bad, unsupported, revoked, expired, unknown certificate; unknown_ca
		70, 71, // protocol_version, insufficient_security
		109, 110, 112, // missing or unsupported extension, unrecognized_name
		115, 116, 120: // unknown_psk_identity, certificate_required, no_application_protocol
		f.phase = NotSent
	}
	return f
}

// values are the errors that are known by their identity. An error with a method Is
// may say that it is one of them.
var values = [...]struct {
	err error
	finding
}{
	{context.DeadlineExceeded, finding{kind: KindContext, code: codeDeadlineExceeded, timeout: true, rank: rankEnded}},
	{context.Canceled, finding{kind: KindContext, code: codeCanceled, rank: rankEnded}},
	{os.ErrDeadlineExceeded, finding{kind: KindNet, code: codeIOTimeout, timeout: true, rank: rankEnded}},
	{io.EOF, finding{kind: KindIO, code: codeEOF, rank: rankEnded}},
	{io.ErrUnexpectedEOF, finding{kind: KindIO, code: codeUnexpectedEOF, rank: rankEnded}},
	{io.ErrClosedPipe, finding{kind: KindIO, code: codeClosedPipe, rank: rankEnded}},
	{io.ErrShortWrite, finding{kind: KindIO, code: codeShortWrite, rank: rankEnded}},
	{io.ErrShortBuffer, finding{kind: KindIO, code: codeShortBuffer, rank: rankEnded}},
	{io.ErrNoProgress, finding{kind: KindIO, code: codeNoProgress, rank: rankEnded}},
	{net.ErrClosed, finding{kind: KindNet, code: codeConnClosed, rank: rankPath}},
	{os.ErrClosed, finding{kind: KindIO, code: codeFileClosed, rank: rankEnded}},
	{http.ErrHandlerTimeout, finding{kind: KindHTTP, code: codeHandlerTimeout, timeout: true, rank: rankPath}},
	{http.ErrServerClosed, finding{kind: KindHTTP, code: codeServerClosed, rank: rankPath}},
	{http.ErrSchemeMismatch, finding{kind: KindTLS, code: codeNotTLS, phase: NotSent, rank: rankPath}},
	{sql.ErrNoRows, finding{kind: KindSQL, code: codeNoRows, phase: Sent, rank: rankCoded}},
	{sql.ErrConnDone, finding{kind: KindSQL, code: codeConnDone, phase: NotSent, rank: rankCoded}},
	{sql.ErrTxDone, finding{kind: KindSQL, code: codeTxDone, rank: rankCoded}},
	{driver.ErrBadConn, finding{kind: KindSQL, code: codeBadConn, phase: NotSent, rank: rankCoded}},
}

// recogniseValue knows errors by their identity.
func recogniseValue(err error) finding {
	for _, v := range values {
		if err == v.err {
			return v.finding
		}
	}
	return finding{}
}

// recogniseClaim knows errors by what they say they are: one of the values, or a
// timeout of the network.
func recogniseClaim(err error) finding {
	if _, ok := err.(interface{ Is(error) bool }); ok {
		for _, v := range values {
			if is(err, v.err) {
				return v.finding
			}
		}
	}
	if _, ok := err.(*url.Error); ok { // repeats what it wraps
		return finding{}
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		return finding{kind: KindNet, code: codeNetTimeout, timeout: true, rank: rankWeak}
	}
	return finding{}
}

// timedOut asks an error whether it is a timeout.
func timedOut(err error) (yes bool) {
	defer contain()
	e, ok := err.(interface{ Timeout() bool })
	return ok && e.Timeout()
}
