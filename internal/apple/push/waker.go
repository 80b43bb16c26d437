package push

import (
	"context"

	"ranzen/internal/fault"
)

// waker is a Client for a caller that has a type of its own for targets.
type waker[T target] struct{ c *Client }

// target is the shape of Target under another name.
type target interface {
	~struct {
		EnrollmentID string
		Token        []byte
		Magic        fault.Secret
		Topic        string
	}
}

// WakerFor makes a Client wake targets of type T: package commands does not
// know this one, nor this one commands.
func WakerFor[T target](c *Client) interface {
	Wake(ctx context.Context, targets []T) map[string]error
} {
	return waker[T]{c}
}

func (w waker[T]) Wake(ctx context.Context, targets []T) map[string]error {
	list := make([]Target, len(targets))
	for i, t := range targets {
		list[i] = Target(t)
	}
	return w.c.Wake(ctx, list)
}
