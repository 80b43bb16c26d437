package profiles

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ranzen/internal/audit"
	"ranzen/internal/catalogue"
	"ranzen/internal/commands"
	"ranzen/internal/fault"
	"ranzen/internal/mdm"
	"ranzen/internal/sqldb"
)

// An .ipa is kept in chunks of chunkBytes, uploadBatch of them written at a time:
// an upload of an hour takes the database's one writer for moments.
const (
	chunkBytes  = 1 << 20
	uploadBatch = 4
	uploadStale = time.Hour // after which an upload that nobody goes on with is dropped
)

// Upload is an .ipa that was taken and belongs to no app yet.
type Upload struct {
	id     string
	IPA    IPA
	SHA256 string
	Size   int64
}

func uploadLost() *fault.Fault {
	return fault.New(fault.Conflict, "ipa.upload-lost", "The upload took so long that it was given up. Nothing was changed: upload the file again.").On("ipa")
}

// TakeIPA stores a file piece by piece, in transactions of its own, and finds out
// which app is in it. Until [Room.AddIPA] nobody sees it; if that never comes,
// [Room.SweepUploads] deletes it.
//
// Faults: those of [ReadIPA]; ipa.upload-lost, ipa.broken-off.
func (r *Room) TakeIPA(ctx context.Context, in io.Reader) (Upload, error) {
	u := Upload{id: sqldb.NewID()}
	if err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return beginUpload(ctx, tx, u.id, r.Clock.Now()) }); err != nil {
		return u, fmt.Errorf("begin an upload: %w", err)
	}
	err := r.take(ctx, &u, in)
	if err != nil {
		err = errors.Join(err, r.DropUpload(ctx, u))
	}
	return u, err
}

// DropUpload gives up an upload that no version took: what was refused, or only
// tried. One that a version took stays.
func (r *Room) DropUpload(ctx context.Context, u Upload) error {
	ctx = context.WithoutCancel(ctx) // who uploads may have hung up
	if err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return dropUpload(ctx, tx, u.id) }); err != nil {
		return fmt.Errorf("drop an upload: %w", err)
	}
	return nil
}

func (r *Room) take(ctx context.Context, u *Upload, in io.Reader) (err error) {
	whole, buf := sha256.New(), make([]byte, uploadBatch*chunkBytes)
	for n, more := int64(0), true; more; {
		got, err := io.ReadFull(in, buf)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			more = false
		case err != nil:
			return fault.New(fault.Invalid, "ipa.broken-off", "The upload broke off. Nothing was changed: upload the file again.").On("ipa").With(err)
		}
		part := buf[:got]
		if u.Size += int64(got); u.Size > MaxIPA {
			return tooBig()
		}
		whole.Write(part)
		if n, err = r.keepChunks(ctx, u.id, n, part); err != nil {
			return err
		}
	}
	u.SHA256 = hex.EncodeToString(whole.Sum(nil))
	u.IPA, err = ReadIPA(&chunkReader{ctx: ctx, q: r.DB, id: u.id, size: u.Size, n: -1}, u.Size)
	return err
}

func (r *Room) keepChunks(ctx context.Context, id string, n int64, part []byte) (int64, error) {
	next := n
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error {
		next = n
		alive, err := touchUpload(ctx, tx, id, r.Clock.Now())
		if err != nil || !alive {
			return errors.Join(err, lostUnless(alive))
		}
		for rest := part; len(rest) > 0; next++ {
			one := rest[:min(chunkBytes, len(rest))]
			rest = rest[len(one):]
			if err := insertChunk(ctx, tx, id, next, sumOf(one), one); err != nil {
				return fmt.Errorf("keep a part of an app: %w", err)
			}
		}
		return nil
	})
	return next, err
}

func lostUnless(alive bool) error {
	if alive {
		return nil
	}
	return uploadLost()
}

func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// AddIPA makes an in-house app of a tenant's known, or of the provider's for "".
// The same name again is a new version, which tablets that have the app wished
// get; the same file again changes nothing. An earlier one goes back to it, for
// tablets that do not have a later one: see fulfils.
//
// Faults: ipa.other-app, ipa.same-version, ipa.upload-lost, app.known, app.not-in-house.
func (r *Room) AddIPA(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, holdsData bool, u Upload) (App, error) {
	name, err := cleanName(name)
	if err != nil {
		return App{}, err
	}
	a, err := ownApp(ctx, tx, tenantID, name)
	if isNoRows(err) {
		return r.newInHouse(ctx, tx, by, tenantID, name, holdsData, u)
	}
	if err != nil {
		return App{}, fmt.Errorf("find app: %w", err)
	}
	switch {
	case !a.inHouse():
		return App{}, fault.New(fault.Conflict, "app.not-in-house", "%s is an app of the App Store, which has no .ipa. Choose another name.", name).On("name")
	case a.BundleID != u.IPA.BundleID:
		return App{}, fault.New(fault.Conflict, "ipa.other-app", "%s is the app %s, and the file is %s: on the iPads it would stand beside the other instead of replacing it. Give it another name.",
			name, a.BundleID, u.IPA.BundleID).On("ipa")
	}
	versions, err := appVersions(ctx, tx, []string{a.ID})
	if err != nil {
		return App{}, fmt.Errorf("read the versions of an app: %w", err)
	}
	last := int64(0)
	for _, v := range versions {
		last = max(last, v.Version)
		switch {
		case v.SHA256 == u.SHA256:
			if err := dropUpload(ctx, tx, u.id); err != nil {
				return App{}, fmt.Errorf("drop an upload: %w", err)
			}
			return r.useVersion(ctx, tx, by, a, v)
		case v.ShortVersion == u.IPA.ShortVersion && v.BundleVersion == u.IPA.BundleVersion:
			return App{}, fault.New(fault.Conflict, "ipa.same-version",
				"The file is not the one of version %s (%s), and says that it is: nobody could tell by an iPad's list which of the two it has. Raise CFBundleVersion and export it again.",
				v.ShortVersion, v.BundleVersion).On("ipa")
		}
	}
	return r.keepVersion(ctx, tx, by, a, last+1, u)
}

func (r *Room) newInHouse(ctx context.Context, tx *sqldb.Tx, by audit.Actor, tenantID, name string, holdsData bool, u Upload) (App, error) {
	if err := r.freeName(ctx, tx, tenantID, name, kindProfile); err != nil {
		return App{}, err
	}
	same, err := countSame(ctx, tx, kindApp, tenantID, u.IPA.BundleID)
	if err != nil {
		return App{}, fmt.Errorf("find apps of one identifier: %w", err)
	}
	if same > 0 {
		return App{}, knownApp(name, u.IPA.BundleID)
	}
	a := appRow{ID: sqldb.NewID(), TenantID: tenantID, Name: name, BundleID: u.IPA.BundleID, HoldsData: holdsData, Version: 1}
	if err := insertApp(ctx, tx, a.app(), r.Clock.Now()); err != nil {
		if sqldb.IsUnique(err) {
			return App{}, knownApp(name, u.IPA.BundleID)
		}
		return App{}, err
	}
	return r.keepVersion(ctx, tx, by, a, 1, u)
}

// keepVersion gives the chunks of an upload to a new version.
func (r *Room) keepVersion(ctx context.Context, tx *sqldb.Tx, by audit.Actor, a appRow, version int64, u Upload) (App, error) {
	alive, err := keepUpload(ctx, tx, u.id)
	if err != nil || !alive {
		return App{}, errors.Join(err, lostUnless(alive))
	}
	v := appVersionRow{AppID: a.ID, Version: version, UploadID: u.id, SHA256: u.SHA256, Size: u.Size,
		ShortVersion: u.IPA.ShortVersion, BundleVersion: u.IPA.BundleVersion, MinimumOS: u.IPA.MinimumOS, Title: u.IPA.Title}
	f := Traits{Types: []string{}, Digest: u.SHA256}
	if u.IPA.MinimumOS != "" {
		f.Needs = []catalogue.Need{{Path: strings.TrimSpace(u.IPA.Title + " " + u.IPA.ShortVersion), Since: u.IPA.MinimumOS}}
	}
	traits, err := json.Marshal(f)
	if err != nil {
		return App{}, fmt.Errorf("write the traits of an app: %w", err)
	}
	if err := insertAppVersion(ctx, tx, v, string(traits), string(by), r.Clock.Now()); err != nil {
		return App{}, fmt.Errorf("write a version of an app: %w", err)
	}
	if version == 1 {
		a.Version = 0 // so that it changes
	}
	return r.useVersion(ctx, tx, by, a, v)
}

// useVersion has tablets get a version of an in-house app.
func (r *Room) useVersion(ctx context.Context, tx *sqldb.Tx, by audit.Actor, a appRow, v appVersionRow) (App, error) {
	from := a.Version
	a.Version = v.Version
	out := a.app()
	out.IPA, out.SHA256, out.Size = v.ipa(a.BundleID), v.SHA256, v.Size
	if from == v.Version {
		return out, nil
	}
	if err := setAppVersion(ctx, tx, a.ID, v.Version); err != nil {
		return App{}, fmt.Errorf("write a version of an app: %w", err)
	}
	err := r.record(ctx, tx, by, "app.version", "app:"+a.ID, map[string]any{
		"name": a.Name, "version": v.Version, "bundle_id": a.BundleID, "short_version": v.ShortVersion, "bundle_version": v.BundleVersion, "sha256": v.SHA256,
	})
	if err != nil {
		return App{}, err
	}
	if from > 0 {
		r.undoable(ctx, undo{Do: "publish", Kind: kindApp, ItemID: a.ID, Version: from})
	}
	return out, r.markItem(ctx, tx, kindApp, a.ID)
}

// SweepUploads deletes what no version holds: what was never finished, and the
// files of removed apps.
func (r *Room) SweepUploads(ctx context.Context) error {
	err := r.DB.Do(ctx, func(tx *sqldb.Tx) error { return dropStale(ctx, tx, r.Clock.Now().Add(-uploadStale)) })
	if err != nil {
		return fmt.Errorf("drop uploads: %w", err)
	}
	ids, err := droppedUploads(ctx, r.DB)
	if err != nil {
		return fmt.Errorf("find dropped uploads: %w", err)
	}
	for _, id := range ids {
		for left := true; left; {
			err := r.DB.Do(ctx, func(tx *sqldb.Tx) (err error) {
				left, err = deleteChunks(ctx, tx, id, 16)
				return err
			})
			if err != nil {
				return fmt.Errorf("delete an upload: %w", err)
			}
		}
	}
	return nil
}

// fileToken names a version in an address that cannot be guessed: derived from
// the sealing key, so that it is nowhere stored and always the same.
func (r *Room) fileToken(appID string, version int64) string {
	what := appID + "." + strconv.FormatInt(version, 10)
	return what + "." + r.Vault.Digest("profiles.app-file", []byte(what))
}

func (r *Room) fileURL(appID string, version int64, file string) string {
	return strings.TrimSuffix(r.PublicURL, "/") + "/apps/" + r.fileToken(appID, version) + "/" + file
}

// ManifestURL is where tablets fetch the version of an in-house app that they
// should have.
func (r *Room) ManifestURL(a App) string { return r.fileURL(a.ID, a.Version, "manifest.plist") }

// AppFile is an .ipa as tablets fetch it.
type AppFile struct {
	Size    int64
	SHA256  string
	Content io.ReaderAt // reads chunk by chunk; for one goroutine
	version appVersionRow
}

// FileByToken finds the version that a token names.
//
// Faults: app.no-file.
func (r *Room) FileByToken(ctx context.Context, token string) (AppFile, error) {
	none := fault.New(fault.NotFound, "app.no-file", "There is no app at this address.")
	what, _, _ := cutLast(token)
	appID, number, ok := cutLast(what)
	version, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || !hmac.Equal([]byte(token), []byte(r.fileToken(appID, version))) {
		return AppFile{}, none
	}
	v, err := fileOf(ctx, r.DB, appID, version)
	if isNoRows(err) {
		return AppFile{}, none
	}
	if err != nil {
		return AppFile{}, fmt.Errorf("find an app's file: %w", err)
	}
	return AppFile{Size: v.Size, SHA256: v.SHA256, version: v, Content: &chunkReader{ctx: ctx, q: r.DB, id: v.UploadID, size: v.Size, n: -1}}, nil
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", "", false
	}
	return s[:i], s[i+1:], true
}

// Manifest is what a tablet reads before it fetches a file.
// Source: Apple, Device Management, "ManifestURL".
func (r *Room) Manifest(ctx context.Context, f AppFile) ([]byte, error) {
	v := f.version
	a, err := appByID(ctx, r.DB, v.AppID)
	if err != nil {
		return nil, fmt.Errorf("read app %s: %w", v.AppID, err)
	}
	sums, err := chunkSums(ctx, r.DB, v.UploadID)
	if err != nil {
		return nil, fmt.Errorf("read the sums of app %s: %w", v.AppID, err)
	}
	shown := v.ShortVersion
	if shown == "" {
		shown = v.BundleVersion
	}
	return mdm.Encode(map[string]any{"items": []any{map[string]any{
		"assets":   []any{map[string]any{"kind": "software-package", "url": r.fileURL(v.AppID, v.Version, "app.ipa"), "sha256-size": chunkBytes, "sha256s": sums}},
		"metadata": map[string]any{"bundle-identifier": a.BundleID, "bundle-version": shown, "kind": "software", "title": v.Title},
	}}})
}

// chunkReader reads a stored file, and holds one chunk of it.
type chunkReader struct {
	ctx  context.Context //nolint:containedctx // io.ReaderAt has no room for it
	q    sqldb.Queryer
	id   string
	size int64
	n    int64 // which chunk it holds; -1: none
	held []byte
}

// ReadAt implements io.ReaderAt.
func (c *chunkReader) ReadAt(p []byte, off int64) (done int, err error) {
	for done < len(p) {
		at := off + int64(done)
		if at < 0 || at >= c.size {
			return done, io.EOF
		}
		if n := at / chunkBytes; n != c.n {
			b, err := chunkOf(c.ctx, c.q, c.id, n)
			if err != nil {
				return done, fmt.Errorf("read a part of an app: %w", err)
			}
			c.n, c.held = n, b
		}
		from := at % chunkBytes
		if from >= int64(len(c.held)) {
			return done, fmt.Errorf("part %d of an app is cut short: %w", c.n, io.ErrUnexpectedEOF)
		}
		done += copy(p[done:], c.held[from:])
	}
	return done, nil
}

// provenVersions are the rows of in-house apps that a tablet manages, with the
// version that its list of installed apps shows: neither list proves one alone.
func (r *Room) provenVersions(ctx context.Context, tx *sqldb.Tx, c commands.Command, list []mdm.InstalledApp, now time.Time) ([]itemRow, error) {
	rows, ids, err := r.itemsFor(ctx, tx, c, kindApp)
	if err != nil {
		return nil, err
	}
	versions, err := appVersions(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read the versions of apps: %w", err)
	}
	if len(versions) == 0 {
		return nil, nil
	}
	apps, err := appsByID(ctx, tx, ids)
	if err != nil {
		return nil, fmt.Errorf("read apps: %w", err)
	}
	managed, err := managedThere(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	there := map[string]mdm.InstalledApp{}
	for _, a := range list {
		there[a.Identifier] = a
	}
	var proven []itemRow
	for _, a := range apps {
		if !a.inHouse() || !managed[a.BundleID] {
			continue
		}
		for i := range rows {
			if rows[i].ItemID != a.ID {
				continue
			}
			var observed *int64
			if shown, is := there[a.BundleID]; is {
				v := versionShown(versions, a.ID, shown)
				observed = &v
			}
			if old := rows[i].arriving(observed, now); old > 0 {
				rows[i].Observed, rows[i].ObservedAt, rows[i].UpdatedAt = observed, sqldb.At(now), sqldb.At(now)
				rows[i].Reason = "The iPad is at it: its list of apps does not show the new version yet."
				if err := r.ask(ctx, tx, c, listManaged, now.Add(old)); err != nil {
					return nil, err
				}
			} else {
				observe(&rows[i], observed, now)
			}
			proven = append(proven, rows[i])
		}
	}
	return proven, nil
}

// arriving is how long to wait before asking a tablet again that took a version
// and shows another, or none; 0: no more.
func (r itemRow) arriving(observed *int64, now time.Time) time.Duration {
	since := now.Sub(r.AckAt.Time)
	if r.Desired == nil || r.State != acknowledged || fulfils(r.Kind, observed, *r.Desired) || since >= showsWithin {
		return 0
	}
	return askAgain(since)
}

// versionShown is the version of an app that a tablet shows; 0: none of ours.
func versionShown(versions []appVersionRow, appID string, shown mdm.InstalledApp) int64 {
	for _, v := range versions {
		if v.AppID == appID && v.ShortVersion == strings.TrimSpace(shown.ShortVersion) && v.BundleVersion == strings.TrimSpace(shown.Version) {
			return v.Version
		}
	}
	return 0
}

// managedThere are the apps that the tablet's last ManagedApplicationList has as
// Managed.
func managedThere(ctx context.Context, q sqldb.Queryer, c commands.Command) (map[string]bool, error) {
	body, err := listBody(ctx, q, c.EnrollmentID, listManaged, c.Generation)
	if err != nil {
		return nil, fmt.Errorf("read a list: %w", err)
	}
	var seen []seenApp
	if body != "" {
		if err := json.Unmarshal([]byte(body), &seen); err != nil {
			return nil, fmt.Errorf("read a list: %w", err)
		}
	}
	out := map[string]bool{}
	for _, a := range seen {
		out[a.BundleID] = a.Status == "Managed"
	}
	return out, nil
}
