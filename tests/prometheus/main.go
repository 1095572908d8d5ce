// Checks with Prometheus' own parsers what `promtool check metrics` and `promtool check rules` check: the text of a
// scrape on standard input, and files of rules, whose metrics must all be in that text.
//
// usage: check [RULES.yml …] <TEXT
//
// Prints the scrape as JSON: name => {type, samples: [{labels, value}]}. Problems go to standard error, with exit code 1.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

type sample struct {
	Labels map[string]string `json:"labels"`
	Value  any               `json:"value"`
}

type family struct {
	Type    string   `json:"type"`
	Help    string   `json:"help"`
	Samples []sample `json:"samples"`
}

var failed bool

func problem(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	failed = true
}

func number(value float64) any {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return fmt.Sprint(value)
	}
	return value
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		problem("%v", err)
	}
	textParser := expfmt.NewTextParser(model.LegacyValidation)
	parsed, err := textParser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		problem("the text cannot be parsed: %v", err)
		os.Exit(1)
	}
	lint, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		problem("the text cannot be linted: %v", err)
	}
	for _, found := range lint {
		problem("%s: %s", found.Metric, found.Text)
	}
	families := map[string]family{}
	known := map[string]bool{"up": true}
	for name, metrics := range parsed {
		entry := family{Type: metrics.GetType().String(), Help: metrics.GetHelp(), Samples: []sample{}}
		known[name] = true
		if metrics.GetType() == dto.MetricType_HISTOGRAM {
			known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = true, true, true
		}
		for _, metric := range metrics.GetMetric() {
			entry.Samples = append(entry.Samples, sampleOf(metric))
		}
		families[name] = entry
	}
	for _, file := range os.Args[1:] {
		rules(file, known)
	}
	out, err := json.Marshal(families)
	if err != nil {
		problem("%v", err)
	}
	fmt.Println(string(out))
	if failed {
		os.Exit(1)
	}
}

func sampleOf(metric *dto.Metric) sample {
	values := map[string]string{}
	for _, label := range metric.GetLabel() {
		values[label.GetName()] = label.GetValue()
	}
	var value any
	switch {
	case metric.Counter != nil:
		value = number(metric.Counter.GetValue())
	case metric.Gauge != nil:
		value = number(metric.Gauge.GetValue())
	case metric.Untyped != nil:
		value = number(metric.Untyped.GetValue())
	case metric.Histogram != nil:
		buckets := map[string]uint64{}
		for _, bucket := range metric.Histogram.GetBucket() {
			buckets[fmt.Sprint(bucket.GetUpperBound())] = bucket.GetCumulativeCount()
		}
		value = map[string]any{"count": metric.Histogram.GetSampleCount(), "sum": metric.Histogram.GetSampleSum(), "buckets": buckets}
	}
	return sample{values, value}
}

// A file of alert rules, or of expressions, one a line.
func rules(file string, known map[string]bool) {
	groups, problems := rulefmt.ParseFile(file, false, model.LegacyValidation)
	for _, found := range problems {
		problem("%s: %v", file, found)
	}
	if groups == nil {
		return
	}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				known[rule.Record] = true
			}
			expression(file, rule.Expr, known)
		}
	}
}

func expression(file, text string, known map[string]bool) {
	parsed, err := parser.ParseExpr(text)
	if err != nil {
		problem("%s: %s: %v", file, text, err)
		return
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			name := selector.Name
			for _, matcher := range selector.LabelMatchers {
				if matcher.Name == labels.MetricName {
					name = matcher.Value
				}
			}
			if !known[name] {
				problem("%s: no metric %q in the text: %s", file, name, text)
			}
		}
		return nil
	})
}
