package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ranzen/internal/views"
)

// Pace of boards in tests, where nobody waits for people.
const fast = time.Millisecond

func boardsOf(read func(context.Context, string) (views.Board, error)) *Server {
	b := newBoards(read, slog.New(slog.DiscardHandler))
	b.every, b.beat, b.patience = fast, fast, 10*fast
	return &Server{boards: b}
}

func empty(context.Context, string) (views.Board, error) { return views.Board{}, nil }

func (s *Server) listen(t *testing.T, w http.ResponseWriter, mayLook func() bool) {
	t.Helper()
	watch, err := s.boards.join(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	defer s.boards.leave("d", watch)
	s.followBoard(t.Context(), &listener{w, http.NewResponseController(w), s.boards.patience}, watch, mayLook)
}

func TestAListenerWhoseTokenEndsSeesNoMore(t *testing.T) {
	s := boardsOf(empty)
	beats := 0
	w := httptest.NewRecorder()
	s.listen(t, w, func() bool { beats++; return beats < 3 })
	if beats != 3 || !strings.Contains(w.Body.String(), "event: board\n") {
		t.Errorf("%d beats: %s", beats, w.Body)
	}
}

// deaf is a connection whose other side reads nothing.
type deaf struct {
	http.ResponseWriter
	gone chan struct{}
	once sync.Once
}

func (d *deaf) Write([]byte) (int, error) {
	<-d.gone
	return 0, os.ErrDeadlineExceeded
}

func (d *deaf) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() {
		d.once.Do(func() { close(d.gone) })
	}
	return nil
}

func TestAListenerThatDoesNotReadIsLetGo(t *testing.T) {
	s := boardsOf(empty)
	s.listen(t, &deaf{ResponseWriter: httptest.NewRecorder(), gone: make(chan struct{})}, func() bool { return true })
	if len(s.boards.watched) != 0 || s.boards.listeners != 0 {
		t.Errorf("%d boards are still read", len(s.boards.watched))
	}
}

func TestABoardIsReadOnceForAllAndByNobodyForNobody(t *testing.T) {
	var mu sync.Mutex
	at, most, ends := 0, 0, make(chan struct{})
	s := boardsOf(func(ctx context.Context, _ string) (views.Board, error) {
		mu.Lock()
		if at == 0 {
			go func() { <-ctx.Done(); close(ends) }()
		}
		at++
		most = at
		mu.Unlock()
		return views.Board{Totals: views.BoardTotals{Devices: most}}, nil
	})
	first, err := s.boards.join(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.boards.join(t.Context(), "d")
	if err != nil || first != second {
		t.Fatal("each listener has a board read", err)
	}
	s.boards.leave("d", first)
	for seq := 0; seq < 5; { // it goes on for the second
		_, now, news := second.since(seq)
		if now == seq {
			<-news
		}
		seq = now
	}
	s.boards.leave("d", second)
	<-ends
}

func TestABoardThatCannotBeReadIsReadAgain(t *testing.T) {
	n := 0
	s := boardsOf(func(context.Context, string) (views.Board, error) {
		if n++; n < 3 {
			return views.Board{}, errors.New("the database is away")
		}
		return views.Board{Tiles: []views.Tile{{DeviceID: "a"}}}, nil
	})
	watch, err := s.boards.join(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	defer s.boards.leave("d", watch)
	for {
		e, now, news := watch.since(0)
		if now > 0 {
			if len(e.Tiles) != 1 {
				t.Errorf("%+v", e)
			}
			return
		}
		<-news
	}
}

func TestAWatchTellsWhatChangedSince(t *testing.T) {
	w := &boardWatch{tiles: map[string]watchedTile{}, gone: map[string]int{}, news: make(chan struct{})}
	board := func(devices ...string) views.Board {
		b := views.Board{}
		for _, d := range devices {
			id, state, _ := strings.Cut(d, "=")
			b.Tiles = append(b.Tiles, views.Tile{DeviceID: id, State: state})
		}
		b.Totals.Devices = len(devices)
		return b
	}
	check := func(since int, tiles, gone string) {
		t.Helper()
		e, _, _ := w.since(since)
		var got []string
		for _, text := range e.Tiles {
			got = append(got, string(text[14:15]))
		}
		if strings.Join(got, "") != tiles || strings.Join(e.Gone, "") != gone {
			t.Errorf("since %d: %v gone %v, want %q gone %q", since, got, e.Gone, tiles, gone)
		}
	}
	w.take(board("a=known", "b=known"))
	w.take(board("a=known", "b=known")) // nothing is new
	check(0, "ab", "")
	check(1, "", "")
	w.take(board("a=ready", "b=known"))
	check(1, "a", "")
	w.take(board("a=ready"))
	check(1, "a", "b")
	check(2, "", "b")
	check(0, "a", "") // who begins never knew of it
	w.take(board("b=known", "a=ready"))
	check(2, "b", "") // it came back
	check(0, "ba", "")
}
