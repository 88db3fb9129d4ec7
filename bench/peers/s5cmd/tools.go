//go:build tools

// Package tools names the program that is built, so that go.mod and go.sum pin it and all that it needs.
package tools

import _ "github.com/peak/s5cmd/v2"
