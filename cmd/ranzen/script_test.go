package main

import "github.com/rogpeppe/go-internal/testscript"

// scriptCommands are what scripts can do beyond testscript's own.
func scriptCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return nil
}
