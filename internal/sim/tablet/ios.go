package tablet

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// newestOS is the newest iPadOS there is.
const newestOS = "27.1"

// mixedOS is the iPadOS of a tablet as schools have it: most are up to date, some
// are a year behind, few are forgotten.
func mixedOS(seed uint64, index int) string {
	switch n := rand.New(rand.NewPCG(seed, uint64(index)<<8|5)).IntN(100); {
	case n < 78:
		return newestOS
	case n < 95:
		return "26.6"
	case n < 99:
		return "26.1"
	}
	return "17.5"
}

// newer compares versions by their numbers: 17.10 is newer than 17.9. A
// supplement, "16.1 (a)", does not count.
func newer(a, b string) bool {
	x, y := numbers(a), numbers(b)
	for i := range x {
		if x[i] != y[i] {
			return x[i] > y[i]
		}
	}
	return false
}

func numbers(version string) (out [3]int) {
	version, _, _ = strings.Cut(version, " ")
	for i, part := range strings.SplitN(version, ".", 3) {
		out[i], _ = strconv.Atoi(part) // what is no number is none
	}
	return out
}

func major(version string) int { return numbers(version)[0] }

// buildOf makes a build like Apple's: 18.1 is 22B83. The year's number jumped
// with iPadOS 26.
func buildOf(version string) string {
	n := numbers(version)
	line := n[0] + 4
	if n[0] >= 26 {
		line = n[0] - 3
	}
	return fmt.Sprintf("%d%c%d", line, 'A'+n[1]%26, 83+n[2])
}
