package main

// ADECmd is filled next.
type ADECmd struct{}

// Run is kong's.
func (c *ADECmd) Run() error { return nil }
