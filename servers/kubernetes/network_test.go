package kubernetes

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// blackHole accepts connections and never answers them.
func blackHole(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return l.Addr().String()
}

// holding is the real API server behind a proxy that holds back requests for
// the namespace kube-system until it is told to go on.
type holding struct {
	kubeconfig string
	reached    chan struct{} // closed when the first such request is in
	release    chan struct{} // close it to let them go on
	gone       chan struct{} // closed when the server gives up on one
}

func slowAPI(t testing.TB) *holding {
	t.Helper()
	h := &holding{reached: make(chan struct{}), release: make(chan struct{}), gone: make(chan struct{})}
	var once, left sync.Once
	h.kubeconfig = proxied(t, func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/namespaces/kube-system") {
			once.Do(func() { close(h.reached) })
			select {
			case <-h.release:
			case <-r.Context().Done():
				left.Do(func() { close(h.gone) })
			}
		}
	})
	return h
}

// proxied returns a kubeconfig for the test cluster that goes through a proxy
// of the test's, which sees each request first.
func proxied(t testing.TB, see func(*http.Request)) string {
	t.Helper()
	c := testClients(t)
	transport, err := rest.TransportFor(c.Config)
	require.NoError(t, err)
	target, err := url.Parse(c.Config.Host)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // it would be printed that a client has left
	proxy.Transport = transport
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		see(r)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: s.URL}
	config.AuthInfos["test"] = &clientcmdapi.AuthInfo{}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test", AuthInfo: "test"}
	config.CurrentContext = "test"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	return path
}
