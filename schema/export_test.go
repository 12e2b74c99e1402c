package schema

// For tests that compare the two ways to hold a value against the schema.
var (
	IsUsual = func(v Value) bool { return isUsual(v, 0) }

	FitsText = func(text string, v Value) (bool, error) {
		root, c := compileRules([]byte(text))
		return c.err == nil && isUsual(v, 0) && c.rules().acceptValue(root, v), c.err
	}
)
