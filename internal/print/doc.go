// Package print draws what goes onto paper: asset labels, the card of a cart and
// the hand-over protocol. It knows no database; what is printed is handed in.
//
// Codes on paper carry an asset tag or a cart's code and nothing else: no
// address, no key. Whoever reads one has what the print beside it says.
//
// Papers are readable in black and white and carry no person's name; signatures
// are lines. The PDFs name their language and title, but are not tagged for
// screen readers: the library cannot.
package print
