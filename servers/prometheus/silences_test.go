package prometheus

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/require"
)

// silenced silences alerts until the test ends, past our tools.
func silenced(t *testing.T, matchers string) string {
	t.Helper()
	return silencedFrom(t, matchers, 0, time.Hour)
}

// silencedFrom is silenced between two moments, told from now.
func silencedFrom(t *testing.T, matchers string, start, end time.Duration) string {
	t.Helper()
	ms, err := parseMatchers(matchers)
	require.NoError(t, err)
	c, err := whole().alertmanager()
	require.NoError(t, err)
	res, err := c.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(t.Context()).WithSilence(&models.PostableSilence{Silence: models.Silence{
		Matchers: apiMatchers(ms), CreatedBy: new("tester"), Comment: new("on purpose"),
		StartsAt: new(strfmt.DateTime(time.Now().Add(start))), EndsAt: new(strfmt.DateTime(time.Now().Add(end))),
	}}))
	require.NoError(t, err)
	t.Cleanup(func() { expire(context.Background(), t, res.Payload.SilenceID) })
	return res.Payload.SilenceID
}

// expire ends a silence past our tools; one that is over stays so.
func expire(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	c, err := whole().alertmanager()
	require.NoError(t, err)
	_, _ = c.Silence.DeleteSilence(silence.NewDeleteSilenceParamsWithContext(ctx).WithSilenceID(strfmt.UUID(id)))
}

func TestSilencesListed(t *testing.T) {
	area := fmt.Sprint("hushed-", time.Now().UnixNano()) // Alertmanager remembers what is over
	raise(t, []string{"alertname", "Hushed", "severity", "odd", "area", area}, []string{"alertname", "Stilled", "severity", "odd", "area", area})
	soon := silencedFrom(t, `alertname=~"Hush.*|Still.*", area="`+area+`"`, 0, 10*time.Minute)
	long := silencedFrom(t, `area="`+area+`", alertname="Hushed", team!~"a|b"`, 0, time.Hour)
	later := silencedFrom(t, `alertname="Stilled", area="`+area+`"`, 30*time.Minute, time.Hour)
	over := silencedFrom(t, `alertname="Hushed", area="`+area+`"`, 0, time.Hour)
	expire(t.Context(), t, over)

	s := reading(t)
	var out SilencesOut
	args := map[string]any{"matchers": `area="` + area + `"`}
	s.Call("alertmanager_silences", args).Into(t, &out)
	require.Equal(t, "2 active, 1 pending, 1 expired (not listed)", out.Verdict)
	require.Equal(t, []string{"id", "state", "matchers", "mutes", "starts", "ends", "by", "comment"}, out.Silences.Columns)
	require.Len(t, out.Silences.Rows, 3)
	first := out.Silences.Rows[0]
	require.Equal(t, []string{soon, "active", `alertname=~"Hush.*|Still.*", area="` + area + `"`, "2: Hushed, Stilled"}, first[:4])
	require.Regexp(t, `Z \(in (9m|10m)`, first[5])
	require.Equal(t, []string{"tester", "on purpose"}, first[6:])
	for _, row := range out.Silences.Rows[1:] {
		if row[0] == long {
			require.Equal(t, []string{"active", `area="` + area + `", alertname="Hushed", team!~"a|b"`, "1: Hushed"}, row[1:4])
		} else {
			require.Equal(t, []string{later, "pending"}, row[:2])
		}
		require.NotContains(t, row[5], "in ")
	}

	args["expired"] = true
	s.Call("alertmanager_silences", args).Into(t, &out)
	require.Equal(t, "2 active, 1 pending, 1 expired", out.Verdict)
	require.Equal(t, []string{over, "expired", `alertname="Hushed", area="` + area + `"`, "0"}, out.Silences.Rows[3][:4])

	args["limit"] = 1
	s.Call("alertmanager_silences", args).Into(t, &out)
	require.Len(t, out.Silences.Rows, 1)
	require.True(t, out.Truncated)
	require.Equal(t, "3 that end later; pass matchers, or lower limit", out.LeftOut)

	s.Call("alertmanager_silences", map[string]any{"matchers": `area="of nobody"`}).Into(t, &out)
	require.Equal(t, "0 active, 0 pending, 0 expired", out.Verdict)
	requireRefused(t, s, "alertmanager_silences", map[string]any{"matchers": `area`}, "invalid: matchers cannot be read: ")
}
