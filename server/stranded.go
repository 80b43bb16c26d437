package server

import (
	"ranzen/enroll"
	"ranzen/internal/fault"
)

// strandedError is a refusal that names devices.
type strandedError struct {
	*fault.Fault
	devices []enroll.Stranded
}

func (e *strandedError) Unwrap() error { return e.Fault }

// problemDevice is one device that a refusal is about.
type problemDevice struct {
	ID     string `json:"id"`
	Serial string `json:"serial"`
	Name   string `json:"name"`
}
