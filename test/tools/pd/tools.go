//go:build tools

// Package tools pins a real PD and its command line, of the newest version that can be had as a Go module.
package tools

import (
	_ "github.com/tikv/pd/cmd/pd-server"
	_ "github.com/tikv/pd/tools/pd-ctl"
)
