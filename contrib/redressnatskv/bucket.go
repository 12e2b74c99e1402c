package redressnatskv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redress-policy/redress"
)

// Bucket is the files in a bucket: every key is one, whatever it is called. The greatest
// revision among them, deleted ones too, is the version that a [redress.Status] tells. A
// bucket that is not there is an error.
//
// The source is a [redress.Notifier], by a watch of the bucket, which begins anew when
// the connection or the bucket was lost. A read takes at most 10 seconds.
func Bucket(js jetstream.JetStream, name string) redress.Source { return bucket{js, name} }

type bucket struct {
	js   jetstream.JetStream
	name string
}

const (
	patience = 10 * time.Second // for one exchange with the server
	renewal  = time.Minute      // for a bucket that was deleted and made again
)

// Read implements [redress.Source].
func (b bucket) Read(ctx context.Context) (redress.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	snapshot, err := b.read(ctx)
	if err != nil {
		return redress.Snapshot{}, fmt.Errorf("bucket %s: %w", b.name, err)
	}
	return snapshot, nil
}

func (b bucket) read(ctx context.Context) (redress.Snapshot, error) {
	watcher, err := b.watch(ctx)
	if err != nil {
		return redress.Snapshot{}, err
	}
	defer stop(watcher)
	snapshot, revision := redress.Snapshot{From: "nats:" + b.name}, uint64(0)
	for {
		select {
		case <-ctx.Done():
			return redress.Snapshot{}, context.Cause(ctx)
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return redress.Snapshot{}, errors.New("the watch has ended")
			case entry == nil: // there is no more for now
				slices.SortFunc(snapshot.Files, func(a, b redress.File) int { return strings.Compare(a.Name, b.Name) })
				if revision > 0 {
					snapshot.Version = strconv.FormatUint(revision, 10)
				}
				return snapshot, nil
			}
			revision = max(revision, entry.Revision())
			snapshot.Files = slices.DeleteFunc(snapshot.Files, func(f redress.File) bool { return f.Name == entry.Key() })
			if entry.Operation() == jetstream.KeyValuePut {
				snapshot.Files = append(snapshot.Files, redress.File{Name: entry.Key(), Text: entry.Value()})
			}
		}
	}
}

// watch opens the bucket as it is now: it may have been made anew since the last time.
func (b bucket) watch(ctx context.Context, opts ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	kv, err := b.js.KeyValue(ctx, b.name)
	if err != nil {
		return nil, err
	}
	return kv.WatchAll(ctx, opts...)
}

// stop ends a watch, and takes what it still has, so that it need not wait.
func stop(watcher jetstream.KeyWatcher) {
	if watcher.Stop() == nil {
		for range watcher.Updates() {
		}
	}
}

// Notify implements [redress.Notifier]. It goes on when the server or the bucket was
// away, and ends only with ctx or the connection.
func (b bucket) Notify(ctx context.Context, changed func()) error {
	conn := b.js.Conn()
	states := conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer conn.RemoveStatusListener(states)
	for ctx.Err() == nil {
		err := b.follow(ctx, states, changed)
		if conn.IsClosed() {
			return nats.ErrConnectionClosed
		}
		if err != nil {
			select { // until there may be something to watch
			case <-ctx.Done():
			case <-states:
			case <-time.After(patience):
			}
		}
	}
	return nil
}

// follow tells of changes until the watch has to begin anew, or could not begin.
func (b bucket) follow(ctx context.Context, states <-chan nats.Status, changed func()) error {
	ctx, cancel := context.WithTimeout(ctx, renewal) // the watch lasts as long
	defer cancel()
	slow := time.AfterFunc(patience, cancel)
	watcher, err := b.watch(ctx, jetstream.UpdatesOnly(), jetstream.MetaOnly())
	slow.Stop()
	if err != nil {
		return err
	}
	defer stop(watcher)
	changed() // for what happened before
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-states:
			return nil
		case _, open := <-watcher.Updates():
			if !open {
				return nil
			}
			changed()
		}
	}
}
