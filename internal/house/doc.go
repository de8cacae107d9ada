// Package house keeps the rules that hold for the whole repository, as tests.
// It holds no code that anything imports.
package house
