package engine

import "syscall"

// errnoName returns the name of an errno, or "" if err is none or not one of
// errnoCodes. Windows has several numbers for one thing: those of Winsock, those of
// the system, and those that package syscall made up.
func errnoName(err error) string {
	e, ok := err.(syscall.Errno)
	if !ok {
		return ""
	}
	if name, ok := windowsNames[e]; ok {
		return name
	}
	return errnoNames[e]
}

// windowsNames: https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
// and https://learn.microsoft.com/windows/win32/debug/system-error-codes.
var windowsNames = map[syscall.Errno]string{
	10004: "EINTR",           // WSAEINTR
	10009: "EBADF",           // WSAEBADF
	10013: "EACCES",          // WSAEACCES
	10022: "EINVAL",          // WSAEINVAL
	10024: "EMFILE",          // WSAEMFILE
	10035: "EAGAIN",          // WSAEWOULDBLOCK
	10040: "EMSGSIZE",        // WSAEMSGSIZE
	10043: "EPROTONOSUPPORT", // WSAEPROTONOSUPPORT
	10047: "EAFNOSUPPORT",    // WSAEAFNOSUPPORT
	10048: "EADDRINUSE",      // WSAEADDRINUSE
	10049: "EADDRNOTAVAIL",   // WSAEADDRNOTAVAIL
	10050: "ENETDOWN",        // WSAENETDOWN
	10051: "ENETUNREACH",     // WSAENETUNREACH
	10052: "ENETRESET",       // WSAENETRESET
	10053: "ECONNABORTED",    // WSAECONNABORTED
	10054: "ECONNRESET",      // WSAECONNRESET
	10055: "ENOBUFS",         // WSAENOBUFS
	10057: "ENOTCONN",        // WSAENOTCONN
	10058: "ESHUTDOWN",       // WSAESHUTDOWN
	10060: "ETIMEDOUT",       // WSAETIMEDOUT
	10061: "ECONNREFUSED",    // WSAECONNREFUSED
	10064: "EHOSTDOWN",       // WSAEHOSTDOWN
	10065: "EHOSTUNREACH",    // WSAEHOSTUNREACH

	2:    "ENOENT",       // ERROR_FILE_NOT_FOUND
	3:    "ENOENT",       // ERROR_PATH_NOT_FOUND
	4:    "EMFILE",       // ERROR_TOO_MANY_OPEN_FILES
	5:    "EACCES",       // ERROR_ACCESS_DENIED
	6:    "EBADF",        // ERROR_INVALID_HANDLE
	8:    "ENOMEM",       // ERROR_NOT_ENOUGH_MEMORY
	14:   "ENOMEM",       // ERROR_OUTOFMEMORY
	19:   "EROFS",        // ERROR_WRITE_PROTECT
	32:   "EBUSY",        // ERROR_SHARING_VIOLATION
	64:   "ECONNRESET",   // ERROR_NETNAME_DELETED
	80:   "EEXIST",       // ERROR_FILE_EXISTS
	87:   "EINVAL",       // ERROR_INVALID_PARAMETER
	109:  "EPIPE",        // ERROR_BROKEN_PIPE
	112:  "ENOSPC",       // ERROR_DISK_FULL
	121:  "ETIMEDOUT",    // ERROR_SEM_TIMEOUT
	183:  "EEXIST",       // ERROR_ALREADY_EXISTS
	232:  "EPIPE",        // ERROR_NO_DATA
	1225: "ECONNREFUSED", // ERROR_CONNECTION_REFUSED
	1231: "ENETUNREACH",  // ERROR_NETWORK_UNREACHABLE
	1232: "EHOSTUNREACH", // ERROR_HOST_UNREACHABLE
	1234: "ECONNREFUSED", // ERROR_PORT_UNREACHABLE
	1236: "ECONNABORTED", // ERROR_CONNECTION_ABORTED
}

// errnoNames are the numbers that package syscall made up.
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
	syscall.EPERM:           "EPERM",
	syscall.EIO:             "EIO",
	syscall.EBUSY:           "EBUSY",
	syscall.ENOSPC:          "ENOSPC",
	syscall.EROFS:           "EROFS",
}
