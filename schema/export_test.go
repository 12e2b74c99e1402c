package schema

// For tests that compare the two ways to hold a value against the schema.
var (
	Fits     = fits
	IsUsual  = func(v any) bool { return isUsual(v, 0) }
	Slowly   = validate
	BareJSON = func() []byte { return bareText }

	Annotations = annotations
	FitsText    = func(text string, v any) (bool, error) {
		r, err := compileRules([]byte(text))
		return err == nil && isUsual(v, 0) && r.accept(v), err
	}
)
