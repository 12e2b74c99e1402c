// Package redressrediskv has a live set follow policies in a hash of Redis or Valkey:
//
//	set, err := redress.Watch(ctx, redressrediskv.Hash(client, "policies"))
//
// A field of the hash is a file. Fields that are changed together are set by one
// command, with a word on what and who, and a message to those who follow:
//
//	HSET policies payments.yaml "..." version 42 by ann
//	PUBLISH policies changed
package redressrediskv
