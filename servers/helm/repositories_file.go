package helm

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v3"
)

// lockTimeout is how long another writer of the repositories file is waited for.
const lockTimeout = 20 * time.Second

// enter puts a repository into the file, under the lock that helm takes too.
// What else the file holds, comments included, stays as it is.
func (b *Backend) enter(ctx context.Context, a *addition) error {
	path := b.cfg.Repositories
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // a link must go on leading there
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	lock := flock.New(strings.TrimSuffix(path, filepath.Ext(path)) + ".lock")
	if held, err := lock.TryLockContext(ctx, 50*time.Millisecond); !held {
		if ctx.Err() != nil {
			return mcpkit.Errorf(mcpkit.Unavailable, "another program holds the lock of the repositories file; nothing was changed, try again")
		}
		return notWritable(err)
	}
	defer lock.Unlock()
	raw, mode := []byte("apiVersion: \"\"\nrepositories: []\n"), fs.FileMode(0o600)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if raw, err = os.ReadFile(path); err != nil {
			return notWritable(err)
		}
	}
	edited, err := withRepository(raw, a)
	if err != nil {
		return err
	}
	folder, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return notWritable(err)
	}
	defer folder.Close()
	if err := replaceFile(folder, filepath.Base(path), edited, mode); err != nil {
		return notWritable(err)
	}
	return nil
}

// withRepository is a repositories file with one more entry, or another URL
// for the entry of that name, whose credentials then go.
func withRepository(raw []byte, a *addition) ([]byte, error) {
	unreadable := mcpkit.Errorf(mcpkit.Unavailable, "the repositories file is not what helm writes (repositories: a list of name and url); a person must correct it")
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, unreadable
	}
	if len(doc.Content) == 0 {
		doc = yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, unreadable
	}
	list := child(root, "repositories")
	if list == nil {
		list = &yaml.Node{}
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "repositories"}, list)
	}
	if list.Kind != yaml.SequenceNode || len(list.Content) == 0 {
		*list = yaml.Node{Kind: yaml.SequenceNode, HeadComment: list.HeadComment, FootComment: list.FootComment}
	}
	if !setEntry(list, a) {
		return nil, mcpkit.Errorf(mcpkit.Conflict, "repository %q changed between plan and approval, so nothing was done; call again", a.Name)
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if err := e.Encode(&doc); err != nil {
		return nil, err
	}
	if _, err := parseRepositories(out.Bytes()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// setEntry adds or replaces a's entry, and reports whether the list was as
// planned.
func setEntry(list *yaml.Node, a *addition) bool {
	var entry yaml.Node
	for _, pair := range [][2]string{{"name", a.Name}, {"url", a.URL}} {
		key, value := &yaml.Node{}, &yaml.Node{}
		key.SetString(pair[0])
		value.SetString(pair[1])
		entry.Content = append(entry.Content, key, value)
	}
	for _, e := range list.Content {
		name, at := child(e, "name"), child(e, "url")
		if name == nil || name.Value != a.Name {
			continue
		}
		if at == nil || !a.replaces(at.Value) {
			return false
		}
		e.Content = entry.Content
		return true
	}
	entry.Kind, entry.Style = yaml.MappingNode, list.Style
	list.Content = append(list.Content, &entry)
	return a.old == ""
}

// replaces reports whether a URL of the file is the one the plan replaces.
func (a *addition) replaces(url string) bool {
	entry := a.Entry
	entry.URL = url
	there, err := newRepository(entry)
	return err == nil && there.base.String() == a.old
}

func child(n *yaml.Node, key string) (out *yaml.Node) {
	eachKey(n, func(k, v *yaml.Node) {
		if k.Value == key {
			out = v
		}
	})
	return out
}

// replaceFile writes a file whole or not at all.
func replaceFile(folder *os.Root, name string, data []byte, mode fs.FileMode) error {
	draft := "." + name + "." + rand.Text()
	f, err := folder.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = folder.Rename(draft, name)
	}
	if err != nil {
		return errors.Join(err, folder.Remove(draft))
	}
	return nil
}
