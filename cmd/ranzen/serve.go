package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"ranzen/server"
)

// grace is how long requests in flight may take after SIGTERM. Service managers
// kill after 30 to 90 seconds.
const grace = 20 * time.Second

func runServe(ctx context.Context, c *ServeCmd, e env) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	at, err := appleAt(c.APNsURL, c.ADEURL, c.AppleCA)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(e.stderr, &slog.HandlerOptions{Level: levelOf(c.LogLevel)}))
	return serve(ctx, e, cfg, at, log, func(l *listeners) {
		fmt.Fprintf(e.stdout, "ready devices=%s admin=%s metrics=%s\n", l.devices.Addr(), l.admin.Addr(), l.metrics.Addr()) //nolint:errcheck // as with every print
	})
}

func levelOf(name string) slog.Level {
	var l slog.Level
	_ = l.UnmarshalText([]byte(name)) // one of the flag's words
	return l
}

// serve runs the server of cfg until ctx ends, then finishes what is in flight.
// ready is called when all three listeners answer.
func serve(ctx context.Context, e env, cfg Config, at appleServices, log *slog.Logger, ready func(*listeners)) (err error) {
	unlock, err := alone(cfg)
	if err != nil {
		return err
	}
	defer unlock()
	h, err := openHouse(ctx, e.clock, cfg, at, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.db.Close()) }()
	l, err := listen(cfg, h, log)
	if err != nil {
		return err
	}
	defer l.close()
	if err := writeWhole(cfg.Path(adminURLFile), []byte(l.adminURL(cfg)+"\n"), 0o644); err != nil {
		return err
	}
	return l.serve(ctx, h, log, ready)
}

// alone holds the data directory of a SQLite database: two processes on it would
// wait for each other at every write.
func alone(cfg Config) (unlock func(), err error) {
	if cfg.DB != "sqlite" {
		return func() {}, nil
	}
	f, err := os.OpenFile(cfg.Path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, usagef("%s cannot be written: %s.", cfg.Path(lockFile), reasonOf(err))
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, failedf("Another process serves %s already. For several processes on one database use PostgreSQL.", cfg.Dir())
	}
	return func() { _ = f.Close() }, nil // which unlocks
}

// listeners are the three addresses of the server.
type listeners struct {
	devices, admin, metrics net.Listener
}

func listen(cfg Config, h *house, log *slog.Logger) (*listeners, error) {
	l := &listeners{}
	deviceTLS, err := deviceTLS(cfg, h, log)
	if err != nil {
		return nil, err
	}
	adminTLS, err := fileTLS(cfg.AdminTLSCert, cfg.AdminTLSKey, log)
	if err != nil {
		return nil, err
	}
	for _, o := range []struct {
		into *net.Listener
		what string
		addr string
		tls  *tls.Config
	}{
		{&l.devices, "device", cfg.DeviceListen, deviceTLS},
		{&l.admin, "admin", cfg.AdminListen, adminTLS},
		{&l.metrics, "metrics", cfg.MetricsListen, nil},
	} {
		ln, err := net.Listen("tcp", o.addr)
		if err != nil {
			l.close()
			return nil, failedf("The %s listener cannot use %s (%v). Name another address with --%s-listen.", o.what, o.addr, cause(err), o.what)
		}
		if o.tls != nil {
			ln = tls.NewListener(ln, o.tls)
		}
		*o.into = ln
	}
	return l, nil
}

// cause is the innermost reason, which is the one a person can act on.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.devices, l.admin, l.metrics} {
		if ln != nil {
			_ = ln.Close() // closed already when all went well
		}
	}
}

// adminURL is where the command line on this machine finds the server.
func (l *listeners) adminURL(cfg Config) string {
	scheme := "http"
	if cfg.AdminTLSCert != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(l.admin.Addr().String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "localhost" // all addresses: this one is among them
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// serve answers until ctx ends or a listener breaks.
func (l *listeners) serve(ctx context.Context, h *house, log *slog.Logger, ready func(*listeners)) error {
	working, stop := context.WithCancel(context.WithoutCancel(ctx)) // the loops outlive the listeners
	defer stop()
	var loops sync.WaitGroup
	broken := make(chan error, 4)
	loops.Go(func() { broken <- h.server.Loops(working) })

	servers := []*http.Server{}
	for _, s := range []struct {
		ln      net.Listener
		handler http.Handler
	}{{l.devices, h.server.Devices()}, {l.admin, h.server.Admin()}, {l.metrics, h.server.Metrics()}} {
		srv := server.HTTPServer(s.handler, log)
		srv.RegisterOnShutdown(h.server.EndStreams)
		servers = append(servers, srv)
		go func() {
			if err := srv.Serve(s.ln); !errors.Is(err, http.ErrServerClosed) {
				broken <- fmt.Errorf("listen at %s: %w", s.ln.Addr(), err)
			}
		}()
	}
	ready(l)

	var err error
	select {
	case <-ctx.Done():
		log.Info("stopping: requests in flight are finished first")
	case err = <-broken:
	}
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	for _, srv := range servers {
		if serr := srv.Shutdown(soon); serr != nil {
			err = errors.Join(err, serr, srv.Close())
		}
	}
	stop()
	loops.Wait()
	return err
}

// deviceTLS is how tablets' connections are secured; nil behind a proxy.
func deviceTLS(cfg Config, h *house, log *slog.Logger) (*tls.Config, error) {
	var c *tls.Config
	switch cfg.TLS {
	case tlsOff:
		return nil, nil //nolint:nilnil // plain
	case tlsFiles:
		var err error
		if c, err = fileTLS(cfg.TLSCert, cfg.TLSKey, log); err != nil {
			return nil, err
		}
	default:
		c = newTLS(h.certs.ServerCertificate(cfg.Host()))
	}
	// A tablet may show its identity here as well. It is asked for, not
	// demanded: enrollment pages and SCEP come without. Who it is, is looked up
	// by its hash; the names sent along keep browsers from offering others.
	c.ClientAuth = tls.RequestClientCert
	c.ClientCAs = x509.NewCertPool()
	for _, ca := range h.certs.Chain() {
		c.ClientCAs.AddCert(ca)
	}
	return c, nil
}

func newTLS(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: get, NextProtos: []string{"h2", "http/1.1"}}
}

// fileTLS takes certificate and key from files, and again when they were
// renewed. No files: nil.
func fileTLS(cert, key string, log *slog.Logger) (*tls.Config, error) {
	if cert == "" {
		return nil, nil //nolint:nilnil // plain
	}
	f := &pairFile{cert: cert, key: key, log: log}
	if err := f.load(); err != nil {
		return nil, usagef("The certificate %s with the key %s cannot be used: %s.", cert, key, reasonOf(err))
	}
	return newTLS(f.get), nil
}

// pairFile is a certificate in files that somebody else renews.
type pairFile struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]stamp
}

// stamp tells one state of a file from another without reading it.
type stamp struct {
	changed time.Time
	size    int64
}

func (f *pairFile) stamps() (s [2]stamp, err error) {
	for i, path := range []string{f.cert, f.key} {
		info, err := os.Stat(path)
		if err != nil {
			return s, err
		}
		s[i] = stamp{info.ModTime(), info.Size()}
	}
	return s, nil
}

func (f *pairFile) load() error {
	s, err := f.stamps()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return err
	}
	f.current, f.stamp = &pair, s
	return nil
}

// get gives the newest pair that could be read: while certificate and key are
// being replaced, or when they do not go together, the old one serves on.
func (f *pairFile) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s, err := f.stamps(); err == nil && s == f.stamp {
		return f.current, nil
	}
	if err := f.load(); err != nil {
		f.log.Warn("the renewed certificate cannot be used; the one before serves on", "file", f.cert, "error", err)
	} else {
		f.log.Info("a renewed certificate is in use", "file", f.cert, "ends", f.current.Leaf.NotAfter)
	}
	return f.current, nil
}
