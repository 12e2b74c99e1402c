package lint

import "os"

// WantsColor reports whether f is a terminal whose user has not asked for plain
// text (NO_COLOR, TERM=dumb) or whether colour is forced (CLICOLOR_FORCE).
func WantsColor(f *os.File) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return IsTerminal(f)
}

// IsTerminal reports whether f is a terminal that can do more than print.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
