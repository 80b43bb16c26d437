package main

import "context"

func runDemo(ctx context.Context, c *DemoCmd, e env) error { return failedf("Not here yet.") }
