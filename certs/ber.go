package certs

import "errors"

// maxBERDepth bounds what is parsed before anybody has been recognised: a signed
// message nests about twelve deep.
const maxBERDepth = 32

var (
	errBERDepth  = errors.New("nested too deeply")
	errBERSyntax = errors.New("not BER")
	errMalformed = errors.New("malformed")
)

// definite gives the first value of b with every length as DER writes it, which
// is b itself when they are so already. iPads sign with lengths left open.
//
// The readers behind it must never see an open length: pkcs7 searches the whole
// rest for the end after each part, and takes an empty value of open length for
// the begin of a deeper one, so that a few hundred kB keep it busy for hours.
func definite(b []byte) ([]byte, error) {
	size, plain, err := measure(b, 0)
	if err != nil {
		return nil, err
	}
	if plain {
		return b[:size], nil
	}
	der, _ := appendDefinite(make([]byte, 0, size), b)
	return der, nil
}

// measure walks one value and tells its size and whether its lengths, and those
// inside, are DER's.
func measure(b []byte, depth int) (size int, plain bool, err error) {
	begin, length, plain, err := berHeader(b)
	if err != nil {
		return 0, false, err
	}
	if length > len(b)-begin {
		return 0, false, errBERSyntax
	}
	if b[0]&0x20 == 0 {
		if length < 0 {
			return 0, false, errBERSyntax
		}
		return begin + length, plain, nil
	}
	if depth == maxBERDepth {
		return 0, false, errBERDepth
	}
	body := b[begin:]
	if length >= 0 {
		body = body[:length]
	}
	for at := 0; ; {
		if length >= 0 && at == length {
			return begin + at, plain, nil
		}
		if length < 0 && ended(body[at:]) {
			return begin + at + 2, false, nil
		}
		n, p, err := measure(body[at:], depth+1)
		if err != nil {
			return 0, false, err
		}
		at, plain = at+n, plain && p
	}
}

// appendDefinite rewrites a value that measure has found in order, and tells how
// much of b it was.
func appendDefinite(out, b []byte) (_ []byte, size int) {
	if n, plain, _ := measure(b, 0); plain {
		return append(out, b[:n]...), n
	}
	begin, length, _, _ := berHeader(b)
	inner := b[begin:]
	switch {
	case length >= 0 && b[0]&0x20 == 0:
		inner, size = inner[:length], begin+length
	case length >= 0:
		var der []byte
		for at := 0; at < length; {
			var n int
			der, n = appendDefinite(der, inner[at:length])
			at += n
		}
		inner, size = der, begin+length
	default:
		var der []byte
		at := 0
		for !ended(inner[at:]) {
			var n int
			der, n = appendDefinite(der, inner[at:])
			at += n
		}
		inner, size = der, begin+at+2
	}
	out = append(out, b[:tagSize(b)]...)
	return append(appendLength(out, len(inner)), inner...), size
}

// ended tells whether a value of open length ends here.
func ended(b []byte) bool { return len(b) >= 2 && b[0] == 0 && b[1] == 0 }

func tagSize(b []byte) int {
	i := 1
	if b[0]&0x1f == 0x1f {
		for i < len(b) && b[i] >= 0x80 {
			i++
		}
		i++
	}
	return i
}

// berHeader reads tag and length; length is -1 when left open, plain when DER
// would write it so.
func berHeader(b []byte) (begin, length int, plain bool, err error) {
	if len(b) == 0 {
		return 0, 0, false, errBERSyntax
	}
	i := tagSize(b)
	if i >= len(b) {
		return 0, 0, false, errBERSyntax
	}
	l := int(b[i])
	i++
	switch {
	case l == 0x80:
		return i, -1, false, nil
	case l < 0x80:
		return i, l, true, nil
	}
	n := l & 0x7f
	if n > 4 || n > len(b)-i {
		return 0, 0, false, errBERSyntax
	}
	for _, c := range b[i : i+n] {
		length = length<<8 | int(c)
	}
	if length < 0 { // where an int has 32 bits
		return 0, 0, false, errBERSyntax
	}
	return i + n, length, b[i] != 0 && length >= 0x80, nil
}

func appendLength(out []byte, n int) []byte {
	if n < 0x80 {
		return append(out, byte(n))
	}
	size := 1
	for n>>(8*size) > 0 {
		size++
	}
	out = append(out, 0x80|byte(size))
	for ; size > 0; size-- {
		out = append(out, byte(n>>(8*(size-1))))
	}
	return out
}
