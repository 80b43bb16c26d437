package main

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ranzen/internal/clock"
	"ranzen/internal/sim/apple"
)

// cmdSchool is a fake Apple School Manager for a script:
//
//	school start FILE             ADE_URL is its address, FILE the roots to trust
//	school server ORG NAME        an MDM server of an organization
//	school token NAME CERT FILE   a server token, encrypted to a certificate
//	school order NAME N VAR       iPads; VAR is the first's serial number
//	school empty yes|no           the list comes back empty
//	school terms ORG yes|no       whether Apple's terms are signed
//	school move SERIAL [NAME]     to another server, or to none
func cmdSchool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: school WORD …")
	}
	if args[0] == "start" {
		s, err := apple.NewSchool(apple.SchoolOptions{Seed: 1, Clock: clock.System()})
		ts.Check(err)
		ts.Defer(func() { _ = s.Close() })
		stageOf(ts).school = s
		ts.Setenv("ADE_URL", s.URL())
		ts.Check(writeWhole(ts.MkAbs(args[1]), s.RootPEM(), 0o600))
		return
	}
	s := stageOf(ts).school
	switch args[0] {
	case "server":
		s.AddServer(args[1], args[2])
	case "token":
		b, err := s.TokenP7M(args[1], []byte(ts.ReadFile(args[2])))
		ts.Check(err)
		ts.Check(writeWhole(ts.MkAbs(args[3]), b, 0o600))
	case "order":
		n, err := strconv.Atoi(args[2])
		ts.Check(err)
		ts.Setenv(args[3], s.Order(args[1], n, apple.Devices{})[0])
	case "empty":
		s.Empty(args[1] == "yes")
	case "terms":
		s.SignTerms(args[1], args[2] == "yes")
	case "move":
		s.Move(args[1], strings.Join(args[2:], ""))
	default:
		ts.Fatalf("school knows no %s", args[0])
	}
}

// cmdUntil is "until PATTERN ARGS": it runs `ranzen ARGS` until its output is
// like PATTERN, for what a loop of the server does.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN ARGS")
	}
	want, err := regexp.Compile(`(?m)` + args[0])
	ts.Check(err)
	path, err := exec.LookPath("ranzen")
	ts.Check(err)
	var out []byte
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		cmd := exec.Command(path, args[1:]...) //nolint:gosec // ourselves
		cmd.Env, cmd.Dir = append(cmd.Environ(), "RANZEN_DATA="+ts.Getenv("RANZEN_DATA")), ts.Getenv("WORK")
		out, _ = cmd.CombinedOutput() // the last one is shown
		if want.Match(out) {
			return
		}
	}
	ts.Fatalf("waited in vain for %s\n%s\n%s", want, out, stageOf(ts).errors())
}
