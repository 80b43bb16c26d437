package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Exit statuses; scripts rely on them.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitWaits   = 3 // for another person's approval
	exitPlanned = 4 // plan found changes; there is no error to print
)

// exitError is an error with an exit status and a sentence for a person.
type exitError struct {
	status int
	text   string
}

func (e *exitError) Error() string { return e.text }

// usagef is wrong usage: the command line, or a file it names.
func usagef(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Sprintf(format, args...)}
}

// failedf is a request that was understood and did not work.
func failedf(format string, args ...any) error {
	return &exitError{exitFailed, fmt.Sprintf(format, args...)}
}

func statusOf(err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status
	}
	return exitFailed
}

// reasonOf is why a file could not be used, without the path, which the
// sentence around it has.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "permission denied"
	case errors.Is(err, syscall.EISDIR):
		return "it is a directory"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
