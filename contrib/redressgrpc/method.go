package redressgrpc

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// DeclaredIdempotent reports whether a method's .proto file says so, by the option
// idempotency_level = IDEMPOTENT or NO_SIDE_EFFECTS. Of methods that the program's generated
// code does not know it is false.
func DeclaredIdempotent(method string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false
	}
	options, ok := d.Options().(*descriptorpb.MethodOptions)
	return ok && options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
}

// Idempotent makes a function for [Client].Idempotent of the names of methods,
// "/package.Service/Method", or of whole services, "/package.Service/".
func Idempotent(names ...string) func(method string) bool {
	return func(method string) bool {
		for _, n := range names {
			if method == n || strings.HasSuffix(n, "/") && strings.HasPrefix(method, n) {
				return true
			}
		}
		return false
	}
}
