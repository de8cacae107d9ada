package model

import "net/http"

// Through has the model reach its provider through a transport of the test's.
func Through(m Model, by http.RoundTripper) Model {
	m.(*client).network.made = by
	return m
}
