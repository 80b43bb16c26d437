package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humamux"

	"ranzen/internal/auth"
	"ranzen/internal/fault"
	"ranzen/internal/views"
)

// Bounds of live boards.
const (
	boardEvery    = time.Second
	boardBeat     = 15 * time.Second // proxies cut what is silent for longer
	boardPatience = 10 * time.Second // for a listener that does not read; less than the grace of a shutdown
	maxBoardViews = 100              // listeners of one process
)

// boards are the live boards of this process. Each delivery that somebody looks
// at is read once a second, however many look.
type boards struct {
	read func(context.Context, string) (views.Board, error)
	log  *slog.Logger

	every, beat, patience time.Duration

	mu        sync.Mutex
	watched   map[string]*boardWatch
	listeners int
	ended     chan struct{} // closed at shutdown
	once      sync.Once
}

func newBoards(read func(context.Context, string) (views.Board, error), log *slog.Logger) *boards {
	return &boards{read: read, log: log, every: boardEvery, beat: boardBeat, patience: boardPatience, watched: map[string]*boardWatch{}, ended: make(chan struct{})}
}

// boardWatch is one delivery's board as it was last read.
type boardWatch struct {
	listeners int
	stop      context.CancelFunc

	mu     sync.Mutex
	seq    int // rises with each change
	tiles  map[string]watchedTile
	order  []string
	gone   map[string]int // device -> when it left
	totals views.BoardTotals
	news   chan struct{} // closed at the next change
}

type watchedTile struct {
	text json.RawMessage
	seq  int
}

// EndStreams ends all live boards, so that a shutdown need not wait for them.
func (s *Server) EndStreams() { s.boards.once.Do(func() { close(s.boards.ended) }) }

// join begins to look at a delivery.
func (b *boards) join(ctx context.Context, id string) (*boardWatch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners >= maxBoardViews {
		return nil, fault.New(fault.Conflict, "board.many", "Too many live boards are open (%d). Close one, or look at the board without following it.", maxBoardViews)
	}
	b.listeners++
	w := b.watched[id]
	if w == nil {
		ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
		w = &boardWatch{stop: stop, tiles: map[string]watchedTile{}, gone: map[string]int{}, news: make(chan struct{})}
		b.watched[id] = w
		go b.watch(ctx, id, w)
	}
	w.listeners++
	return w, nil
}

func (b *boards) leave(id string, w *boardWatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners--
	if w.listeners--; w.listeners == 0 {
		w.stop()
		delete(b.watched, id)
	}
}

func (b *boards) watch(ctx context.Context, id string, w *boardWatch) {
	tick := time.NewTicker(b.every)
	defer tick.Stop()
	for {
		board, err := b.read(ctx, id)
		switch {
		case err == nil:
			w.take(board)
		case ctx.Err() == nil: // meanwhile nothing changes, and listeners hear the beat
			b.log.ErrorContext(ctx, "a live board cannot be read; it is tried again", "delivery", id, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.ended:
			return
		case <-tick.C:
		}
	}
}

// take compares a board with the one before and wakes listeners if it differs.
func (w *boardWatch) take(board views.Board) {
	w.mu.Lock()
	defer w.mu.Unlock()
	next, changed := w.seq+1, w.seq == 0
	there := make(map[string]bool, len(board.Tiles))
	order := make([]string, 0, len(board.Tiles))
	for _, t := range board.Tiles {
		there[t.DeviceID] = true
		order = append(order, t.DeviceID)
		text, err := json.Marshal(t)
		if err != nil {
			continue // a tile is made of what JSON can hold
		}
		if old, known := w.tiles[t.DeviceID]; !known || !bytes.Equal(old.text, text) {
			w.tiles[t.DeviceID] = watchedTile{text, next}
			delete(w.gone, t.DeviceID)
			changed = true
		}
	}
	for id := range w.tiles {
		if !there[id] {
			delete(w.tiles, id)
			w.gone[id] = next
			changed = true
		}
	}
	if changed || w.totals != board.Totals {
		w.seq, w.order, w.totals = next, order, board.Totals
		close(w.news)
		w.news = make(chan struct{})
	}
}

// boardEvent is what listeners get.
type boardEvent struct {
	Tiles  []json.RawMessage `json:"tiles"`
	Gone   []string          `json:"gone,omitempty"`
	Totals views.BoardTotals `json:"totals"`
}

// since gives what changed since a moment, and what to wait on for more.
func (w *boardWatch) since(seq int) (e boardEvent, now int, news chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e = boardEvent{Tiles: []json.RawMessage{}, Totals: w.totals}
	for _, id := range w.order {
		if t := w.tiles[id]; t.seq > seq {
			e.Tiles = append(e.Tiles, t.text)
		}
	}
	for id, at := range w.gone {
		if at > seq && seq > 0 {
			e.Gone = append(e.Gone, id)
		}
	}
	return e, w.seq, w.news
}

// apiBoardEvents is the live board: the whole of it first, then what changes.
func (s *Server) apiBoardEvents(api huma.API) {
	op := operation{http.MethodGet, "/deliveries/{delivery}/board/events", "followBoard", auth.Look, "The staging board, live: server-sent events", "deliveries", false}
	h := s.document(op)
	h.Responses["200"] = &huma.Response{
		Description: "Event `board` with the whole board, then events `tiles` with what changed and `gone` with devices that left. Who comes again begins with the whole board",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}},
	}
	huma.Register(api, h, func(ctx context.Context, in *OneDelivery) (*huma.StreamResponse, error) {
		d, err := s.oneDelivery(ctx, s.DB, in.Delivery)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		watch, err := s.boards.join(ctx, d.ID)
		if err != nil {
			return nil, problemOf(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer s.boards.leave(d.ID, watch)
			r, w := humamux.Unwrap(hc)
			s.followBoard(r.Context(), &listener{w, http.NewResponseController(w), s.boards.patience}, watch, func() bool {
				return s.admit(r.Context(), r.Header.Get("Authorization"), op.right) == nil
			})
		}}, nil
	})
}

// followBoard sends events until the listener leaves, may no longer look, or the
// server ends.
func (s *Server) followBoard(ctx context.Context, l *listener, watch *boardWatch, mayLook func() bool) {
	l.w.Header().Set("Content-Type", "text/event-stream")
	l.w.Header().Set("X-Accel-Buffering", "no") // nginx would keep events to itself
	l.w.WriteHeader(http.StatusOK)
	beat := time.NewTicker(s.boards.beat)
	defer beat.Stop()
	for name, seq, err := "board", 0, l.send(": \n\n"); err == nil; {
		e, now, news := watch.since(seq)
		if now > seq {
			if err = l.event(name, now, e); err != nil {
				return
			}
			name, seq = "tiles", now
		}
		select {
		case <-news:
		case <-beat.C:
			if !mayLook() { // its token ended meanwhile
				return
			}
			err = l.send(": \n\n")
		case <-ctx.Done():
			return
		case <-s.boards.ended:
			return
		}
	}
}

// listener is who follows a board.
type listener struct {
	w        http.ResponseWriter
	out      *http.ResponseController
	patience time.Duration
}

func (l *listener) event(name string, id int, e boardEvent) error {
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return l.send(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", name, id, text))
}

// send writes at once. The server's own deadline is for answers that end; who
// does not read for so long is let go by one that is long past.
func (l *listener) send(text string) error {
	if err := l.deadline(time.Time{}); err != nil {
		return err
	}
	timer := time.AfterFunc(l.patience, func() { _ = l.deadline(time.Unix(1, 0)) }) // the write tells
	defer timer.Stop()
	if _, err := io.WriteString(l.w, text); err != nil {
		return err
	}
	return l.out.Flush()
}

func (l *listener) deadline(t time.Time) error {
	if err := l.out.SetWriteDeadline(t); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("follow a board: %w", err)
	}
	return nil
}
