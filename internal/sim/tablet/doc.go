// Package tablet simulates iPads, one ([Tablet]) or many ([Fleet]).
//
// It shares no type with the server, so that it cannot agree with the server's
// typos: profiles and commands are checked against a table made from Apple's
// schema (schema.txt), and what the schema does not know is refused as an iPad
// refuses a broken profile or command, only stricter.
//
// # One tablet
//
//	t, err := tablet.New(tablet.Config{Serial: "RZ00000001", Seed: 1, Clock: clock.System()})
//	err = t.Enroll(ctx, "https://…/enroll/CODE/profile")  // fetch, SCEP, Authenticate, TokenUpdate, first Poll
//	err = t.Poll(ctx)                                     // Idle, then all commands until an empty 200
//	next, err := t.Idle(ctx); next, err = t.Answer(ctx, next); next, err = t.Report(ctx, Report{…})  // single steps
//	t.State()                                             // what a person with the tablet in hand would see
//	t.Lock() Unlock() Sleep() Wake(ctx) Reboot() Backup() Restore(ctx, b) RemoveProfileByHand(ctx, id) RemoveManagement(ctx)
//
// # A process of tablets
//
// [RunProcess] drives a fleet: `ranzen simulate`. It keys, enrolls and then lives
// on pushes from the courier of sim/apple (Options.Courier) and on slow polls. It
// writes events and reads commands, one JSON document a line.
//
// Events (field event; most have serial and at):
//
//	keys              done, total                 keys made so far
//	started           count, supervised_count     the fleet is ready to enroll
//	enrolled          serial, udid, supervised, name, times (how often enrolled so far)
//	enroll-failed     serial, error
//	setup-failed      serial, error, status       while it asked Apple or the server; the answer's HTTP status
//	unmanaged-setup   serial, error               Apple assigns no enrollment profile
//	updated           serial, message             to the iPadOS that the server wants first
//	released          serial                      DeviceConfigured let it out of Setup Assistant
//	command           serial, uuid, request_type, status (Acknowledged, Error, NotNow, CommandFormatError), error
//	profile-installed serial, identifier, name, ssids
//	profile-removed   serial, identifier
//	app-installed     serial, bundle_id, adam_id
//	app-refused       serial, bundle_id, adam_id, error
//	app-removed       serial, bundle_id
//	lost              serial, message, phone
//	found             serial
//	located · sounded serial
//	renamed           serial, name
//	restarted         serial
//	erased            serial, return_to_service
//	renewed           serial                      a new identity replaced the old
//	unenrolled        serial, error (why)
//	poll-failed       serial, error
//	snapshot          id, tablets: [State, …]
//	done · failed     id, error                   the answer to a command
//	stopped           the last line
//
// Commands (field do; id is echoed; serials empty or absent means all):
//
//	enroll            url (absent: Options.ProfileURL), serials
//	setup             serials                     switch on: Automated Device Enrollment, see below
//	retry             serials                     the same for those of them that came to nothing
//	poll              serials                     connect now
//	lock unlock sleep wake reboot                 serials
//	backup restore                                serials; restore takes the last backup; from: serial of another tablet
//	remove-profile    serials, identifier         by hand, in Settings
//	unenroll          serials                     removes management by hand: CheckOut
//	erase             serials                     by hand, in Settings: no word to the server
//	store             adam_id, bundle_id          what the App Store calls an app
//	snapshot          serials
//	stop                                          ends; so do the end of the input and the context
//
// # Automated Device Enrollment
//
// With Options.Activation the tablets ask a simulated Apple who manages them:
//
//	GET {Activation}/activation/{serial}  {"profile": {…} or null, "identity": {"cert_pem": chain, leaf first, "key_pem": PKCS #8}}
//
// The enrollment profile is as defined at Apple; obeyed are url, anchor_certs,
// is_supervised, await_device_configured and is_mdm_removable. The tablet posts its
// machine info to url, signed with the identity, updates itself if the server
// wants that first, and enrolls without a person. Awaiting its configuration it has
// no passcode and no locked screen, so it puts nothing off.
//
// A snapshot's setup tells where each stands: off, activating, updating, enrolling,
// awaiting, released, or unmanaged when Apple has no profile for it. What fails is
// tried again after a pause that doubles, or the longer one that Retry-After asks
// for; after 30 tries, and when it is unmanaged, the tablet waits for the order
// retry. Erased tablets set themselves up again with Return to Service or
// Options.ReEnroll, the others wait for the order setup. An order, and the start
// without Options.Wait, are spread over Options.Stagger.
//
// # iPadOS
//
// A key, command or setting that came after the iPadOS of the tablet is unknown to
// it, and what its iPadOS does not have any more is not there. An iPad ignores a
// key that it does not know; here it is an error, as a typo is. Options.OSMix draws
// versions as schools have them: 78 % the newest, 17 % the newest of the year
// before, 4 % an old one of that, 1 % a forgotten one.
//
// # What the seed replays
//
// Serials, UDIDs, names, push tokens and magic, iPadOS and battery, and per tablet
// the sequence of choices (awkward answers, app times, position). Not replayed: keys and
// certificates, and the scheduling of tablets against each other and against the
// server, so that with Awkward > 0 the number of polls may differ.
package tablet
