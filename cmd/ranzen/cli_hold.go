package main

// HoldCmd is filled next.
type HoldCmd struct{}

// Run is kong's.
func (c *HoldCmd) Run() error { return nil }
