package mcpkit

import (
	"fmt"
	"strings"
	"testing"
)

// benchLog is n bytes of a log such as a web service writes, a secret now and
// then.
func benchLog(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "2026-01-02T15:04:%02dZ INFO http: request method=GET path=/api/v1/orders/%d status=200 duration=%dms user_agent=\"curl/8.1\" trace_id=4bf92f3577b34da6a3ce929d0e0e4736\n", i%60, i, i%97)
		fmt.Fprintf(&b, `{"time":"2026-01-02T15:04:05Z","level":"info","msg":"order stored","id":%d,"items":[{"sku":"a-%d","n":2}]}`+"\n", i, i)
		if i%50 == 0 {
			fmt.Fprintf(&b, "connecting to postgres://app:hunter%d@db:5432/shop?sslmode=off with token=abc%d\n", i, i)
		}
	}
	return b.String()[:n]
}

func BenchmarkRedactText(b *testing.B) {
	r := NewRedactor([]byte("bench"))
	for _, n := range []int{24 << 10, 1 << 20} {
		s := benchLog(n)
		b.Run(fmt.Sprintf("log-%dKiB", n>>10), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				r.Text(s)
			}
		})
	}
	for name, s := range hostileTexts(1 << 20) {
		b.Run("hostile-"+name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				r.Text(s)
			}
		})
	}
}

// hostileTexts are n bytes each of what would make a careless scanner look
// back or ahead again and again.
func hostileTexts(n int) map[string]string {
	texts := map[string]string{}
	for name, part := range map[string]string{
		"begins":    "-----BEGIN RSA PRIVATE KEY-----\n",
		"ends":      "-----END RSA PRIVATE KEY-----\n",
		"base64":    "QUJDRA",
		"quotes":    `password="`,
		"escapes":   `\\\\`,
		"braces":    `{"data":{`,
		"colons":    "a:b=",
		"dashes":    "--password ",
		"ats":       "a:b@c:1,",
		"schemes":   "a://b:",
		"secrets":   "kind: Secret\ndata:\n  a: b\n",
		"json":      `kind:"Secret" data:{"a":"b",`,
		"blocks":    "password: |\n  a\n",
		"described": "password:\n----\n",
		"elements":  "<password>",
		"tokens":    "eyJhbGciOi.",
		"commas":    "password=a,b,",
		"short":     "mysql -p-p",
		"nested":    "[",
	} {
		texts[name] = strings.Repeat(part, n/len(part))
	}
	var deep strings.Builder
	for i := 0; deep.Len() < n; i++ {
		deep.WriteString(strings.Repeat(" ", i%1000) + "kind: Secret\n")
	}
	texts["deep"] = deep.String()
	return texts
}

func BenchmarkRedactNode(b *testing.B) {
	r := NewRedactor([]byte("bench"))
	row := `["shop","web-%d","1/1","Running","0","3d","ghcr.io/shop/web:v1.2.3@sha256:9f86d081884c7d65","10.0.0.%d"]`
	var rows []string
	for i := range 230 {
		rows = append(rows, fmt.Sprintf(row, i, i))
	}
	s := `{"columns":["NAMESPACE","NAME","READY","STATUS","RESTARTS","AGE","IMAGES","IP"],"rows":[` + strings.Join(rows, ",") + `]}`
	n, err := parseNode(s)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		r.node(n)
	}
}
