package server

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ranzen/internal/fault"
	"ranzen/internal/views"
)

// metrics are the numbers of this process, and of the database they share.
type metrics struct {
	s        *Server
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	handler  http.Handler

	mu     sync.Mutex
	counts views.Counts
	read   time.Time
}

// countEvery bounds how often a scrape reads the database.
const countEvery = 15 * time.Second

func (s *Server) newMetrics() *metrics {
	m := &metrics{
		s: s, registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ranzen_requests_total", Help: "Requests answered."}, []string{"listener", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "ranzen_request_seconds", Help: "How long answers took.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5},
		}, []string{"listener", "route"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m)
	numbers := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	m.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		numbers.ServeHTTP(w, r)
	})
	return m
}

func (m *metrics) observe(listener, route string, status int, seconds float64) {
	m.requests.WithLabelValues(listener, route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(listener, route).Observe(seconds)
}

// Describe implements prometheus.Collector: none, since labels vary.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	gauge := func(name, help, label, value string, v float64) {
		labels, values := []string{}, []string{}
		if label != "" {
			labels, values = []string{label}, []string{value}
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue, v, values...)
	}
	each := func(name, help, label string, counts map[string]int64) {
		for k, v := range counts {
			gauge(name, help, label, k, float64(v))
		}
	}
	if c, err := m.current(ctx); err == nil {
		each("ranzen_devices", "Devices by enrollment state.", "state", c.Devices)
		each("ranzen_commands", "Open and uncertain commands by state.", "state", c.Commands)
		each("ranzen_items", "Profiles and apps on devices by state.", "state", c.Items)
		each("ranzen_last_contact", "Enrolled devices by age of their last contact.", "within", c.Contact)
		gauge("ranzen_devices_to_plan", "Devices that wait to be planned.", "", "", float64(c.Marks))
		gauge("ranzen_push_waiting", "Devices that wait to be woken.", "", "", float64(c.PushWaiting))
		gauge("ranzen_push_refused", "Devices that Apple refuses to wake.", "", "", float64(c.PushRefused))
		gauge("ranzen_certificates_ending", "Identities that end within 30 days.", "", "", float64(c.Renewals))
		age := 0.0
		if c.OldestCommand != nil {
			age = m.s.Clock.Now().Sub(*c.OldestCommand).Seconds()
		}
		gauge("ranzen_oldest_command_seconds", "Age of the oldest command that may be handed over.", "", "", age)
	} else {
		m.s.Log.ErrorContext(ctx, "counting for the metrics", "err", err)
	}
	p := m.s.Queue.PushCounts()
	each("ranzen_pushes", "Pushes since this process began, by result.", "result", map[string]int64{"accepted": p.Accepted, "refused": p.Refused, "later": p.Later})
	each("ranzen_refusals", "Refused certificates and signatures since this process began, by reason.", "reason", m.s.Certs.RefusalCounts())
	if _, info, err := m.s.Certs.Push(ctx, m.s.DB); err == nil {
		gauge("ranzen_push_certificate_days", "Days until the push certificate ends.", "", "", info.NotAfter.Sub(m.s.Clock.Now()).Hours()/24)
	} else if fault.CodeOf(err) != "push-cert.none" {
		m.s.Log.ErrorContext(ctx, "reading the push certificate for the metrics", "err", err)
	}
}

func (m *metrics) current(ctx context.Context) (views.Counts, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.s.Clock.Now()
	if !m.read.IsZero() && now.Sub(m.read) < countEvery {
		return m.counts, nil
	}
	c, err := m.s.views.Counts(ctx, "")
	if err == nil {
		m.counts, m.read = c, now
	}
	return c, err
}
