package engine

// errnoName: Plan 9 has no errnos.
func errnoName(error) string { return "" }
