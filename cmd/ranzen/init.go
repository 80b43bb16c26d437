package main

import "context"

// InitCmd is `ranzen init`.
type InitCmd struct {
	Data         string `required:"" env:"RANZEN_DATA" placeholder:"DIR" help:"Data directory to make; it must not exist or be empty."`
	URL          string `required:"" name:"url" placeholder:"https://HOST[:PORT]" help:"The address at which tablets reach this server, for its whole life."`
	Organization string `placeholder:"NAME" help:"The name of the school or town, shown on the iPad when it enrolls."`
	DB           string `name:"db" default:"sqlite" env:"RANZEN_DB" placeholder:"DB" help:"sqlite, or postgres://… (best in RANZEN_DB: it holds a password)."`
	TLS          string `name:"tls" enum:"internal,files,off" default:"internal" placeholder:"MODE" help:"TLS of the device listener: internal (certificate from our own CA), files, or off (behind a proxy)."`
	TLSCert      string `name:"tls-cert" placeholder:"FILE" help:"With --tls files: certificate chain, PEM."`
	TLSKey       string `name:"tls-key" placeholder:"FILE" help:"With --tls files: its key, PEM."`
	CAKey        string `name:"ca-key" enum:"p256,rsa2048" default:"p256" placeholder:"KIND" help:"Kind of the CA's keys: p256 or rsa2048."`
	Admin        string `default:"admin" placeholder:"NAME" help:"Name of the first administrator."`
}

// Run prepares the directory, whole or not at all.
func (c *InitCmd) Run(ctx context.Context, e env) error { return failedf("Not here yet.") }
