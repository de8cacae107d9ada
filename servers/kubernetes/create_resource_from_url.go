package kubernetes

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// createResourceFromURL exists only where the operator allowed a host: a tool
// that cannot be used would cost every caller its description.
var createResourceFromURL = mcpkit.Tool{
	Name:        "k8s_create_resource_from_url",
	Title:       "Create Kubernetes objects from a URL",
	Description: "Creates the objects of a manifest fetched over https from a host the operator allows, as k8s_create_resource does.",
	Rules:       changeable("create"),
}

type CreateResourceFromURLIn struct {
	URL       string `json:"url" jsonschema:"https URL of the manifest"`
	Namespace string `json:"namespace,omitempty" jsonschema:"for objects that name none"`
}

func (b *Backend) planCreateFromURL(ctx context.Context, in CreateResourceFromURLIn) (mcpkit.Plan, error) {
	manifest, err := b.fetch(ctx, in.URL)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	plan, err := b.planCreateOf(ctx, "the manifest", manifest, in.Namespace)
	plan.Seen = append(plan.Seen, fmt.Sprintf("%s %x", in.URL, sha256.Sum256([]byte(manifest)))) // what is there can change
	return plan, err
}

// Bounds of fetching one manifest.
const (
	dialTimeout  = 5 * time.Second
	fetchTimeout = 10 * time.Second
)

// fetch reads a manifest from an allowed host.
func (b *Backend) fetch(ctx context.Context, address string) (string, error) {
	u, err := b.allowedURL(address)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", mcpkit.Errorf(mcpkit.Invalid, "url: %w", err)
	}
	req.Header.Set("User-Agent", b.cfg.UserAgent)
	res, err := b.fetcher(u).Do(req)
	if err != nil {
		return "", fetchFailed(u, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", mcpkit.Errorf(mcpkit.NotFound, "%s answered %s", u.Host, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, manifestBytes+1))
	if err != nil {
		return "", fetchFailed(u, err)
	}
	if len(body) > manifestBytes {
		return "", mcpkit.Errorf(mcpkit.TooLarge, "what %s sent has more than %d bytes", u.Host, manifestBytes)
	}
	return string(body), nil
}

// fetchFailed says why without the URL, whose path or query may be a credential.
func fetchFailed(u *url.URL, err error) error {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known
	}
	if failed, ok := errors.AsType[*url.Error](err); ok {
		err = failed.Err
	}
	return mcpkit.Errorf(mcpkit.Unavailable, "cannot fetch the manifest from %s: %w", u.Host, err)
}

// allowedURL holds a URL against the operator's list: https, and a host that
// is on it letter for letter.
func (b *Backend) allowedURL(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url is not one; write it like https://example.com/app.yaml")
	case u.Scheme != "https":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url must begin with https://")
	case u.User != nil:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url must not carry a user or password")
	case !slices.ContainsFunc(b.cfg.AllowedURLHosts, func(host string) bool { return strings.EqualFold(host, u.Host) }):
		return nil, mcpkit.Errorf(mcpkit.Denied, "the operator has not allowed manifests from %q, only from %s", u.Host, strings.Join(b.cfg.AllowedURLHosts, ", "))
	}
	return u, nil
}

// fetcher is a client for u's host alone: it follows redirects there and
// nowhere else, takes no proxy, and connects to this machine or a link-local
// address, where cloud metadata lives, only when the operator allowed that
// very address.
func (b *Backend) fetcher(u *url.URL) *http.Client {
	_, notLiteral := netip.ParseAddr(u.Hostname())
	dialer := &net.Dialer{Timeout: dialTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("address %s: %w", address, err)
		}
		ip := to.Addr().Unmap()
		if notLiteral != nil && (ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified()) {
			return mcpkit.Errorf(mcpkit.Denied, "%s leads to the address %s, which no manifest is fetched from", u.Hostname(), ip)
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: b.fetchTLS, DisableKeepAlives: true, ForceAttemptHTTP2: true},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return mcpkit.Errorf(mcpkit.Unavailable, "%s redirects too often", u.Host)
			}
			if r.URL.Scheme != "https" || r.URL.Host != u.Host {
				return mcpkit.Errorf(mcpkit.Denied, "%s redirects to another host, %s", u.Host, r.URL.Host)
			}
			return nil
		},
	}
}
