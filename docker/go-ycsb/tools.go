//go:build tools

// Package tools pins go-ycsb: its version is in go.mod, the sums of everything it is made of in go.sum.
package tools

import _ "github.com/pingcap/go-ycsb/cmd/go-ycsb"
