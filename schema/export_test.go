package schema

// For tests that compare the two ways to hold a value against the schema.
var (
	Fits    = fits
	IsUsual = func(v any) bool { return isUsual(v, 0) }
	Slowly  = validate

	FitsText = func(text string, v any) (bool, error) {
		root, c := compileRules([]byte(text))
		return c.err == nil && isUsual(v, 0) && c.rules().accept(root, v), c.err
	}
)
