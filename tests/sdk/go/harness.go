// Tests amqp1-broker with azservicebus. Prints one line per case, `ok NAME` or `not ok NAME: why`.
//
// usage: judge CONNECTION_STRING TLS_PORT CA_FILE [PATTERN]
//
// The broker runs with tests/sdk/Config.json and has nothing in it yet; a second one speaks TLS as localhost, on
// TLS_PORT. The exit status is 1 if a case has failed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

type testCase struct {
	name string
	run  func(*run)
}

var (
	connectionString string
	endpoint         string
	tlsPort          string
	caFile           string
)

// once means no retry, because the SDK treats 0 as its default of 3; retries means three.
var (
	once    = azservicebus.RetryOptions{MaxRetries: -1}
	retries = azservicebus.RetryOptions{MaxRetries: 3, RetryDelay: 100 * time.Millisecond}
)

// run is one running case. Whatever it opens is closed when it ends.
type run struct {
	context.Context
	client  *azservicebus.Client
	cleanup []func()
}

func (r *run) newClient(text string, options azservicebus.ClientOptions) *azservicebus.Client {
	client := must(azservicebus.NewClientFromConnectionString(text, &options))
	r.cleanup = append(r.cleanup, func() { _ = client.Close(context.Background()) })
	return client
}

// retrying enables retries for the case's operations.
func (r *run) retrying() {
	r.client = r.newClient(connectionString, azservicebus.ClientOptions{RetryOptions: retries})
}

func (r *run) sender(queue string) *azservicebus.Sender {
	return must(r.client.NewSender(queue, nil))
}

func (r *run) receiver(queue string) *azservicebus.Receiver {
	return must(r.client.NewReceiverForQueue(queue, nil))
}

func (r *run) deleting(queue string) *azservicebus.Receiver {
	options := azservicebus.ReceiverOptions{ReceiveMode: azservicebus.ReceiveModeReceiveAndDelete}
	return must(r.client.NewReceiverForQueue(queue, &options))
}

func (r *run) deadLetters(queue string) *azservicebus.Receiver {
	options := azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter}
	return must(r.client.NewReceiverForQueue(queue, &options))
}

func (r *run) accept(queue, session string) *azservicebus.SessionReceiver {
	return must(r.client.AcceptSessionForQueue(r, queue, session, nil))
}

func (r *run) send(queue string, messages ...*azservicebus.Message) {
	check(r.trySend(queue, messages...))
}

func (r *run) trySend(queue string, messages ...*azservicebus.Message) error {
	sender, err := r.client.NewSender(queue, nil)
	if err != nil {
		return err
	}
	defer func() { _ = sender.Close(r) }()
	for _, message := range messages {
		if err := sender.SendMessage(r, message, nil); err != nil {
			return err
		}
	}
	return nil
}

// fault injects faults, with a message to the broker's own node.
func (r *run) fault(lines ...string) {
	r.send("$faults", text(strings.Join(lines, "\n")))
}

// receives is what both kinds of receivers can do.
type receives interface {
	ReceiveMessages(context.Context, int, *azservicebus.ReceiveMessagesOptions) ([]*azservicebus.ReceivedMessage, error)
	CompleteMessage(context.Context, *azservicebus.ReceivedMessage, *azservicebus.CompleteMessageOptions) error
}

func (r *run) one(receiver receives) *azservicebus.ReceivedMessage {
	wait, cancel := context.WithTimeout(r, 5*time.Second)
	defer cancel()
	for {
		// No message and no error: the link was lost, and the next call opens another.
		if messages := must(receiver.ReceiveMessages(wait, 1, nil)); len(messages) > 0 {
			return messages[0]
		}
	}
}

func (r *run) none(receiver receives) {
	wait, cancel := context.WithTimeout(r, 500*time.Millisecond)
	defer cancel()
	messages, err := receiver.ReceiveMessages(wait, 1, nil)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		panic(fmt.Sprintf("unexpected: %v, %v", bodies(messages), err))
	}
}

func (r *run) complete(receiver receives, message *azservicebus.ReceivedMessage) {
	check(receiver.CompleteMessage(r, message, nil))
}

// take completes the next messages and checks their bodies.
func (r *run) take(receiver receives, expected ...string) {
	for _, body := range expected {
		got := r.one(receiver)
		same(string(got.Body), body)
		r.complete(receiver, got)
	}
}

func text(body string) *azservicebus.Message {
	return &azservicebus.Message{Body: []byte(body)}
}

func inSession(body, session string) *azservicebus.Message {
	return &azservicebus.Message{Body: []byte(body), SessionID: &session}
}

func bodies(messages []*azservicebus.ReceivedMessage) []string {
	found := []string{}
	for _, message := range messages {
		found = append(found, string(message.Body))
	}
	return found
}

func pointer[T any](value T) *T { return &value }

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func holds(is bool, what string, arguments ...any) {
	if !is {
		panic(fmt.Sprintf(what, arguments...))
	}
}

func same[T any](got, expected T) {
	holds(fmt.Sprintf("%#v", got) == fmt.Sprintf("%#v", expected), "%#v is not %#v", got, expected)
}

// refused expects an error with this code of the SDK; "" stands for any error of the service.
func refused(code azservicebus.Code, err error) error {
	holds(err != nil, "no error %q", code)
	holds(!errors.Is(err, context.DeadlineExceeded), "no answer: %v", err)
	if code != "" {
		var coded *azservicebus.Error
		holds(errors.As(err, &coded) && coded.Code == code, "not %q: %v", code, err)
	}
	return err
}

func (c testCase) judge() (failure any, stack string) {
	background, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := &run{Context: background}
	defer func() {
		if failure = recover(); failure != nil {
			stack = string(debug.Stack())
		}
		for _, clean := range r.cleanup {
			clean()
		}
	}()
	r.client = r.newClient(connectionString, azservicebus.ClientOptions{RetryOptions: once})
	c.run(r)
	return nil, ""
}

func main() {
	arguments := append(os.Args[1:], "", "", "", "")
	connectionString, tlsPort, caFile = arguments[0], arguments[1], arguments[2]
	endpoint = regexp.MustCompile(`sb://([^;/]+)`).FindStringSubmatch(connectionString)[1]
	pattern := regexp.MustCompile(arguments[3])
	failed := false
	for _, c := range cases {
		if !pattern.MatchString(c.name) {
			continue
		}
		begun := time.Now()
		if failure, stack := c.judge(); failure != nil {
			failed = true
			fmt.Printf("not ok %s: %v\n", c.name, failure)
			fmt.Fprintln(os.Stderr, stack)
			continue
		}
		fmt.Printf("ok %s (%.1f s)\n", c.name, time.Since(begun).Seconds())
	}
	if failed {
		os.Exit(1)
	}
}
