package main

// ImportCmd is filled next.
type ImportCmd struct{}

// Run is kong's.
func (c *ImportCmd) Run() error { return nil }

// ExportCmd is filled next.
type ExportCmd struct{}

// Run is kong's.
func (c *ExportCmd) Run() error { return nil }
