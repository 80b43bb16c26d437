package server

import (
	"context"
	"sync"
	"time"

	"ranzen/enroll"
	"ranzen/internal/sqldb"
	"ranzen/internal/views"
)

// loop is background work that is done again and again.
type loop struct {
	name  string
	every time.Duration
	alone bool // by one process at a time; else each does its own
	do    func(context.Context) error
}

// leaseSlack is how much longer than its period a process holds a job: the next
// turn renews it, and a process that died is replaced soon.
const leaseSlack = 30 * time.Second

func (s *Server) loops() []loop {
	return []loop{
		{"contacts", time.Second, false, s.Enroll.FlushSeen},
		{"refusals", time.Second, false, s.Certs.FlushRefusals},
		{"tokens", time.Minute, false, s.Auth.FlushUsed},
		{"audit", time.Second, true, s.Audit.Chain},
		{"release", 2 * time.Second, true, s.release},
		{"queue", 15 * time.Second, true, s.Queue.Sweep},
		{"inventory", time.Minute, true, s.Enroll.QueueInventory},
		{"renewals", 10 * time.Minute, true, s.Enroll.QueueRenewals},
		{adeSync, 5 * time.Second, true, s.Enroll.SyncADE},
		{adeAssign, 5 * time.Second, true, s.Enroll.AssignADE},
		{"certificates", time.Hour, true, s.Certs.Sweep},
		{"uploads", 10 * time.Minute, true, s.Profiles.SweepUploads},
		{"visits", time.Hour, true, s.Enroll.ForgetVisits},
		{"answers", 10 * time.Minute, true, s.forgetAnswers},
	}
}

// Loops runs all background work until ctx ends, then waits for what is in
// flight. Any number of processes may run it on one database. What a loop could
// not do now it does at its next turn: all of it is derived from rows.
func (s *Server) Loops(ctx context.Context) error {
	holder := sqldb.NewID()
	var all sync.WaitGroup
	all.Go(func() { s.Queue.RunWaker(ctx) })
	all.Go(func() { s.Profiles.Run(ctx) })
	for _, l := range s.loops() {
		all.Go(func() { s.keepAt(ctx, l, holder) })
	}
	all.Wait()
	// What is only in memory is written once more, and the jobs are given away.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, l := range s.loops() {
		if !l.alone {
			s.turn(last, l)
		}
	}
	return s.DB.Do(last, func(tx *sqldb.Tx) error { return dropLeases(last, tx, holder) })
}

func (s *Server) keepAt(ctx context.Context, l loop, holder string) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	var until time.Time // how long the job is ours
	for {
		mine := !l.alone
		if l.alone {
			mine, until = s.hold(ctx, l, holder, until)
		}
		if mine {
			s.turn(ctx, l)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.hurried[l.name]:
		}
	}
}

// Loops that people wait for.
const (
	adeSync   = "ade-sync"
	adeAssign = "ade-assign"
)

// hurry makes a loop's turn come now, if this process does it; else it comes with
// its period.
func (s *Server) hurry(names ...string) {
	for _, name := range names {
		select {
		case s.hurried[name] <- struct{}{}:
		default: // it will come already
		}
	}
}

// hold takes or keeps a job. A lease that lasts beyond the next turn is not
// written again.
func (s *Server) hold(ctx context.Context, l loop, holder string, until time.Time) (bool, time.Time) {
	now := s.Clock.Now()
	if now.Add(l.every).Before(until) {
		return true, until
	}
	next, mine := now.Add(l.every+leaseSlack), false
	err := s.DB.Do(ctx, func(tx *sqldb.Tx) (err error) {
		mine, err = takeLease(ctx, tx, l.name, holder, now, next)
		return err
	})
	if err != nil {
		s.failed(ctx, l, err)
		return false, time.Time{}
	}
	return mine, next
}

func (s *Server) turn(ctx context.Context, l loop) {
	if err := l.do(ctx); err != nil {
		s.failed(ctx, l, err)
	}
}

func (s *Server) failed(ctx context.Context, l loop, err error) {
	if ctx.Err() == nil {
		s.Log.ErrorContext(ctx, "background work failed and is tried again", "loop", l.name, "err", err)
	}
}

// release lets iPads out of Setup Assistant that show all of their baseline.
func (s *Server) release(ctx context.Context) error {
	for after := ""; ; {
		page, err := s.views.Awaiting(ctx, s.DB, s.Clock.Now().Add(-enroll.ReleaseAgain), after)
		if err != nil {
			return err
		}
		var ready []enroll.Ready
		for _, a := range page {
			after = a.EnrollmentID
			if len(a.Missing) == 0 {
				ready = append(ready, enroll.Ready{EnrollmentID: a.EnrollmentID, Generation: a.Generation})
			}
		}
		if len(ready) > 0 {
			if err := s.DB.Do(ctx, func(tx *sqldb.Tx) error { return s.Enroll.Release(ctx, tx, ready...) }); err != nil {
				return err
			}
		}
		if len(page) < views.MaxPage {
			return nil
		}
	}
}

func (s *Server) forgetAnswers(ctx context.Context) error {
	return s.DB.Do(ctx, func(tx *sqldb.Tx) error { return forgetAnswers(ctx, tx, s.Clock.Now().Add(-keepAnswers)) })
}
