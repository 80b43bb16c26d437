// Ranzen is an MDM server for school iPads: one program that is the server, its
// command line, and a demonstration of both.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"ranzen/internal/clock"
	"ranzen/internal/fault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// env is what a command may touch besides its flags and the data directory.
type env struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	clock  clock.Clock

	sealWork int // of a backup's passphrase, as scrypt counts it; 0 is age's own, a second of CPU
}

// run is the program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := env{stdin: stdin, stdout: stdout, stderr: stderr, clock: clock.System()}
	err := execute(ctx, args, e)
	status := statusOf(err)
	if err != nil && status != exitPlanned {
		complain(stderr, err)
	}
	return status
}

// complain writes one sentence: what happened and what to do.
func complain(w io.Writer, err error) {
	if errors.Is(err, context.Canceled) {
		err = failedf("Interrupted; what was begun is undone or goes on by itself.")
	}
	if f, ok := fault.Of(err); ok && f.Kind != fault.Internal {
		err = failedf("%s", f.Text)
	}
	fmt.Fprintln(w, "ranzen:", err) //nolint:errcheck // nobody is left to tell
}

func execute(ctx context.Context, args []string, e env) error {
	helped := false
	k, err := newParser(e, func(int) { helped = true })
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"help"}
	}
	call, err := k.Parse(args)
	if helped {
		return nil // --help was there; what else is wrong does not matter
	}
	if err != nil {
		return wrongUsage(err)
	}
	call.BindTo(ctx, (*context.Context)(nil))
	call.Bind(e, k.Model)
	return call.Run()
}

func newParser(e env, exit func(int)) (*kong.Kong, error) {
	k, err := kong.New(&cli{},
		kong.Name("ranzen"),
		kong.Description("An MDM server for school iPads. `ranzen demo` shows all of it, `ranzen help --all` lists all of it."),
		kong.Writers(e.stdout, e.stderr),
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
	)
	if err != nil {
		return nil, fmt.Errorf("put the command line together: %w", err)
	}
	return k, nil
}

// cli is the whole command line, in the order `ranzen help` shows it.
type cli struct {
	Demo     DemoCmd     `cmd:"" help:"Show the whole way with simulated iPads: enroll, Wi-Fi and an app, one lost, one wiped."`
	Init     InitCmd     `cmd:"" help:"Prepare a data directory: configuration, certificate authority, database, first administrator."`
	Serve    ServeCmd    `cmd:"" help:"Run the server."`
	Simulate SimulateCmd `cmd:"" help:"Simulate iPads against any MDM server."`

	Status      StatusCmd      `cmd:"" help:"Show what runs, what waits, and what needs attention."`
	Link        LinkCmd        `cmd:"" help:"Enrollment links."`
	PushCert    PushCertCmd    `cmd:"" name:"push-cert" help:"The MDM push certificate."`
	Devices     DevicesCmd     `cmd:"" help:"List devices."`
	Device      DeviceCmd      `cmd:"" help:"One device: show it, find it, erase it."`
	Profile     ProfileCmd     `cmd:"" help:"Configuration profiles."`
	App         AppCmd         `cmd:"" help:"Apps."`
	Variable    VariableCmd    `cmd:"" help:"What stands in profiles, other for each tenant or device."`
	Rollout     RolloutCmd     `cmd:"" help:"Changes that reach devices ring by ring."`
	Removal     RemovalCmd     `cmd:"" help:"Apps that stay until somebody confirms that their data is lost."`
	Conflicts   ConflictsCmd   `cmd:"" help:"What profiles on the same devices disagree about, and what holds there."`
	Who         WhoCmd         `cmd:"" help:"Who has a profile or app or is to have it, and by which assignments."`
	Tenant      TenantCmd      `cmd:"" help:"Tenants: whose devices are."`
	School      SchoolCmd      `cmd:"" help:"Schools."`
	Site        SiteCmd        `cmd:"" help:"Sites of schools."`
	Cart        CartCmd        `cmd:"" help:"Carts and their slots."`
	Class       ClassCmd       `cmd:"" help:"Classes of a school year."`
	Import      ImportCmd      `cmd:"" help:"Take in files people already have."`
	Export      ExportCmd      `cmd:"" help:"Write files that can be taken in again."`
	Delivery    DeliveryCmd    `cmd:"" help:"Deliveries: from the pallet to the classroom."`
	Scan        ScanCmd        `cmd:"" help:"Read a scanner: asset tag, serial number, slot."`
	Ade         ADECmd         `cmd:"" name:"ade" help:"Automated Device Enrollment: Apple School Manager."`
	Hold        HoldCmd        `cmd:"" help:"Second enrollments of a serial number: a person decides."`
	Group       GroupCmd       `cmd:"" help:"Groups of devices."`
	Assign      AssignCmd      `cmd:"" help:"Wish profiles and apps onto devices."`
	Unassign    UnassignCmd    `cmd:"" help:"Take a wish back: what nobody wishes any more is removed."`
	Assignment  AssignmentCmd  `cmd:"" help:"What is assigned to whom."`
	Plan        PlanCmd        `cmd:"" help:"Say what desired state in files would change; exit status 4 if anything."`
	Apply       ApplyCmd       `cmd:"" help:"Make what is wished what files say, all or nothing."`
	Secret      SecretCmd      `cmd:"" help:"Secrets that files refer to."`
	Commands    CommandsCmd    `cmd:"" help:"List the queue of commands."`
	Command     CommandCmd     `cmd:"" help:"One command: show it, take it back."`
	Send        SendCmd        `cmd:"" help:"Send one command of Apple's that nothing else here covers."`
	Certificate CertificateCmd `cmd:"" help:"Identity certificates."`
	User        UserCmd        `cmd:"" help:"People."`
	Token       TokenCmd       `cmd:"" help:"API tokens."`
	Audit       AuditCmd       `cmd:"" help:"The audit log."`

	Backup  BackupCmd  `cmd:"" help:"Write everything to one file under a passphrase, while the server runs."`
	Restore RestoreCmd `cmd:"" help:"Make a data directory and a database of a backup."`

	Version    VersionCmd    `cmd:"" help:"Print the version."`
	Help       HelpCmd       `cmd:"" help:"Explain a command; --all lists everything."`
	Completion CompletionCmd `cmd:"" help:"Print a script that lets the shell complete commands and flags."`
}

// ServeCmd is `ranzen serve`. What is empty is as in DIR/config.json.
type ServeCmd struct {
	Data          string   `required:"" env:"RANZEN_DATA" placeholder:"DIR" help:"Data directory, made by ranzen init."`
	DeviceListen  string   `env:"RANZEN_DEVICE_LISTEN" placeholder:"ADDR" help:"Where tablets connect."`
	AdminListen   string   `env:"RANZEN_ADMIN_LISTEN" placeholder:"ADDR" help:"Where people and programs connect; loopback unless it has a certificate."`
	MetricsListen string   `env:"RANZEN_METRICS_LISTEN" placeholder:"ADDR" help:"Where Prometheus connects."`
	AdminTLSCert  string   `name:"admin-tls-cert" env:"RANZEN_ADMIN_TLS_CERT" placeholder:"FILE" help:"Certificate chain of the admin listener, PEM."`
	AdminTLSKey   string   `name:"admin-tls-key" env:"RANZEN_ADMIN_TLS_KEY" placeholder:"FILE" help:"Its key, PEM."`
	TrustedProxy  []string `env:"RANZEN_TRUSTED_PROXY" placeholder:"CIDR" help:"Proxies whose --cert-header is believed."`
	CertHeader    string   `env:"RANZEN_CERT_HEADER" placeholder:"NAME" help:"Header in which a trusted proxy hands on a tablet's certificate."`
	LogLevel      string   `enum:"debug,info,warn,error" default:"info" env:"RANZEN_LOG_LEVEL" help:"Least level that is logged: debug, info, warn or error."`
	APNsURL       string   `name:"apns-url" env:"RANZEN_APNS_URL" placeholder:"URL" help:"Takes the place of Apple's push service, for tests and unusual networks."`
	ADEURL        string   `name:"ade-url" env:"RANZEN_ADE_URL" placeholder:"URL" help:"Takes the place of Apple's device assignment service, for tests and unusual networks."`
	AppleCA       string   `name:"apple-ca" env:"RANZEN_APPLE_CA" placeholder:"FILE" help:"Roots, PEM, that Apple's addresses are trusted by instead of the system's."`
}

// Run is kong's.
func (c *ServeCmd) Run(ctx context.Context, e env) error { return runServe(ctx, c, e) }

// config is the stored configuration with the flags laid over it.
func (c *ServeCmd) config() (Config, error) {
	cfg, err := loadConfig(c.Data)
	if err != nil {
		return Config{}, err
	}
	for _, f := range []struct {
		dst *string
		v   string
	}{
		{&cfg.DeviceListen, c.DeviceListen}, {&cfg.AdminListen, c.AdminListen}, {&cfg.MetricsListen, c.MetricsListen},
		{&cfg.AdminTLSCert, c.AdminTLSCert}, {&cfg.AdminTLSKey, c.AdminTLSKey}, {&cfg.CertHeader, c.CertHeader},
	} {
		if f.v != "" {
			*f.dst = f.v
		}
	}
	if len(c.TrustedProxy) > 0 {
		cfg.TrustedProxies = c.TrustedProxy
	}
	if err := cfg.check(); err != nil {
		return Config{}, usagef("Cannot serve like this: %v.", err)
	}
	return cfg, nil
}

// DemoCmd is `ranzen demo`.
type DemoCmd struct {
	Devices int    `placeholder:"N" help:"How many iPads to simulate; default 30, or 170 with --school."`
	School  bool   `help:"Tell the longer story of a delivery day: the iPads of a small town, from the pallet to the classroom, through a simulated Apple School Manager."`
	Keep    bool   `help:"Keep the data directory."`
	Data    string `placeholder:"DIR" help:"Where to keep it; a new or empty directory. With --keep, ranzen serve --data DIR goes on from there."`
	Once    bool   `help:"End after the story; exit status 0 only if every step was observed on the iPads. The last line is JSON."`
	Seed    uint64 `default:"1" placeholder:"N" help:"The same seed tells the same story."`
}

// Run is kong's.
func (c *DemoCmd) Run(ctx context.Context, e env) error { return runDemo(ctx, c, e) }

// SimulateCmd is `ranzen simulate`.
type SimulateCmd struct {
	URL        string        `name:"url" placeholder:"PROFILE_URL" help:"Where each iPad fetches its enrollment profile."`
	Activation string        `placeholder:"URL" help:"Instead of --url: the simulated Apple that tells each iPad who manages it (Automated Device Enrollment)."`
	Serials    string        `placeholder:"FILE" help:"With --activation: the serial numbers of the iPads, one a line."`
	Stagger    time.Duration `placeholder:"DURATION" help:"With --activation: over how long they are switched on."`
	ReEnroll   bool          `help:"With --activation: erased iPads set themselves up again."`
	OSMix      bool          `name:"os-mix" help:"Versions of iPadOS as schools have them."`
	Devices    int           `default:"30" placeholder:"N" help:"How many iPads to simulate."`
	Seed       uint64        `default:"1" placeholder:"N" help:"The same seed makes the same iPads."`
	CA         string        `name:"ca" placeholder:"FILE" help:"Roots, PEM, that the server is trusted by instead of the system's."`
	Courier    string        `placeholder:"URL" help:"Where pushes come from: the simulated push service of a demo."`
	Supervised float64       `default:"0.67" placeholder:"SHARE" help:"Share of iPads that were prepared: 0 to 1."`
	Awkward    float64       `default:"0" placeholder:"RATE" help:"How often they say NotNow, answer twice or late: 0 to 1."`
	Poll       time.Duration `default:"1m" placeholder:"DURATION" help:"How often an iPad connects without being pushed."`
	AppTime    time.Duration `default:"1s" placeholder:"DURATION" help:"How long an app takes to install, on average."`
	Steered    bool          `help:"Read what the iPads shall do from standard input, one JSON document a line: enroll, lock, snapshot, stop."`
}

// Run is kong's.
func (c *SimulateCmd) Run(ctx context.Context, e env) error { return runSimulate(ctx, c, e) }
