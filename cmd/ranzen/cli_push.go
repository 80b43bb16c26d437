package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"
)

// PushCertCmd groups what concerns the MDM push certificate.
type PushCertCmd struct {
	Request PushRequestCmd `cmd:"" help:"Make a key and a certificate request; the key stays on the server."`
	Import  PushImportCmd  `cmd:"" help:"Take the certificate that Apple issued."`
	Show    PushShowCmd    `cmd:"" help:"Show the topic and when the certificate ends."`
}

type pushDoc struct {
	Topic       string     `json:"topic"`
	Placeholder bool       `json:"placeholder"`
	NotAfter    *time.Time `json:"not_after"`
	Subject     string     `json:"subject"`
	Fingerprint string     `json:"fingerprint"`
}

// PushRequestCmd is `ranzen push-cert request`.
type PushRequestCmd struct {
	Remote
	CommonName string `default:"Ranzen" placeholder:"NAME" help:"Name in the request; shown nowhere but at Apple."`
	Out        string `placeholder:"FILE" help:"Write the request there instead of printing it; it must not exist."`
}

// Run prints the request, PEM.
func (c *PushRequestCmd) Run(ctx context.Context, e env) error {
	if c.Out != "" {
		if _, err := os.Lstat(c.Out); !errors.Is(err, fs.ErrNotExist) {
			return usagef("%s exists already. Name another file.", c.Out)
		}
	}
	var doc struct {
		CSR string `json:"csr"`
	}
	return c.do(e, func(api *client) error {
		if err := api.post(ctx, "/push-certificate/request", map[string]any{"common_name": c.CommonName}, &doc); err != nil {
			return err
		}
		if c.Out == "" {
			return nil
		}
		return writeWhole(c.Out, []byte(doc.CSR), 0o644)
	}, func(api *client) {
		if c.Out != "" {
			api.line("The request is in %s. Have it signed by an MDM vendor, then upload it at https://identity.apple.com/pushcert and import what Apple gives.", c.Out)
			return
		}
		_, _ = api.stdout.Write([]byte(doc.CSR)) // as with every print
	})
}

// PushImportCmd is `ranzen push-cert import`.
type PushImportCmd struct {
	Remote
	Cert string `required:"" placeholder:"PEM" help:"The certificate that Apple issued."`
	Key  string `placeholder:"PEM" help:"Its private key, unencrypted; not needed for a certificate of ranzen push-cert request."`
	Yes  bool   `help:"Import although iPads have to enroll again."`
}

type againDoc struct {
	Devices []struct {
		ID     string `json:"id"`
		Serial string `json:"serial"`
		Name   string `json:"name"`
	} `json:"devices"`
}

// Run imports, or lists the iPads that would have to enroll again.
func (c *PushImportCmd) Run(ctx context.Context, e env) error {
	cert, err := e.readFile(c.Cert)
	if err != nil {
		return err
	}
	body := map[string]any{"certificate": string(cert), "confirm": c.Yes}
	if c.Key != "" {
		key, err := e.readFile(c.Key)
		if err != nil {
			return err
		}
		body["key"] = string(key)
	}
	var doc pushDoc
	api, err := c.open(e)
	if err != nil {
		return err
	}
	if err := api.post(ctx, "/push-certificate", body, &doc); err != nil {
		return c.again(api, err)
	}
	if api.json {
		return api.answer()
	}
	api.line("The push certificate for %s is in use until %s. Renew it with the same Apple account before that: another one is another topic.", doc.Topic, momentOf(doc.NotAfter))
	return nil
}

// again lists the iPads that enrolled under the placeholder.
func (c *PushImportCmd) again(api *client, err error) error {
	e, ok := errors.AsType[*apiError](err)
	if !ok || e.code != "push-cert.must-enroll-again" {
		return err
	}
	var list againDoc
	if json.Unmarshal(e.fields, &list) != nil || len(list.Devices) == 0 {
		return err
	}
	t := newTable("SERIAL", "NAME")
	for _, d := range list.Devices {
		t.add(d.Serial, d.Name)
	}
	p := *api.printer
	p.w = api.stderr
	p.print(t, "")
	return usagef("%s enrolled before there was a push certificate and must enroll again after the import. Add --yes to import all the same.", count(int64(len(list.Devices)), "iPad"))
}

// PushShowCmd is `ranzen push-cert show`.
type PushShowCmd struct{ Remote }

// Run prints topic and end.
func (c *PushShowCmd) Run(ctx context.Context, e env) error {
	var doc pushDoc
	return c.do(e, func(api *client) error { return api.get(ctx, "/push-certificate", nil, &doc) }, func(api *client) {
		if doc.NotAfter == nil {
			api.line("There is no push certificate. iPads are not woken; they come by themselves. Make a request with: ranzen push-cert request")
			return
		}
		api.facts("topic", doc.Topic, "subject", doc.Subject, "ends", momentOf(doc.NotAfter)+" ("+api.agoOf(doc.NotAfter)+")", "fingerprint", doc.Fingerprint)
	})
}
