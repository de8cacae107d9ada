// Package charts holds the Helm charts of the servers, and as tests what is
// promised of them. It holds no code that anything imports: a chart NAME is a
// folder, what all share is crib, and what of a chart follows from the servers
// themselves, or is the same in all, is written by go test -update.
package charts
