// Package coldstart measures how long the controller takes to bring up many
// agents from nothing, what memory that costs, and that it writes nothing once
// they are up. It holds no program: go test -bench . -benchtime 1x measures.
package coldstart
