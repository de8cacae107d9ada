package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// requireRefused holds every smuggled call to be refused in the words given,
// before anybody is asked about it.
func (c *crib) requireRefused(tool string, smuggled map[string]string) {
	c.t.Helper()
	for args, want := range smuggled {
		args = strings.ReplaceAll(args, "NS", fmt.Sprintf("%q", c.namespace))
		r := c.send(c.agent, called(tool, args), nil)
		require.True(c.t, r.IsError || r.Status != http.StatusOK, "%s: %s", args, r.Body)
		require.Contains(c.t, r.Text+r.Body, want, beginning(args))
	}
	require.Empty(c.t, c.approvals())
	c.requireUntouched()
}

func beginning(s string) string { return s[:min(len(s), 200)] }

func TestRedTeamUnknownArguments(t *testing.T) {
	t.Parallel()
	writeCrib(t).requireRefused("k8s_patch_resource", map[string]string{
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","force":true}`:            `invalid: unknown argument "force"`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","kubeconfig":"/etc"}`:     `invalid: unknown argument "kubeconfig"`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","__proto__":{"a":1}}`:     `invalid: unknown argument "__proto__"`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","toolcrib.dev/agent":""}`: `invalid: unknown argument "toolcrib.dev/agent"`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","":"x"}`:                  `invalid: unknown argument ""`,
	})
}

func TestRedTeamDuplicateArguments(t *testing.T) {
	t.Parallel()
	writeCrib(t).requireRefused("k8s_patch_resource", map[string]string{
		`{"resource_type":"configmap","resource_name":"other","namespace":NS,"patch":"{}","resource_name":"shelf"}`:          `invalid: argument "resource_name" is given twice`,
		`{"resource_type":"configmap","resource_name":"other","namespace":NS,"patch":"{}","resource_n\u0061me":"shelf"}`:     `invalid: argument "resource_name" is given twice`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}","patch":"{\"data\":{\"saw\":1}}"}`: `invalid: argument "patch" is given twice`,
	})
}

func TestRedTeamNestedDuplicates(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	c.requireRefused("k8s_label_resource", map[string]string{
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"labels":{"a":"b","a":"c"}}`:           `invalid: argument "a" is given twice`,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"labels":"{\"a\":\"b\",\"a\":\"c\"}"}`: `invalid: `,
	})
	c.requireRefused("k8s_patch_resource", map[string]string{
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{\"data\":{\"saw\":\"sharp\"},\"data\":{\"saw\":\"gone\"}}"}`: `invalid: `,
		`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"data: {saw: sharp}\ndata: {saw: gone}"}`:                      `invalid: `,
	})
	c.requireRefused("k8s_apply_manifest", map[string]string{
		`{"namespace":NS,"manifest":"{apiVersion: v1, kind: ConfigMap, metadata: {name: shelf}, data: {saw: sharp}, data: {saw: gone}}"}`:                     `invalid: `,
		`{"namespace":NS,"manifest":"{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"shelf\"}, \"Data\": {\"saw\": \"gone\"}}"}`: `invalid: `,
	})
}

// Go's own decoder takes a key in any case, and folds the long s and the Kelvin
// sign as well.
func TestRedTeamCaseVariants(t *testing.T) {
	t.Parallel()
	smuggled := map[string]string{}
	for _, key := range []string{"Patch", "PATCH", "Resource_Name", "NameSpace", "re\u017fource_name", "name\u017fpace"} {
		smuggled[fmt.Sprintf(`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}",%q:"kube-system"}`, key)] = fmt.Sprintf("invalid: unknown argument %q", key)
	}
	writeCrib(t).requireRefused("k8s_patch_resource", smuggled)
}

func TestRedTeamLookAlikes(t *testing.T) {
	t.Parallel()
	smuggled := map[string]string{}
	for _, key := range []string{"\uff50atch", "p\u0430tch", "patch\u200b", "\ufeffpatch", "pa\u0301tch", "patch\u00a0", "patch\u0000", "pat\u00adch", "patch ", "\u202epatch"} {
		raw := strings.ReplaceAll(fmt.Sprintf("%+q", key), `\x`, `\u00`)
		smuggled[`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"patch":"{}",`+raw+`:"{\"data\":null}"}`] = "invalid: unknown argument "
	}
	c := writeCrib(t)
	c.requireRefused("k8s_patch_resource", smuggled)
	for _, name := range []string{"\uff53helf", "sh\u0435lf", "shelf\u200b", "she\u0301lf", "SHELF", "shelf "} {
		r := c.call(c.agent, "k8s_patch_resource", map[string]any{"resource_type": "configmap", "resource_name": name, "patch": "{}"})
		require.True(t, r.IsError, name)
		require.Regexp(t, "^(invalid|not_found): ", r.Text, name)
	}
	require.Empty(t, c.approvals())
	c.requireUntouched()
}

func TestRedTeamArgumentsThatAreNoObject(t *testing.T) {
	t.Parallel()
	writeCrib(t).requireRefused("k8s_patch_resource", map[string]string{
		`"{\"resource_type\":\"configmap\"}"`:    `invalid: the arguments must be one JSON object`,
		`[{"resource_type":"configmap"}]`:        `invalid: the arguments must be one JSON object`,
		`7`:                                      `invalid: the arguments must be one JSON object`,
		`null`:                                   `invalid: argument "`,
		`{"resource_type":["configmap"]}`:        `invalid: argument "resource_`,
		`{"resource_type":null,"patch":{"a":1}}`: `invalid: argument "`,
		`{} {}`:                                  ``,
		`{`:                                      ``,
	})
}

func TestRedTeamDeepNesting(t *testing.T) {
	t.Parallel()
	smuggled := map[string]string{}
	for _, depth := range []int{65, 9_000, 500_000} {
		smuggled[`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"labels":`+strings.Repeat(`{"a":`, depth)+`1`+strings.Repeat(`}`, depth)+`}`] = ""
		smuggled[strings.Repeat(`[`, depth)+strings.Repeat(`]`, depth)] = ""
		smuggled[`{"resource_type":"configmap","resource_name":"shelf","namespace":NS,"labels":"`+strings.Repeat(`[`, depth)+`"}`] = "invalid: "
	}
	writeCrib(t).requireRefused("k8s_label_resource", smuggled)
}

// Few bytes that unfold to many.
func TestRedTeamManifestThatUnfolds(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+",", 9), ","))
	}
	manifest := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shelf}\n" + bomb
	c := writeCrib(t)
	c.requireRefused("k8s_apply_manifest", map[string]string{fmt.Sprintf(`{"namespace":NS,"manifest":%q}`, manifest): "too_large: manifest unfolds into more than"})
	_, peak, err := c.Memory()
	require.NoError(t, err)
	require.Less(t, peak, 150<<20)
}

func TestRedTeamNumbersOutOfRange(t *testing.T) {
	t.Parallel()
	smuggled := map[string]string{}
	for _, n := range []string{"1e400", "-1", "1.5", "9223372036854775808", "1e999999999", "-0.1", `"1e99"`, `"0x5"`, `" 5 5 "`, `"Infinity"`, "true", "[1]"} {
		smuggled[`{"name":"web","namespace":NS,"replicas":`+n+`}`] = `invalid: argument "replicas"`
	}
	for _, n := range []string{"NaN", "05", "+5", "0x5", "1_000"} {
		smuggled[`{"name":"web","namespace":NS,"replicas":`+n+`}`] = ``
	}
	writeCrib(t).requireRefused("k8s_scale", smuggled)
}

// The envelope is JSON too: what says the tool's name twice, in other letters or
// otherwise in its headers, reaches no tool that its caller may not call.
func TestRedTeamEnvelopeThatSaysTwoThings(t *testing.T) {
	t.Parallel()
	c := newCrib(t, "write", []string{"k8s_label_resource"})
	target := fmt.Sprintf(`{"resource_type":"configmap","resource_name":"shelf","namespace":%q}`, c.namespace)
	for _, params := range []string{
		`{"name":"k8s_label_resource","name":"k8s_delete_resource","arguments":` + target + `}`,
		`{"name":"k8s_label_resource","Name":"k8s_delete_resource","arguments":` + target + `}`,
		`{"NAME":"k8s_delete_resource","name":"k8s_label_resource","Arguments":` + target + `}`,
		`{"name":"k8s_label_resource","arguments":{}},"Params":{"name":"k8s_delete_resource","arguments":` + target + `}`,
		`{"name":"k8s_label_resource","arguments":{}},"params":{"name":"k8s_delete_resource","arguments":` + target + `}`,
	} {
		r := c.send(c.agent, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`, nil)
		require.True(t, r.IsError || r.Status != http.StatusOK, r.Body)
	}
	call := called("k8s_delete_resource", target)
	batch := c.send(c.agent, "["+listTools+","+strings.Replace(call, `"id":1`, `"id":2`, 1)+"]", nil)
	require.Contains(t, batch.Body, "may not call k8s_delete_resource")
	for _, headers := range []http.Header{
		{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/list"}},
		{"Mcp-Protocol-Version": {"2026-07-28"}, "Mcp-Method": {"tools/call"}, "Mcp-Name": {"k8s_label_resource"}},
	} {
		r := c.send(c.agent, call, headers)
		require.Equal(t, http.StatusBadRequest, r.Status, r.Body)
	}
	require.Empty(t, c.approvals())
	c.requireUntouched()
}
