//go:build !windows && !plan9

package engine

import "syscall"

// errnoName returns the name of an errno, or "" if err is none or not one of
// errnoCodes.
func errnoName(err error) string {
	e, ok := err.(syscall.Errno)
	if !ok {
		return ""
	}
	return errnoNames[e]
}

var errnoNames = map[syscall.Errno]string{
	syscall.ECONNREFUSED:    "ECONNREFUSED",
	syscall.ECONNRESET:      "ECONNRESET",
	syscall.ECONNABORTED:    "ECONNABORTED",
	syscall.EPIPE:           "EPIPE",
	syscall.ETIMEDOUT:       "ETIMEDOUT",
	syscall.ENETUNREACH:     "ENETUNREACH",
	syscall.EHOSTUNREACH:    "EHOSTUNREACH",
	syscall.ENETDOWN:        "ENETDOWN",
	syscall.EHOSTDOWN:       "EHOSTDOWN",
	syscall.ENETRESET:       "ENETRESET",
	syscall.EADDRNOTAVAIL:   "EADDRNOTAVAIL",
	syscall.EADDRINUSE:      "EADDRINUSE",
	syscall.EAFNOSUPPORT:    "EAFNOSUPPORT",
	syscall.EPROTONOSUPPORT: "EPROTONOSUPPORT",
	syscall.ENOTCONN:        "ENOTCONN",
	syscall.ESHUTDOWN:       "ESHUTDOWN",
	syscall.EMSGSIZE:        "EMSGSIZE",
	syscall.ENOBUFS:         "ENOBUFS",
	syscall.EMFILE:          "EMFILE",
	syscall.ENFILE:          "ENFILE",
	syscall.ENOMEM:          "ENOMEM",
	syscall.EINTR:           "EINTR",
	syscall.EAGAIN:          "EAGAIN",
	syscall.EINVAL:          "EINVAL",
	syscall.EBADF:           "EBADF",
	syscall.EACCES:          "EACCES",
	syscall.EPERM:           "EPERM",
	syscall.ENOENT:          "ENOENT",
	syscall.EEXIST:          "EEXIST",
	syscall.EIO:             "EIO",
	syscall.EBUSY:           "EBUSY",
	syscall.ENOSPC:          "ENOSPC",
	syscall.EROFS:           "EROFS",
}
