package locks

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/clientcmd"
)

// issuerDoor is where the API server is reached as the issuer of its tokens: an
// address that is known before the API server has one, because its tokens name it.
var issuerDoor = sync.OnceValue(func() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return l
})

// tokensName are the API server's flags that make its tokens name the address.
func tokensName(a net.Addr) []string {
	url := "https://" + a.String()
	return []string{"--service-account-issuer=" + url, "--service-account-jwks-uri=" + url + "/openid/v1/jwks"}
}

// openDoor leads everybody who comes to the issuer's address to the API server.
var openDoor = sync.OnceValue(func() error {
	config, err := clientcmd.BuildConfigFromFlags("", bed().Kubeconfig)
	if err != nil {
		return err
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		return err
	}
	go func() {
		for {
			in, err := issuerDoor().Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", server.Host)
				if err != nil {
					return
				}
				defer out.Close()
				go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
				_, _ = io.Copy(in, out)
			}()
		}
	}()
	return nil
})

// clusterIssuer is the API server as an issuer whose documents anybody may
// read, as it calls itself.
func clusterIssuer(t *testing.T) string {
	t.Helper()
	require.NoError(t, bed().Apply(t.Context(), []byte(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everybody-reads-the-issuer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:service-account-issuer-discovery}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:unauthenticated}]
`)))
	require.NoError(t, openDoor())
	var about struct{ Issuer string }
	require.NoError(t, json.Unmarshal([]byte(kubectl(t, "get", "--raw", "/.well-known/openid-configuration")), &about))
	return about.Issuer
}
