// One measurement with go-amqp, as bench/worker.php does it for PHP's clients: the task comes as JSON in the argument
// (bench/lib/Task.php), the figures go to the standard output as JSON.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/Azure/go-amqp"
)

type task struct {
	Mode     string   `json:"mode"`
	Dsn      string   `json:"dsn"`
	Queues   []string `json:"queues"`
	Jobs     int      `json:"jobs"`
	Warm     int      `json:"warm"`
	Size     int      `json:"size"`
	Window   int      `json:"window"`
	Prefetch int32    `json:"prefetch"`
}

var ctx = context.Background()

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (t *task) message(n int, payload []byte) *amqp.Message {
	kind := "application/octet-stream"
	message := amqp.NewMessage(payload)
	message.Header = &amqp.MessageHeader{Durable: true}
	message.Properties = &amqp.MessageProperties{ContentType: &kind}
	message.ApplicationProperties = map[string]any{"tenant-id": "company-a", "request-id": "req-0123456789abcdef", "number": int64(n)}
	return message
}

// Seconds of user and system time of the process, all threads.
func cpu() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

// The peak of the process's memory in MB.
func memory() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kb, _ := strconv.Atoi(fields[1])
			return float64(kb) * 1024 / 1e6
		}
	}
	return 0
}

type publisher struct {
	*task
	sender  *amqp.Sender
	payload []byte
}

func accepted(state amqp.DeliveryState, err error) {
	check(err)
	if _, ok := state.(*amqp.StateAccepted); !ok {
		check(fmt.Errorf("a job was not accepted: %v", state))
	}
}

func (p *publisher) push(n int) {
	receipt, err := p.sender.SendWithReceipt(ctx, p.message(n, p.payload), nil)
	check(err)
	accepted(receipt.Wait(ctx))
}

func (p *publisher) pushMany(from, to int) {
	open := make([]amqp.SendReceipt, 0, p.Window)
	wait := func(left int) {
		done := len(open) - left
		for i := 0; i < done; i++ {
			accepted(open[i].Wait(ctx))
		}
		open = append(open[:0], open[done:]...)
	}
	for n := from; n < to; n++ {
		receipt, err := p.sender.SendWithReceipt(ctx, p.message(n, p.payload), nil)
		check(err)
		if open = append(open, receipt); len(open) == p.Window {
			wait(p.Window / 2)
		}
	}
	wait(0)
}

func main() {
	t := &task{}
	check(json.Unmarshal([]byte(os.Args[1]), t))
	at, err := url.Parse(t.Dsn)
	check(err)
	password, _ := at.User.Password()
	connection, err := amqp.Dial(ctx, "amqp://"+at.Host, &amqp.ConnOptions{SASLType: amqp.SASLTypePlain(at.User.Username(), password)})
	check(err)
	session, err := connection.NewSession(ctx, nil)
	check(err)
	address := "/queues/" + url.PathEscape(t.Queues[0])

	var started time.Time
	var startCPU float64
	start := func() { startCPU, started = cpu(), time.Now() }
	var latencies []float64

	if t.Mode == "consume" {
		receiver, err := session.NewReceiver(ctx, address, &amqp.ReceiverOptions{Credit: t.Prefetch})
		check(err)
		seen := make([]bool, t.Warm+t.Jobs)
		for done := 1; done <= t.Warm+t.Jobs; done++ {
			message, err := receiver.Receive(ctx, nil)
			check(err)
			n := message.ApplicationProperties["number"].(int64)
			if seen[n] || len(message.GetData()) != t.Size {
				check(fmt.Errorf("job %d came twice, or with another size", n))
			}
			seen[n] = true
			check(receiver.AcceptMessage(ctx, message))
			if done == t.Warm {
				start()
			}
		}
		check(receiver.Close(ctx)) // a round trip: afterwards, the broker has read all acknowledgements
	} else {
		sender, err := session.NewSender(ctx, address, nil)
		check(err)
		p := &publisher{t, sender, bytes.Repeat([]byte("x"), t.Size)}
		if t.Mode == "push" {
			for n := 0; n < t.Warm; n++ {
				p.push(n)
			}
			start()
			for n := t.Warm; n < t.Warm+t.Jobs; n++ {
				one := time.Now()
				p.push(n)
				latencies = append(latencies, float64(time.Since(one).Nanoseconds())/1e3)
			}
		} else {
			p.pushMany(0, t.Warm)
			start()
			p.pushMany(t.Warm, t.Warm+t.Jobs)
		}
	}

	jobs := float64(t.Jobs)
	figures := map[string]float64{"rate": jobs / time.Since(started).Seconds(), "cpu": (cpu() - startCPU) / jobs * 1e6, "memory": memory()}
	if len(latencies) > 0 {
		sort.Float64s(latencies)
		figures["p50"], figures["p99"] = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	}
	check(json.NewEncoder(os.Stdout).Encode(figures))
	check(connection.Close())
}
