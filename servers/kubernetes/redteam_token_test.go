package kubernetes

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// requireTurnedAway holds a request to get no further than the door.
func (c *crib) requireTurnedAway(r reply) {
	c.t.Helper()
	require.Equal(c.t, http.StatusUnauthorized, r.Status, r.Body)
	require.Contains(c.t, r.Header.Get("WWW-Authenticate"), "Bearer")
	require.NotContains(c.t, r.Body, "k8s_")
	require.Empty(c.t, c.recorded())
	c.requireUntouched()
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

func TestRedTeamNoToken(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	c.requireTurnedAway(c.call("", "k8s_patch_resource", theShelf))
	c.requireTurnedAway(c.send("", listTools, nil))
	for _, header := range []string{"Bearer", "Bearer ", "Basic YWRhOmFkYQ==", "bearer\t" + c.agent, c.agent, "Bearer " + c.agent + ", Bearer " + c.agent} {
		c.requireTurnedAway(c.send("", listTools, http.Header{"Authorization": {header}}))
	}
}

func TestRedTeamTokenInTheURL(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	for _, path := range []string{"?access_token=", "?token=", "?Authorization=Bearer%20"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL+path+c.agent, strings.NewReader(listTools))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		c.requireTurnedAway(c.do(r))
	}
}

// A token that the agent has for the API server is no way in, nor is one for
// another server of the same namespace.
func TestRedTeamTokenOfAnotherAudience(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	for _, audience := range []string{"", "https://kubernetes.default.svc", "server-write." + c.namespace + ".svc", strings.ToUpper(c.audience), c.audience + ".cluster.local"} {
		c.requireTurnedAway(c.call(c.token("agent", audience), "k8s_patch_resource", theShelf))
	}
}

// The other way round: whoever steals a token at the server cannot take it to
// the API server.
func TestRedTeamTokenTakenToTheAPIServer(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	config, err := clientcmd.BuildConfigFromFlags("", tokenKubeconfig(t, c.agent))
	require.NoError(t, err)
	api, err := client.NewForConfig(config)
	require.NoError(t, err)
	_, err = api.CoreV1().ConfigMaps(c.namespace).Get(t.Context(), "shelf", metav1.GetOptions{})
	require.True(t, apierrors.IsUnauthorized(err), "%v", err)
}

func TestRedTeamExpiredToken(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	good := c.resigned(c.agent, clusterKey(t), func(claims map[string]any) {})
	require.Equal(t, http.StatusOK, c.send(good, listTools, nil).Status, "the signature is the cluster's")
	expired := c.resigned(c.agent, clusterKey(t), func(claims map[string]any) {
		past := time.Now().Add(-time.Hour).Unix()
		claims["iat"], claims["nbf"], claims["exp"] = past-600, past-600, past
	})
	c.requireTurnedAway(c.call(expired, "k8s_patch_resource", theShelf))
}

func TestRedTeamTokenBeforeItsTime(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	c.requireTurnedAway(c.call(c.resigned(c.agent, clusterKey(t), func(claims map[string]any) {
		claims["nbf"] = time.Now().Add(time.Hour).Unix()
	}), "k8s_patch_resource", theShelf))
}

func TestRedTeamForgedToken(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	same := func(map[string]any) {}
	c.requireTurnedAway(c.call(c.resigned(c.agent, own, same), "k8s_patch_resource", theShelf))
	head, body, _ := strings.Cut(c.agent, ".")
	body, sum, _ := strings.Cut(body, ".")
	unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`))
	for _, token := range []string{unsigned + "." + body + ".", unsigned + "." + body + "." + sum, head + "." + body + "." + sum[:len(sum)-4] + "AAAA", head + "." + body} {
		c.requireTurnedAway(c.call(token, "k8s_patch_resource", theShelf))
	}
}

// A token outlives its ServiceAccount on paper; the cluster knows better, and so
// does the server within seconds, whatever it remembers.
func TestRedTeamTokenOfADeletedAccount(t *testing.T) {
	t.Parallel() // it waits for seconds
	c := writeCrib(t)
	require.Equal(t, http.StatusOK, c.send(c.other, listTools, nil).Status)
	require.NoError(t, testClients(t).typed.CoreV1().ServiceAccounts(c.namespace).Delete(t.Context(), "other", metav1.DeleteOptions{}))
	within(t, "the token is refused", func() bool {
		return c.send(c.other, listTools, nil).Status == http.StatusUnauthorized
	})
	c.requireTurnedAway(c.call(c.other, "k8s_patch_resource", theShelf))
}

// A tool that a caller was not granted is not listed, and calling it by its name
// all the same is refused before anything is planned.
func TestRedTeamToolNotGranted(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	list := c.send(c.agent, listTools, nil)
	require.Contains(t, list.Body, `"k8s_patch_resource"`)
	require.NotContains(t, list.Body, "k8s_delete_resource")
	require.Contains(t, list.Body, `"cacheScope":"private"`, "it is not for others to see")
	r := c.call(c.agent, "k8s_delete_resource", map[string]any{"resource_type": "configmap", "resource_name": "shelf"})
	require.True(t, r.IsError)
	require.Contains(t, r.Text, "denied: "+c.account("agent")+" may not call k8s_delete_resource")
	require.Equal(t, "denied", c.recorded()[0]["verdict"])
	require.Empty(t, c.approvals())
	for _, e := range c.requests() {
		require.NotEqual(t, "configmaps", e.Resource, e.RequestURI)
	}
	c.requireUntouched()
}

// What another access mode serves does not exist in this one, whoever is granted
// it.
func TestRedTeamToolOfTheOtherAccessMode(t *testing.T) {
	t.Parallel()
	c := newCrib(t, "read", []string{"k8s_get_resources", "k8s_patch_resource"})
	for _, name := range []string{"k8s_patch_resource", "K8S_GET_RESOURCES", "k8s_get_resources ", "k8s_get_resources\u200b", "../k8s_patch_resource", ""} {
		r := c.call(c.agent, name, theShelf)
		require.True(t, r.IsError, "%q: %s", name, r.Body)
		require.NotContains(t, r.Body, `"content"`, name)
	}
	require.NotContains(t, c.send(c.agent, listTools, nil).Body, "k8s_patch_resource")
	c.requireUntouched()
}

// Taking a right back works within seconds, whatever was remembered.
func TestRedTeamRightTakenBack(t *testing.T) {
	t.Parallel() // it waits for seconds
	c := writeCrib(t)
	require.Contains(t, c.send(c.agent, listTools, nil).Body, "k8s_patch_resource")
	require.NoError(t, testClients(t).typed.RbacV1().RoleBindings(c.namespace).Delete(t.Context(), "caller", metav1.DeleteOptions{}))
	within(t, "the caller is refused", func() bool {
		return strings.Contains(c.call(c.agent, "k8s_patch_resource", theShelf).Text, "may not call k8s_patch_resource")
	})
	within(t, "the caller is shown nothing", func() bool { // each tool's right was remembered at a time of its own
		return strings.Contains(c.send(c.agent, listTools, nil).Body, `"tools":[]`)
	})
	c.requireUntouched()
}

// clusterKey is the key that the cluster signs tokens with.
func clusterKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(cluster().Dir, "pki", "serviceaccount.key"))
	require.NoError(t, err)
	block, _ := pem.Decode(raw)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key
}

// resigned is a token with other claims, signed with key.
func (c *crib) resigned(token string, key *rsa.PrivateKey, change func(claims map[string]any)) string {
	c.t.Helper()
	parts := strings.Split(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(c.t, err)
	var claims map[string]any
	require.NoError(c.t, json.Unmarshal(raw, &claims))
	change(claims)
	raw, err = json.Marshal(claims)
	require.NoError(c.t, err)
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	require.NoError(c.t, err)
	made := signed + "." + base64.RawURLEncoding.EncodeToString(signature)
	c.tokens = append(c.tokens, made)
	return made
}
