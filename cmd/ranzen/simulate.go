package main

import (
	"context"
	"crypto/x509"
	"io"
	"strings"

	"ranzen/internal/sim/tablet"
)

func runSimulate(ctx context.Context, c *SimulateCmd, e env) error {
	if c.Devices < 1 || c.Supervised < 0 || c.Supervised > 1 || c.Awkward < 0 || c.Awkward > 1 {
		return usagef("Say --devices 1 or more, and --supervised and --awkward between 0 and 1.")
	}
	if (c.URL == "") == (c.Activation == "") || (c.Activation == "") != (c.Serials == "") {
		return usagef("Say either --url, or --activation with --serials.")
	}
	var serials []string
	if c.Serials != "" {
		b, err := e.readFile(c.Serials)
		if err != nil {
			return err
		}
		if serials = strings.Fields(string(b)); len(serials) == 0 {
			return usagef("%s holds no serial number.", c.Serials)
		}
	}
	var roots *x509.CertPool
	if c.CA != "" {
		b, err := e.readFile(c.CA)
		if err != nil {
			return err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(b) {
			return usagef("%s holds no certificate in PEM.", c.CA)
		}
	}
	in := e.stdin
	if !c.Steered {
		quiet, never := io.Pipe() // without --steered an empty standard input ends nothing
		defer never.Close()       //nolint:errcheck // a pipe
		in = quiet
	}
	return tablet.RunProcess(ctx, tablet.Options{
		ProfileURL: c.URL, Activation: c.Activation, Serials: serials, Devices: c.Devices, Seed: c.Seed, Supervised: c.Supervised, Awkward: c.Awkward, Clock: e.clock,
		Roots: roots, Courier: c.Courier, Poll: c.Poll, Wait: c.Steered, AppTime: c.AppTime,
		Stagger: c.Stagger, ReEnroll: c.ReEnroll, OSMix: c.OSMix,
	}, in, e.stdout)
}
