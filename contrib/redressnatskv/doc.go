// Package redressnatskv has a live set follow policies in a key-value bucket of NATS
// JetStream:
//
//	set, err := redress.Watch(ctx, redressnatskv.Bucket(js, "policies"))
//
// A key of the bucket is a file:
//
//	nats kv put policies payments.yaml < payments.yaml
package redressnatskv
