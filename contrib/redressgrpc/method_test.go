package redressgrpc_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	_ "google.golang.org/protobuf/types/known/emptypb"

	"github.com/redress-policy/redress/contrib/redressgrpc"
)

func TestMethodsAreIdempotentIfTheirFileSaysSo(t *testing.T) {
	method := func(name string, level *descriptorpb.MethodOptions_IdempotencyLevel) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: proto.String(name), InputType: proto.String(".google.protobuf.Empty"), OutputType: proto.String(".google.protobuf.Empty"),
			Options: &descriptorpb.MethodOptions{IdempotencyLevel: level},
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("redress_test.proto"), Package: proto.String("redress.test"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/empty.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Method: []*descriptorpb.MethodDescriptorProto{
			method("Look", descriptorpb.MethodOptions_NO_SIDE_EFFECTS.Enum()),
			method("Put", descriptorpb.MethodOptions_IDEMPOTENT.Enum()),
			method("Buy", nil),
		}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if err := protoregistry.GlobalFiles.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"Look": true, "Put": true, "Buy": false, "Nothing": false} {
		if got := redressgrpc.DeclaredIdempotent("/redress.test.Shop/" + name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	listed := redressgrpc.Idempotent("/a.B/C", "/a.D/")
	for name, want := range map[string]bool{"/a.B/C": true, "/a.B/X": false, "/a.D/X": true, "/a.DE/X": false} {
		if got := listed(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
