package dsl_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redress-policy/redress/dsl"
)

// sizedFS says of all files that they have that size.
type sizedFS struct {
	fs.FS
	size int64
}

type sizedFile struct {
	fs.File
	fs.FileInfo
}

func (f sizedFS) Open(name string) (fs.File, error) {
	file, err := f.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	return sizedFile{file, sizedInfo{info, f.size}}, err
}

func (f sizedFile) Stat() (fs.FileInfo, error) { return f.FileInfo, nil }

type sizedInfo struct {
	fs.FileInfo
	size int64
}

func (i sizedInfo) Size() int64 { return i.size }

// TestFilesAreReadWholeWhateverTheirSizeIsSaidToBe: a file may grow meanwhile, and files of
// some systems do not know their size.
func TestFilesAreReadWholeWhateverTheirSizeIsSaidToBe(t *testing.T) {
	for _, length := range []int{0, 1, 511, 512, 513, 5000, dsl.MaxFileSize, dsl.MaxFileSize + 1, dsl.MaxFileSize + 600} {
		text := strings.Repeat("x", length)
		files := fstest.MapFS{"p.yaml": {Data: []byte(text)}}
		for _, size := range []int64{-1, 0, 1, int64(length) - 1, int64(length), int64(length) + 1, 1 << 40} {
			source, err := dsl.ReadFile(sizedFS{files, size}, "p.yaml")
			if want := text[:min(length, dsl.MaxFileSize+1)]; err != nil || string(source.Bytes) != want {
				t.Errorf("of %d bytes, said to be %d, %d were read: %v", length, size, len(source.Bytes), err)
			}
		}
	}
}
