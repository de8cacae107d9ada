package model

import (
	"crypto/sha256"
	"sync"
)

// bytesPerToken is what a token is taken for: near enough, and the same each time.
const bytesPerToken = 4

func tokens(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

// CacheMinimum is how many tokens a prefix needs to be kept in a prompt cache,
// as with both providers.
const CacheMinimum = 1024

// usage is what a request costs, in tokens.
type usage struct {
	input  int // all of the prompt, cached or not
	read   int // of it from the cache
	wrote  int // of it into the cache, for five minutes or an hour
	hour   bool
	output int
}

// cache remembers prefixes of prompts. Nothing expires: tests are shorter than
// five minutes.
type cache struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]bool
}

// prefix is the prompt up to the end of a block.
type prefix struct {
	sum    [sha256.Size]byte
	tokens int
	block
}

func prefixes(c *conversation) []prefix {
	out := make([]prefix, 0, len(c.blocks))
	hash := sha256.New()
	hash.Write([]byte(c.model))
	total := 0
	for _, b := range c.blocks {
		hash.Write(b.content)
		hash.Write([]byte{0})
		total += tokens(len(b.content))
		p := prefix{tokens: total, block: b}
		hash.Sum(p.sum[:0])
		out = append(out, p)
	}
	return out
}

// marked counts a request as Anthropic does: what stands before a breakpoint is
// kept, and read again when the same comes back.
func (k *cache) marked(c *conversation) usage {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := prefixes(c)
	var u usage
	kept := 0
	for i, p := range all {
		u.input = p.tokens
		if p.mark && p.tokens >= CacheMinimum {
			kept, u.hour = p.tokens, u.hour || p.hour
			for _, before := range all[max(0, i-19) : i+1] { // the API looks twenty blocks back
				if k.seen[before.sum] {
					u.read = max(u.read, before.tokens)
				}
			}
		}
	}
	for _, p := range all {
		if p.mark && p.tokens >= CacheMinimum {
			k.seen[p.sum] = true
		}
	}
	u.wrote = max(kept-u.read, 0)
	return u
}

// automatic counts a request as OpenAI does: any long prefix is kept, and counts
// as cached in steps of 128 tokens.
func (k *cache) automatic(c *conversation) usage {
	k.mu.Lock()
	defer k.mu.Unlock()
	var u usage
	for _, p := range prefixes(c) {
		u.input = p.tokens
		if p.tokens < CacheMinimum {
			continue
		}
		if k.seen[p.sum] {
			u.read = p.tokens / 128 * 128
		}
		k.seen[p.sum] = true
	}
	return u
}
