package profiles

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"ranzen/internal/fault"
	"ranzen/internal/mdm"
)

// IPA is what an .ipa says of the app in it.
type IPA struct {
	BundleID      string
	ShortVersion  string // CFBundleShortVersionString, which people read; may be empty
	BundleVersion string // CFBundleVersion
	MinimumOS     string // MinimumOSVersion; "": it does not say
	Title         string // as it stands below its icon
}

// Limits of an .ipa. Apple's own limit for an app is 4 GB; the largest apps have
// some ten thousand files.
const (
	MaxIPA       = 4 << 30
	maxEntries   = 200_000
	maxDirectory = 64 << 20
	maxEntryName = 4096
	maxInfo      = 1 << 20
	maxComment   = 1<<16 - 1
)

var (
	infoPath     = regexp.MustCompile(`^Payload/[^/]+\.app/Info\.plist$`)
	osVersion    = regexp.MustCompile(`^[0-9]{1,3}(\.[0-9]{1,3}){0,2}$`)
	shownVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_ ()-]{0,63}$`)
)

func unreadableIPA(format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, "ipa.unreadable", "The file is not an app that an iPad could install: %s. Upload the .ipa as Xcode exported it.", fmt.Sprintf(format, args...)).On("ipa")
}

func tooBig() *fault.Fault {
	return fault.New(fault.Invalid, "ipa.too-big", "The file has more than 4 GB, which no app may have.").On("ipa")
}

// ReadIPA finds out which app is in an .ipa. It reads the archive's directory and
// one property list, unpacks nothing else, and takes as much memory for any file.
//
// archive/zip is not used: it makes room for as many entries as an archive claims
// to have before it sees one.
//
// Faults: ipa.unreadable, ipa.too-big, ipa.encrypted, ipa.path, ipa.several.
func ReadIPA(r io.ReaderAt, size int64) (IPA, error) {
	if size > MaxIPA {
		return IPA{}, tooBig()
	}
	dir, err := findDirectory(r, size)
	if err != nil {
		return IPA{}, err
	}
	info, err := dir.find(r)
	if err != nil {
		return IPA{}, err
	}
	raw, err := info.read(r, dir.offset)
	if err != nil {
		return IPA{}, err
	}
	return readInfo(raw)
}

// readInfo takes what counts from an Info.plist.
// Source: Apple, Bundle Resources, "Information Property List".
func readInfo(raw []byte) (IPA, error) {
	var doc map[string]any
	if err := mdm.DecodeUpload(raw, &doc); err != nil {
		return IPA{}, unreadableIPA("its Info.plist cannot be read").With(err)
	}
	text := func(key string) string {
		s, _ := doc[key].(string)
		return strings.TrimSpace(s)
	}
	a := IPA{
		BundleID: text("CFBundleIdentifier"), ShortVersion: text("CFBundleShortVersionString"), BundleVersion: text("CFBundleVersion"),
		MinimumOS: text("MinimumOSVersion"), Title: mdm.Clean(text("CFBundleDisplayName")),
	}
	if a.Title == "" {
		a.Title = mdm.Clean(text("CFBundleName"))
	}
	if a.Title == "" {
		a.Title = a.BundleID
	}
	switch {
	case !bundleID.MatchString(a.BundleID):
		return IPA{}, unreadableIPA("its Info.plist has no CFBundleIdentifier such as de.stadt.App")
	case !shownVersion.MatchString(a.BundleVersion):
		return IPA{}, unreadableIPA("its Info.plist has no CFBundleVersion such as 42")
	case a.ShortVersion != "" && !shownVersion.MatchString(a.ShortVersion):
		return IPA{}, unreadableIPA("its CFBundleShortVersionString is no version such as 1.2")
	case a.MinimumOS != "" && !osVersion.MatchString(a.MinimumOS):
		return IPA{}, unreadableIPA("its MinimumOSVersion is no version such as 17.0")
	}
	return a, nil
}

// directory is where a zip archive lists its entries.
// Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.12 to 4.3.16.
type directory struct {
	offset, size int64
	entries      uint64
}

const (
	endSize       = 22
	end64Size     = 56
	locatorSize   = 20
	headerSize    = 46
	localSize     = 30
	full16        = 1<<16 - 1
	full32        = 1<<32 - 1
	markEnd       = "PK\x05\x06"
	markLocator   = "PK\x06\x07"
	markEnd64     = "PK\x06\x06"
	markHeader    = "PK\x01\x02"
	markLocal     = "PK\x03\x04"
	zip64Extra    = 1
	flagEncrypted = 1
)

func le16(b []byte, at int) int64  { return int64(binary.LittleEndian.Uint16(b[at:])) }
func le32(b []byte, at int) int64  { return int64(binary.LittleEndian.Uint32(b[at:])) }
func le64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// readAt reads n bytes; that they are not there is the archive's fault.
func readAt(r io.ReaderAt, offset int64, n int) ([]byte, error) {
	b := make([]byte, n)
	if got, err := r.ReadAt(b, offset); got < n {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read an app: %w", err)
		}
		return nil, cutShort()
	}
	return b, nil
}

func cutShort() *fault.Fault {
	return unreadableIPA("it is no zip archive, or a part of it is missing")
}

func findDirectory(r io.ReaderAt, size int64) (directory, error) {
	if size < endSize {
		return directory{}, cutShort()
	}
	n := min(size, endSize+maxComment)
	tail, err := readAt(r, size-n, int(n))
	if err != nil {
		return directory{}, err
	}
	i := len(tail) - endSize
	for ; i >= 0; i-- {
		if string(tail[i:i+4]) == markEnd && le16(tail, i+20) == int64(len(tail)-i-endSize) {
			break
		}
	}
	if i < 0 {
		return directory{}, cutShort()
	}
	end := size - n + int64(i)
	d := directory{entries: uint64(le16(tail, i+10)), size: le32(tail, i+12), offset: le32(tail, i+16)}
	if d.entries == full16 || d.size == full32 || d.offset == full32 {
		if d, end, err = wideDirectory(r, end); err != nil {
			return d, err
		}
	}
	switch {
	case d.entries > maxEntries || d.size > maxDirectory:
		return d, unreadableIPA("it has more than %d files", maxEntries)
	case d.offset < 0 || d.size < 0 || d.offset > end-d.size:
		return d, cutShort()
	}
	return d, nil
}

// wideDirectory reads the end of an archive of more than 4 GB or 65,535 entries;
// end is where its narrow end begins.
func wideDirectory(r io.ReaderAt, end int64) (d directory, at64 int64, err error) {
	if end < locatorSize {
		return d, 0, cutShort()
	}
	loc, err := readAt(r, end-locatorSize, locatorSize)
	if err != nil {
		return d, 0, err
	}
	where := le64(loc, 8)
	if string(loc[:4]) != markLocator || where > uint64(end) {
		return d, 0, cutShort()
	}
	b, err := readAt(r, int64(where), end64Size)
	if err != nil {
		return d, 0, err
	}
	size, offset := le64(b, 40), le64(b, 48)
	if string(b[:4]) != markEnd64 || size > uint64(end) || offset > uint64(end) {
		return d, 0, cutShort()
	}
	return directory{offset: int64(offset), size: int64(size), entries: le64(b, 32)}, int64(where), nil
}

// entry is a file of the archive, as its directory has it.
type entry struct {
	name                 string
	method, flags        int64
	packed, full, offset int64
	crc                  uint32
}

// find walks the directory for the one app's Info.plist. It holds one entry at a
// time.
func (d directory) find(r io.ReaderAt) (info entry, err error) {
	in := bufio.NewReaderSize(io.NewSectionReader(r, d.offset, d.size), 64<<10)
	for range d.entries {
		e, err := nextEntry(in)
		if err != nil {
			return info, err
		}
		if !soundName(e.name) {
			return info, fault.New(fault.Invalid, "ipa.path", "The archive names a file that would lie outside of it (%q). No Xcode exports such: do not use this file.", mdm.Clean(e.name)).On("ipa")
		}
		if !infoPath.MatchString(e.name) {
			continue
		}
		if info.name != "" {
			return info, fault.New(fault.Invalid, "ipa.several", "There are two apps in the file, or one twice. Upload each in an .ipa of its own.").On("ipa")
		}
		info = e
	}
	if info.name == "" {
		return info, unreadableIPA("there is no Payload/NAME.app/Info.plist in it")
	}
	return info, nil
}

func nextEntry(in *bufio.Reader) (e entry, err error) {
	var h [headerSize]byte
	if err := readWhole(in, h[:]); err != nil {
		return e, err
	}
	name, extra, comment := le16(h[:], 28), le16(h[:], 30), le16(h[:], 32)
	if string(h[:4]) != markHeader || name == 0 || name > maxEntryName {
		return e, cutShort()
	}
	e = entry{
		flags: le16(h[:], 8), method: le16(h[:], 10), crc: uint32(le32(h[:], 16)), //nolint:gosec // it is 32 bits wide
		packed: le32(h[:], 20), full: le32(h[:], 24), offset: le32(h[:], 42),
	}
	b := make([]byte, name+extra)
	if err := readWhole(in, b); err != nil {
		return e, err
	}
	e.name = string(b[:name])
	if err := e.widen(b[name:]); err != nil {
		return e, err
	}
	if _, err := in.Discard(int(comment)); err != nil {
		return e, readWhole(in, h[:1])
	}
	return e, nil
}

func readWhole(in io.Reader, b []byte) error {
	_, err := io.ReadFull(in, b)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return cutShort()
	}
	return fmt.Errorf("read an app: %w", err)
}

// widen takes numbers that have no room in the header from the extra field.
func (e *entry) widen(extra []byte) error {
	for len(extra) >= 4 {
		id, n := le16(extra, 0), le16(extra, 2)
		extra = extra[4:]
		if n > int64(len(extra)) {
			return nil // padding, as some tools write it
		}
		field := extra[:n]
		extra = extra[n:]
		if id != zip64Extra {
			continue
		}
		for _, v := range []*int64{&e.full, &e.packed, &e.offset} {
			if *v != full32 {
				continue
			}
			if len(field) < 8 || le64(field, 0) > MaxIPA {
				return cutShort()
			}
			*v, field = int64(le64(field, 0)), field[8:]
		}
	}
	return nil
}

// soundName tells whether a file stays inside of where it is unpacked.
func soundName(name string) bool {
	if !utf8.ValidString(name) || strings.ContainsAny(name, "\x00\\") || strings.HasPrefix(name, "/") {
		return false
	}
	clean := path.Clean(name)
	return clean != ".." && !strings.HasPrefix(clean, "../") && clean == strings.TrimSuffix(name, "/")
}

// read unpacks an entry; where ends the part of the archive in which it lies.
func (e entry) read(r io.ReaderAt, where int64) ([]byte, error) {
	switch {
	case e.flags&flagEncrypted != 0:
		return nil, fault.New(fault.Invalid, "ipa.encrypted", "The archive is encrypted, which an iPad cannot read. Upload the .ipa as Xcode exported it.").On("ipa")
	case e.full > maxInfo || e.packed > maxInfo:
		return nil, unreadableIPA("its Info.plist has more than 1 MB")
	case e.offset > where-localSize:
		return nil, cutShort()
	}
	local, err := readAt(r, e.offset, localSize)
	if err != nil {
		return nil, err
	}
	n := le16(local, 26)
	if string(local[:4]) != markLocal || n != int64(len(e.name)) {
		return nil, cutShort()
	}
	name, err := readAt(r, e.offset+localSize, int(n))
	if err != nil {
		return nil, err
	}
	data := e.offset + localSize + n + le16(local, 28)
	if string(name) != e.name || data > where-e.packed {
		return nil, cutShort()
	}
	packed, err := readAt(r, data, int(e.packed))
	if err != nil {
		return nil, err
	}
	raw := packed
	switch e.method {
	case 0:
	case 8:
		if raw, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxInfo+1)); err != nil {
			return nil, unreadableIPA("its Info.plist cannot be unpacked").With(err)
		}
	default:
		return nil, unreadableIPA("its Info.plist is packed by a method that iPads do not know")
	}
	if int64(len(raw)) != e.full || crc32.ChecksumIEEE(raw) != e.crc {
		return nil, unreadableIPA("its Info.plist is damaged")
	}
	return raw, nil
}
