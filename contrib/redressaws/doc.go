// Package redressaws runs the operations of AWS SDK for Go v2 clients under a policy.
//
//	cfg.APIOptions = append(cfg.APIOptions, redressaws.Use(set.MustPolicy("aws")))
//	client := sts.NewFromConfig(cfg)
//
// One operation is one call, named "sts.GetCallerIdentity" after service and operation;
// the policy's rules, caps, strategies, deadline, attempt timeout, breaker and budget
// decide, and nothing of the SDK's own retryer does: RetryMode, MaxAttempts and Retryer
// of the client have no effect. The SDK still signs every attempt anew, corrects its
// clock, and tells the service which attempt it is in the header Amz-Sdk-Request.
//
// Why this is not an aws.Retryer: see docs/adr/0020.
package redressaws
