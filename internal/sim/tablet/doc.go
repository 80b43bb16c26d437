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
//	setup-failed      serial, error               while it asked Apple or the server
//	unmanaged-setup   serial, error               Apple assigns no enrollment profile
//	updated           serial, message             to the iPadOS that the server wants first
//	released          serial                      left Setup Assistant
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
//	setup             serials                     switch on: Automated Device Enrollment, see Options.Activation
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
// # What the seed replays
//
// Serials, UDIDs, names, push tokens and magic, and per tablet the sequence of
// choices (awkward answers, app times, position). Not replayed: keys and
// certificates, and the scheduling of tablets against each other and against the
// server, so that with Awkward > 0 the number of polls may differ.
package tablet
