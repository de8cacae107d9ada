// Command agent stands in for agentcore where only its pod is looked at: it is
// ready, and tells who it is and what it was given.
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/healthz", func(http.ResponseWriter, *http.Request) {})
	http.HandleFunc("/who", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "uid %d\n", os.Getuid())
		for _, file := range []string{"/etc/toolcrib/agent/agent.yaml", "/var/run/toolcrib/secrets/key/k"} {
			text, err := os.ReadFile(file)
			fmt.Fprintln(w, string(text), err)
		}
		token, err := os.ReadFile("/var/run/toolcrib/tokens/agents.tools/token")
		fmt.Fprintln(w, "token", len(token) > 0, err)
		fmt.Fprintln(w, "root", os.WriteFile("/written", nil, 0o600))
		fmt.Fprintln(w, "tmp", os.WriteFile("/tmp/written", nil, 0o600))
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":8080", nil))
	os.Exit(1)
}
