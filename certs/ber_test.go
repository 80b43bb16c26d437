package certs

import (
	"bytes"
	"errors"
	"testing"

	"github.com/smallstep/pkcs7"
)

func TestDefinite(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 200)
	tests := []struct {
		name     string
		in, want []byte
		err      error
	}{
		{"DER stays", []byte{0x30, 3, 2, 1, 5}, []byte{0x30, 3, 2, 1, 5}, nil},
		{"what follows is cut off", []byte{2, 1, 5, 9, 9}, []byte{2, 1, 5}, nil},
		{"an open length is closed", []byte{0x30, 0x80, 2, 1, 5, 0, 0}, []byte{0x30, 3, 2, 1, 5}, nil},
		{"an empty one too", []byte{0x30, 0x80, 0, 0}, []byte{0x30, 0}, nil},
		{"empty ones are no levels", []byte{0x30, 8, 0x30, 0x80, 0, 0, 0x30, 0x80, 0, 0}, []byte{0x30, 4, 0x30, 0, 0x30, 0}, nil},
		{"open in open", []byte{0x30, 0x80, 0x31, 0x80, 2, 1, 5, 0, 0, 0, 0}, []byte{0x30, 5, 0x31, 3, 2, 1, 5}, nil},
		{"closed in open in closed", []byte{0x30, 9, 0x31, 0x80, 0x30, 3, 2, 1, 5, 0, 0}, []byte{0x30, 7, 0x31, 5, 0x30, 3, 2, 1, 5}, nil},
		{"a length with a leading zero", []byte{4, 0x82, 0, 1, 9}, []byte{4, 1, 9}, nil},
		{"a long form for a short length", []byte{0x30, 0x81, 2, 5, 0}, []byte{0x30, 2, 5, 0}, nil},
		{"a long length", append([]byte{0x24, 0x80, 4, 0x81, 200}, append(long, 0, 0)...), append([]byte{0x24, 0x81, 203, 4, 0x81, 200}, long...), nil},
		{"a long tag", []byte{0x3f, 0x81, 0x01, 0x80, 5, 0, 0, 0}, []byte{0x3f, 0x81, 0x01, 2, 5, 0}, nil},
		{"zeros inside octets are no end", []byte{0x30, 0x80, 4, 2, 0, 0, 0, 0}, []byte{0x30, 4, 4, 2, 0, 0}, nil},

		{"nothing", nil, nil, errBERSyntax},
		{"a tag only", []byte{0x30}, nil, errBERSyntax},
		{"a long tag only", []byte{0x3f, 0xff, 0xff}, nil, errBERSyntax},
		{"longer than there is", []byte{4, 3, 1, 2}, nil, errBERSyntax},
		{"a part longer than the whole", []byte{0x30, 2, 4, 3, 1, 2, 3}, nil, errBERSyntax},
		{"never ended", []byte{0x30, 0x80, 2, 1, 5}, nil, errBERSyntax},
		{"half an end", []byte{0x30, 0x80, 2, 1, 5, 0}, nil, errBERSyntax},
		{"open but not constructed", []byte{4, 0x80, 1, 0, 0}, nil, errBERSyntax},
		{"a length of five bytes", []byte{4, 0x85, 0, 0, 0, 0, 1, 9}, nil, errBERSyntax},
		{"a length of half a byte", []byte{4, 0x82, 1}, nil, errBERSyntax},
		{"too deep", append(bytes.Repeat([]byte{0x30, 0x80}, 33), make([]byte, 66)...), nil, errBERDepth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := definite(tt.in)
			if !errors.Is(err, tt.err) || !bytes.Equal(got, tt.want) {
				t.Errorf("% x, %v; want % x, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// It has no limit of its own: what pkcs7 takes for the same bytes is more than all
// tests together may.
func TestHostileBERIsCheap(t *testing.T) {
	const size = 4 << 20
	wrapped := func(part []byte) []byte {
		b := append([]byte{0x30, 0x80}, bytes.Repeat(part, size/len(part))...)
		return append(b, 0, 0)
	}
	nested := bytes.Repeat([]byte{0x30, 0x80}, 31)
	for name, b := range map[string][]byte{
		"empty values of open length": wrapped([]byte{0x30, 0x80, 0, 0}),
		"many small parts":            wrapped([]byte{1, 1, 1}),
		"the same deep inside":        append(append(bytes.Clone(nested), bytes.Repeat([]byte{1, 1, 1}, size/3)...), make([]byte, 62)...),
		"brackets only":               bytes.Repeat([]byte{0x30, 0x80}, size/2),
	} {
		if _, _, err := UnwrapCMS(b); err == nil {
			t.Errorf("%s: was taken", name)
		}
	}
}

// FuzzDefinite: what comes out is definite, says the same, and pkcs7 reads it as
// it reads what went in, where it can.
func FuzzDefinite(f *testing.F) {
	f.Add([]byte{0x30, 0x80, 2, 1, 5, 0, 0})
	f.Add([]byte{0x30, 0x80, 0x31, 0x80, 0x24, 0x80, 4, 1, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x30, 0x82, 0, 4, 0x30, 0x80, 0, 0})
	f.Add([]byte{0x3f, 0x81, 0x01, 0x80, 5, 0, 0, 0})
	f.Add([]byte{0xa0, 0x84, 0, 0, 0, 2, 5, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		der, err := definite(b)
		if err != nil {
			return
		}
		if len(der) > 2*len(b) {
			t.Errorf("grew from %d to %d", len(b), len(der))
		}
		size, plain, err := measure(der, 0)
		if err != nil || !plain || size != len(der) {
			t.Fatalf("% x became % x: %d, %v, %v", b, der, size, plain, err)
		}
		_ = guarded(func() error {
			_, err := pkcs7.Parse(der)
			return err
		})
	})
}
