package lint

import "runtime/debug"

// CollectRarely has garbage collected when the heap is five times what is in use, where
// twice is usual. That takes a quarter of the processor time from a run on many files, for
// two to three times the memory, and a run on a few ends before the first collection. It
// is for processes that end soon. What GOGC says counts as what is usual. Calling restore
// ends it.
func CollectRarely() (restore func()) {
	usual := debug.SetGCPercent(-1)
	if usual > 0 { // not GOGC=off
		debug.SetGCPercent(4 * usual)
	}
	return func() { debug.SetGCPercent(usual) }
}
