// promql-engine answers queries with Prometheus' own engine over samples that it is given, so that the embedded
// Prometheus can be compared with the version whose language it follows. It speaks JSON lines: a request on standard
// input, its answer on standard output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// request is one of: samples to load, in place of all that were there; a text to parse; a query at an instant (step 0)
// or over a range. Times in ms. Values are texts as Go prints floats, "stale" for a stale marker.
type request struct {
	Load       []loaded `json:"load,omitempty"`
	Parse      string   `json:"parse,omitempty"`
	Query      string   `json:"query,omitempty"`
	Start      int64    `json:"start"`
	End        int64    `json:"end"`
	Step       int64    `json:"step"`
	LookbackMs int64    `json:"lookbackMs,omitempty"`
}

type loaded struct {
	Labels map[string]string `json:"labels"`
	Times  []int64           `json:"times"`
	Values []string          `json:"values"`
}

type answer struct {
	Type   string   `json:"type,omitempty"`
	Text   string   `json:"text,omitempty"`
	Pretty string   `json:"pretty,omitempty"`
	Error  string   `json:"error,omitempty"`
	Kind   string   `json:"kind,omitempty"`
	Series []series `json:"series,omitempty"`
	Notes  []string `json:"notes,omitempty"`
}

type series struct {
	Labels map[string]string `json:"labels"`
	Times  []int64           `json:"times"`
	Values []string          `json:"values"`
}

type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// memory holds series in the order of their labels, as a block does.
type memory struct{ series []storage.Series }

func (m *memory) Querier(_, _ int64) (storage.Querier, error) { return m, nil }
func (m *memory) Close() error                                { return nil }
func (m *memory) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.New("not here")
}
func (m *memory) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.New("not here")
}
func (m *memory) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
next:
	for _, s := range m.series {
		lset := s.Labels()
		for _, matcher := range matchers {
			if !matcher.Matches(lset.Get(matcher.Name)) {
				continue next
			}
		}
		found = append(found, s)
	}
	return &set{found: found, at: -1}
}

type set struct {
	found []storage.Series
	at    int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.found) }
func (s *set) At() storage.Series                { return s.found[s.at] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

func load(given []loaded) *memory {
	m := &memory{}
	for _, one := range given {
		samples := make([]chunks.Sample, len(one.Times))
		for i, t := range one.Times {
			f := math.Float64frombits(value.StaleNaN)
			if one.Values[i] != "stale" {
				f, _ = strconv.ParseFloat(one.Values[i], 64)
			}
			samples[i] = sample{t, f}
		}
		m.series = append(m.series, storage.NewListSeries(labels.FromMap(one.Labels), samples))
	}
	slices.SortFunc(m.series, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return m
}

func run(engine *promql.Engine, m *memory, r request) answer {
	ctx := context.Background()
	opts := promql.NewPrometheusQueryOpts(false, time.Duration(r.LookbackMs)*time.Millisecond)
	var q promql.Query
	var err error
	if r.Step == 0 {
		q, err = engine.NewInstantQuery(ctx, m, opts, r.Query, time.UnixMilli(r.Start).UTC())
	} else {
		step := time.Duration(r.Step) * time.Millisecond
		q, err = engine.NewRangeQuery(ctx, m, opts, r.Query, time.UnixMilli(r.Start).UTC(), time.UnixMilli(r.End).UTC(), step)
	}
	if err != nil {
		return answer{Error: err.Error(), Kind: "bad_data"}
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return answer{Error: result.Err.Error(), Kind: "execution"}
	}
	a := answer{Type: string(result.Value.Type())}
	for _, note := range result.Warnings.AsErrors() {
		a.Notes = append(a.Notes, note.Error())
	}
	format := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	switch v := result.Value.(type) {
	case promql.Scalar:
		a.Series = []series{{Times: []int64{v.T}, Values: []string{format(v.V)}}}
	case promql.String:
		a.Text = v.V
	case promql.Vector:
		for _, s := range v {
			a.Series = append(a.Series, series{s.Metric.Map(), []int64{s.T}, []string{format(s.F)}})
		}
	case promql.Matrix:
		for _, s := range v {
			one := series{Labels: s.Metric.Map()}
			for _, p := range s.Floats {
				one.Times = append(one.Times, p.T)
				one.Values = append(one.Values, format(p.F))
			}
			a.Series = append(a.Series, one)
		}
	}
	return a
}

func main() {
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  2 * time.Minute,
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
	})
	m := &memory{}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	encoder := json.NewEncoder(out)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			panic(err)
		}
		a := answer{}
		switch {
		case r.Load != nil:
			m = load(r.Load)
		case r.Parse != "":
			if expr, err := parser.ParseExpr(r.Parse); err != nil {
				a = answer{Error: err.Error(), Kind: "bad_data"}
			} else {
				a = answer{Type: string(expr.Type()), Text: expr.String(), Pretty: expr.Pretty(0)}
			}
		default:
			a = run(engine, m, r)
		}
		if err := encoder.Encode(a); err != nil {
			panic(err)
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				panic(err)
			}
		}
	}
}
