package engine

import (
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
)

func errnoNamesList() []string {
	return slices.Concat(slices.Collect(maps.Values(errnoNames)), slices.Collect(maps.Values(windowsNames)))
}

func TestNumbersOfWinsockHaveTheNamesOfErrnos(t *testing.T) {
	f := FailureOf(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connectex", syscall.Errno(10061))}, nil)
	if got := what(f); got != "net ECONNREFUSED not_sent" {
		t.Errorf("got %s", got)
	}
	for number, name := range windowsNames {
		if got := FailureOf(number, nil).Code; got != name {
			t.Errorf("%d: got %s, want %s", number, got, name)
		}
	}
}
