package redressrediskv

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/redress-policy/redress"
)

// Hash is the files in the hash at key: every field whose name ends in .yaml or .yml is
// one, and one whose name ends in .rbundle, which stands alone, is a bundle. The fields version and by, if they are there, are what a [redress.Status]
// tells of them. Any other field is an error, and so is a key that is not there: a server
// that was flushed takes no policy away. A layer that is empty for now keeps its version.
//
// The source is a [redress.Notifier]: by messages on the channel named like the key, and
// by notifications of the key if the server makes them (notify-keyspace-events Kgh; a
// cluster tells of them only to who asks the right node). Both are subscribed to on one
// connection, which is made anew when it is lost.
//
// How long a read may take is up to the client's timeouts.
func Hash(client redis.UniversalClient, key string) redress.Source { return hash{client, key} }

type hash struct {
	client redis.UniversalClient
	key    string
}

// Read implements [redress.Source].
func (h hash) Read(ctx context.Context) (redress.Snapshot, error) {
	fields, err := h.client.HGetAll(ctx, h.key).Result()
	if err != nil {
		return redress.Snapshot{}, err
	}
	if len(fields) == 0 {
		return redress.Snapshot{}, fmt.Errorf("there is no key %q", h.key)
	}
	snapshot := redress.Snapshot{From: "redis:" + h.key}
	for name, text := range fields {
		switch ext := path.Ext(name); {
		case name == "version":
			snapshot.Version = text
		case name == "by":
			snapshot.By = text
		case ext == ".yaml" || ext == ".yml" || ext == ".rbundle":
			snapshot.Files = append(snapshot.Files, redress.File{Name: name, Text: []byte(text)})
		default:
			return redress.Snapshot{}, fmt.Errorf("field %q of %q is neither a file, whose name ends in .yaml, .yml or .rbundle, nor version, nor by", name, h.key)
		}
	}
	slices.SortFunc(snapshot.Files, func(a, b redress.File) int { return strings.Compare(a.Name, b.Name) })
	return snapshot, nil
}

// Notify implements [redress.Notifier]. It goes on when the server was away, and ends
// only with ctx or the client.
func (h hash) Notify(ctx context.Context, changed func()) error {
	subscription := h.client.PSubscribe(ctx, literal.Replace(h.key), "__keyspace@*__:"+literal.Replace(h.key))
	defer subscription.Close()
	// What was published while there was no connection is lost; that there is one again
	// is told by the subscription, and may be a change.
	messages := subscription.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-messages:
			if !open {
				return errors.New("the subscription has ended")
			}
			changed()
		}
	}
}

// literal has a pattern mean only itself.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `^`, `\^`)
