package main

// DeliveryCmd is filled next.
type DeliveryCmd struct{}

// Run is kong's.
func (c *DeliveryCmd) Run() error { return nil }

// ScanCmd is filled next.
type ScanCmd struct{}

// Run is kong's.
func (c *ScanCmd) Run() error { return nil }
