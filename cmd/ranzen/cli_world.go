package main

// TenantCmd is filled next.
type TenantCmd struct{}

// Run is kong's.
func (c *TenantCmd) Run() error { return nil }

// SchoolCmd is filled next.
type SchoolCmd struct{}

// Run is kong's.
func (c *SchoolCmd) Run() error { return nil }

// SiteCmd is filled next.
type SiteCmd struct{}

// Run is kong's.
func (c *SiteCmd) Run() error { return nil }

// CartCmd is filled next.
type CartCmd struct{}

// Run is kong's.
func (c *CartCmd) Run() error { return nil }

// ClassCmd is filled next.
type ClassCmd struct{}

// Run is kong's.
func (c *ClassCmd) Run() error { return nil }
