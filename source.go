package redress

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redress-policy/redress/dsl"
	"github.com/redress-policy/redress/internal/ir"
)

// A Source is where a live set gets its documents from; see [Watch]. Read returns what
// there is now. It is never called by two goroutines at once by the same set.
type Source interface {
	Read(ctx context.Context) (Snapshot, error)
}

// A Notifier is a source that can tell when there is something to read, so that it is
// found sooner than by the next regular look. Notify calls changed, which returns at
// once, until ctx ends; then it returns. That it returns earlier, with an error, is
// noted in [Status], and the set is followed by regular looks alone.
type Notifier interface {
	Notify(ctx context.Context, changed func()) error
}

// A Snapshot is all files of a source at one time, and what the source says of them.
type Snapshot struct {
	Files   []File
	Version string // as the source calls it: an ETag, a revision; may be empty
	From    string // where it is from, for people; no secrets
	By      string // who put it there, if the source knows
	// Whole says that the source never shows a part of a version, so that it need not
	// be read twice before it is believed.
	Whole bool
}

// A File is one file of policies, or a bundle. Its name need not end in .yaml.
type File struct {
	Name string
	Text []byte

	layer     int // see Layers
	layerName string
}

// digest tells snapshots apart by what the files are called and say.
func (s Snapshot) digest() string {
	h := sha256.New()
	for _, f := range s.Files {
		fmt.Fprintf(h, "%d %d %d\n%s\n", f.layer, len(f.Name), len(f.Text), f.Name)
		h.Write(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// Dir is the .yaml and .yml files of a folder, as [Load] reads them. The folder is
// opened anew each time, so that it may be a symbolic link that is pointed elsewhere,
// and its files may be replaced in any way.
func Dir(path string) Source { return fsSource{func() fs.FS { return os.DirFS(path) }, path} }

// FS is the .yaml and .yml files of a file system, as [Load] reads them; name is what
// events call it.
func FS(name string, fsys fs.FS) Source {
	return fsSource{func() fs.FS { return fsys }, name}
}

type fsSource struct {
	open func() fs.FS
	name string
}

// Read implements Source.
func (s fsSource) Read(context.Context) (Snapshot, error) {
	sources, err := dsl.ReadFS(s.open())
	if err != nil {
		return Snapshot{}, err
	}
	snapshot := Snapshot{From: s.name}
	for _, one := range sources {
		snapshot.Files = append(snapshot.Files, File{Name: one.Name, Text: one.Bytes})
	}
	return snapshot, nil
}

// BundleFile is a bundle that stands in a file, which redress-lint build writes. Sources
// that have files of any name can hold one, too: what begins like a bundle is one.
func BundleFile(path string) Source { return bundleFile(path) }

type bundleFile string

// Read implements Source.
func (b bundleFile) Read(context.Context) (Snapshot, error) {
	info, err := os.Stat(string(b))
	if err != nil {
		return Snapshot{}, err
	}
	if !info.Mode().IsRegular() { // reading a pipe might never end
		return Snapshot{}, fmt.Errorf("%s is no regular file", string(b))
	}
	file, err := os.Open(string(b))
	if err != nil {
		return Snapshot{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, ir.MaxSize+1))
	if err != nil {
		return Snapshot{}, err
	}
	if !ir.IsBundle(text) {
		return Snapshot{}, fmt.Errorf("%s: %w: it does not begin like one; redress-lint build writes bundles", string(b), ir.ErrDamaged)
	}
	return Snapshot{Files: []File{{Name: string(b), Text: text}}, From: string(b)}, nil
}

// An HTTPSource is one file, of documents or a bundle, that a server has. It asks with
// the ETag of what it got last, so that looking often costs little.
type HTTPSource struct {
	URL    string
	Client *http.Client // nil means http.DefaultClient with a timeout of 30 seconds
	// Key, if given, must have signed the body: the answer's header Redress-Signature is
	// the ed25519 signature in standard base64. Without a key, URL must be https, and so
	// must be all that it is redirected to.
	Key ed25519.PublicKey

	mu   sync.Mutex
	last Snapshot // guarded by mu; what ETag stands for, once it is not empty
}

// SignatureHeader is the header in which an [HTTPSource] looks for the signature.
const SignatureHeader = "Redress-Signature"

// Read implements Source.
func (s *HTTPSource) Read(ctx context.Context) (Snapshot, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	request, err := s.request(ctx, last.Version)
	if err != nil {
		return Snapshot{}, err
	}
	answer, err := s.client().Do(request)
	if err != nil {
		return Snapshot{}, withoutSecrets(err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusNotModified && last.Version != "":
		return last, nil
	case answer.StatusCode != http.StatusOK:
		return Snapshot{}, fmt.Errorf("%s answers %s", shown(request.URL), answer.Status)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, max(dsl.MaxFileSize, ir.MaxSize)+1))
	if err != nil {
		return Snapshot{}, err
	}
	if err := s.verify(text, answer.Header.Get(SignatureHeader)); err != nil {
		return Snapshot{}, err
	}
	name := shown(request.URL)
	snapshot := Snapshot{Files: []File{{Name: name, Text: text}}, Version: answer.Header.Get("ETag"), From: name, Whole: true}
	s.mu.Lock()
	s.last = snapshot
	s.mu.Unlock()
	return snapshot, nil
}

// client is the one to use; without a key it follows no redirect to where somebody could
// change the file on its way.
func (s *HTTPSource) client() *http.Client {
	client := *http.DefaultClient
	if s.Client != nil {
		client = *s.Client
	} else {
		client.Timeout = 30 * time.Second
	}
	if len(s.Key) > 0 {
		return &client
	}
	given := client.CheckRedirect
	client.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		switch {
		case next.URL.Scheme != "https":
			return errors.New("it is redirected to where it is not https, and there is no key to check a signature with")
		case given != nil:
			return given(next, via)
		case len(via) >= 10:
			return errors.New("it is redirected more than 10 times")
		}
		return nil
	}
	return &client
}

func (s *HTTPSource) request(ctx context.Context, etag string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return nil, withoutSecrets(err)
	}
	if len(s.Key) == 0 && request.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s is neither https nor is there a key to check a signature with", shown(request.URL))
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	return request, nil
}

func (s *HTTPSource) verify(text []byte, signature string) error {
	if len(s.Key) == 0 {
		return nil
	}
	if len(s.Key) != ed25519.PublicKeySize {
		return fmt.Errorf("the key has %d bytes, not %d", len(s.Key), ed25519.PublicKeySize)
	}
	if signature == "" {
		return fmt.Errorf("the answer has no %s", SignatureHeader)
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || !ed25519.Verify(s.Key, text, raw) {
		return fmt.Errorf("%s is not that of the key", SignatureHeader)
	}
	return nil
}

// shown is a URL without its secrets: the password, and the query, which may be a signature.
func shown(u *url.URL) string {
	open := *u
	if open.RawQuery != "" {
		open.RawQuery = "..."
	}
	return open.Redacted()
}

// withoutSecrets takes secrets out of an error of net/http.
func withoutSecrets(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		if parsed, bad := url.Parse(of.URL); bad == nil {
			of.URL = shown(parsed)
		} else {
			of.URL = "the URL"
			return errors.New("the URL of an HTTPSource cannot be read; it is not shown, for it may hold a secret")
		}
	}
	return err
}

// A Layer is a source that says the same as others, but for what it says differently.
type Layer struct {
	Name   string // begins the names of its files: "emergency:override.yaml"
	Source Source
}

// Layers is several sources, later ones over earlier ones: a document takes the place
// of those of the same kind and name in the layers before. If one layer cannot be read,
// none can. It notifies as those layers do that can.
func Layers(layers ...Layer) Source { return layered(slices.Clone(layers)) }

type layered []Layer

// Read implements Source.
func (l layered) Read(ctx context.Context) (Snapshot, error) {
	all := Snapshot{Whole: true}
	var versions, from, by []string
	next := 0 // layers may be layers of layers
	for _, layer := range l {
		one, err := layer.Source.Read(ctx)
		if err != nil {
			return Snapshot{}, fmt.Errorf("layer %s: %w", layer.Name, err)
		}
		first := next
		for _, f := range one.Files {
			made := File{Name: layer.Name + ":" + f.Name, Text: f.Text, layer: first + f.layer, layerName: layer.Name}
			if f.layerName != "" {
				made.layerName += ":" + f.layerName
			}
			all.Files = append(all.Files, made)
			next = max(next, made.layer)
		}
		next++
		all.Whole = all.Whole && one.Whole
		versions = appendSaid(versions, layer.Name, one.Version)
		from = appendSaid(from, layer.Name, one.From)
		by = appendSaid(by, layer.Name, one.By)
	}
	all.Version, all.From, all.By = strings.Join(versions, ", "), strings.Join(from, ", "), strings.Join(by, ", ")
	return all, nil
}

func appendSaid(list []string, layer, said string) []string {
	if said == "" {
		return list
	}
	return append(list, layer+"="+said)
}

// Notify implements Notifier.
func (l layered) Notify(ctx context.Context, changed func()) error {
	errs := make([]error, len(l))
	var group sync.WaitGroup
	for i, layer := range l {
		if n, ok := layer.Source.(Notifier); ok {
			group.Go(func() {
				if errs[i] = notify(ctx, n, changed); errs[i] != nil {
					errs[i] = fmt.Errorf("layer %s: %w", layer.Name, errs[i])
				}
			})
		}
	}
	group.Wait()
	if !slices.ContainsFunc(l, func(layer Layer) bool { _, ok := layer.Source.(Notifier); return ok }) {
		<-ctx.Done() // no layer could tell of changes, so that none has stopped
	}
	return errors.Join(errs...)
}
