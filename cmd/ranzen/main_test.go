package main

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write generated documents anew")

// TestMain lets scripts call this program as a person types it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ranzen": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *update,
		Setup:               setup,
		Cmds:                scriptCommands(),
	})
}

// setup gives scripts nothing of the environment that a person's shell may have.
func setup(e *testscript.Env) error {
	e.Setenv("TZ", "UTC")
	e.Setenv("RANZEN_TEST_POSTGRES", os.Getenv("RANZEN_TEST_POSTGRES"))
	return nil
}

// ran is the program's answer to a command line, in this process.
type ran struct {
	status      int
	out, errout string
}

func call(t *testing.T, stdin string, args ...string) ran {
	t.Helper()
	var out, errout bytes.Buffer
	status := run(t.Context(), args, strings.NewReader(stdin), &out, &errout)
	return ran{status, out.String(), errout.String()}
}
