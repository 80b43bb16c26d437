package main

import "context"

func runServe(ctx context.Context, c *ServeCmd, e env) error {
	if _, err := c.config(); err != nil {
		return err
	}
	return failedf("Not here yet.")
}
