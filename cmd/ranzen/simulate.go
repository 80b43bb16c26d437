package main

import "context"

func runSimulate(ctx context.Context, c *SimulateCmd, e env) error { return failedf("Not here yet.") }
