package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

func sendReceiveComplete(r *run) {
	r.send("send", &azservicebus.Message{
		Body:                  []byte("\x00\xff"),
		MessageID:             pointer("id-1"),
		CorrelationID:         pointer("c"),
		Subject:               pointer("s"),
		ContentType:           pointer("application/json"),
		ReplyTo:               pointer("r"),
		To:                    pointer("t"),
		PartitionKey:          pointer("p"),
		TimeToLive:            pointer(time.Minute),
		ApplicationProperties: map[string]any{"text": "ä", "n": int64(5), "flag": true, "none": nil},
	})
	receiver := r.receiver("send")
	got := r.one(receiver)
	same(got.Body, []byte("\x00\xff"))
	same([]string{got.MessageID, *got.CorrelationID, *got.Subject, *got.ContentType}, []string{"id-1", "c", "s", "application/json"})
	same([]string{*got.ReplyTo, *got.To, *got.PartitionKey}, []string{"r", "t", "p"})
	properties := got.ApplicationProperties
	same([]any{properties["text"], properties["n"], properties["flag"], properties["none"]}, []any{"ä", int64(5), true, nil})
	// This SDK counts the current delivery.
	same(got.DeliveryCount, 1)
	same(*got.SequenceNumber, 1)
	holds(time.Since(*got.EnqueuedTime).Abs() < time.Minute, "enqueued at %v", got.EnqueuedTime)
	holds(got.LockedUntil.After(time.Now()) && got.ExpiresAt.After(time.Now()), "%v, %v", got.LockedUntil, got.ExpiresAt)
	same(got.State, azservicebus.MessageStateActive)
	r.complete(receiver, got)
	r.none(receiver)
}

func messageIDIsAssigned(r *run) {
	r.send("send", text("x"))
	receiver := r.receiver("send")
	got := r.one(receiver)
	holds(got.MessageID != "", "no message-id")
	r.complete(receiver, got)
}

func batch(r *run) {
	sender := r.sender("batch")
	made := must(sender.NewMessageBatch(r, nil))
	expected := []string{}
	for n := range 100 {
		expected = append(expected, fmt.Sprint("m", n))
		check(made.AddMessage(text(expected[n]), nil))
	}
	large := &azservicebus.Message{Body: make([]byte, 262_144)}
	holds(errors.Is(made.AddMessage(large, nil), azservicebus.ErrMessageTooLarge), "the batch takes more than a message may have")
	check(sender.SendMessageBatch(r, made, nil))
	receiver := r.receiver("batch")
	got := []string{}
	for len(got) < 100 {
		messages := must(receiver.ReceiveMessages(r, 100, nil))
		got = append(got, bodies(messages)...)
		for _, message := range messages {
			r.complete(receiver, message)
		}
	}
	same(got, expected)
	r.none(receiver)
}

func abandonUntilDead(r *run) {
	r.send("abandon", text("a"))
	receiver := r.receiver("abandon")
	for count := range 3 {
		got := r.one(receiver)
		same(got.DeliveryCount, uint32(count+1))
		if count > 0 {
			same(got.ApplicationProperties["tried"], any(int64(count-1)))
		}
		options := azservicebus.AbandonMessageOptions{PropertiesToModify: map[string]any{"tried": int64(count)}}
		check(receiver.AbandonMessage(r, got, &options))
	}
	r.none(receiver)
	dead := r.deadLetters("abandon")
	got := r.one(dead)
	same(*got.DeadLetterReason, "MaxDeliveryCountExceeded")
	r.complete(dead, got)
}

func deadLetterAndReadBack(r *run) {
	r.send("dead", &azservicebus.Message{Body: []byte("d"), ApplicationProperties: map[string]any{"kept": int64(1)}})
	receiver := r.receiver("dead")
	check(receiver.DeadLetterMessage(r, r.one(receiver), &azservicebus.DeadLetterOptions{
		Reason:             pointer("why"),
		ErrorDescription:   pointer("because"),
		PropertiesToModify: map[string]any{"added": "x"},
	}))
	r.none(receiver)
	dead := r.deadLetters("dead")
	got := r.one(dead)
	same([]string{*got.DeadLetterReason, *got.DeadLetterErrorDescription}, []string{"why", "because"})
	same([]any{got.ApplicationProperties["kept"], got.ApplicationProperties["added"]}, []any{int64(1), "x"})
	refused("", dead.DeadLetterMessage(r, got, nil))
	peeked := must(dead.PeekMessages(r, 1, nil))
	same(*peeked[0].DeadLetterReason, "why")
}

func deferred(r *run) {
	r.send("defer", text("later"), text("then"))
	receiver := r.receiver("defer")
	sequences := []int64{}
	for range 2 {
		got := r.one(receiver)
		check(receiver.DeferMessage(r, got, nil))
		sequences = append(sequences, *got.SequenceNumber)
	}
	r.none(receiver)
	again := must(receiver.ReceiveDeferredMessages(r, sequences, nil))
	same(bodies(again), []string{"later", "then"})
	same(again[0].State, azservicebus.MessageStateDeferred)
	check(receiver.RenewMessageLock(r, again[0], nil))
	check(receiver.AbandonMessage(r, again[0], nil))
	check(receiver.DeadLetterMessage(r, again[1], &azservicebus.DeadLetterOptions{Reason: pointer("why")}))
	again = must(receiver.ReceiveDeferredMessages(r, sequences[:1], nil))
	check(receiver.DeferMessage(r, again[0], nil))
	again = must(receiver.ReceiveDeferredMessages(r, sequences[:1], nil))
	r.complete(receiver, again[0])
	_, err := receiver.ReceiveDeferredMessages(r, sequences[:1], nil)
	refused(azservicebus.CodeNotFound, err)
	dead := r.deadLetters("defer")
	got := r.one(dead)
	same(*got.DeadLetterReason, "why")
	r.complete(dead, got)
}

func scheduleAndCancel(r *run) {
	sender := r.sender("schedule")
	soon, later := time.Now().Add(2*time.Second), time.Now().Add(time.Hour)
	must(sender.ScheduleMessages(r, []*azservicebus.Message{text("soon")}, soon, nil))
	ids := must(sender.ScheduleMessages(r, []*azservicebus.Message{text("1"), text("2")}, later, nil))
	same(len(ids), 2)
	check(sender.CancelScheduledMessages(r, ids, nil))
	refused(azservicebus.CodeNotFound, sender.CancelScheduledMessages(r, ids[:1], nil))
	own := text("own")
	own.ScheduledEnqueueTime = &soon
	check(sender.SendMessage(r, own, nil))
	receiver := r.receiver("schedule")
	for _, message := range must(receiver.PeekMessages(r, 5, nil)) {
		same(message.State, azservicebus.MessageStateScheduled)
	}
	r.none(receiver)
	found := map[string]bool{}
	for range 2 {
		got := r.one(receiver)
		holds(!got.EnqueuedTime.Before(soon.Truncate(time.Millisecond)), "%v is before %v", got.EnqueuedTime, soon)
		found[string(got.Body)] = true
		r.complete(receiver, got)
	}
	holds(found["soon"] && found["own"], "%v", found)
}

func peek(r *run) {
	r.send("peek", text("1"), text("2"), text("3"))
	receiver := r.receiver("peek")
	peeked := must(receiver.PeekMessages(r, 2, nil))
	same(bodies(peeked), []string{"1", "2"})
	same(bodies(must(receiver.PeekMessages(r, 5, nil))), []string{"3"})
	same(bodies(must(receiver.PeekMessages(r, 5, nil))), []string{})
	from := azservicebus.PeekMessagesOptions{FromSequenceNumber: peeked[1].SequenceNumber}
	same(bodies(must(receiver.PeekMessages(r, 1, &from))), []string{"2"})
	deleting := r.deleting("peek")
	for _, expected := range []string{"1", "2", "3"} {
		same(string(r.one(deleting).Body), expected)
	}
}

func receiveAndDelete(r *run) {
	r.send("delete", text("1"), text("2"))
	for _, expected := range []string{"1", "2"} {
		receiver := r.deleting("delete")
		same(string(r.one(receiver).Body), expected)
		check(receiver.Close(r))
	}
	r.none(r.deleting("delete"))
}

func manyAtOnce(r *run) {
	expected := []string{}
	for n := range 20 {
		expected = append(expected, fmt.Sprint(n))
		r.send("prefetch", text(expected[n]))
	}
	receiver := r.receiver("prefetch")
	got := []string{}
	for len(got) < 20 {
		messages := must(receiver.ReceiveMessages(r, 10, nil))
		got = append(got, bodies(messages)...)
		for _, message := range messages {
			r.complete(receiver, message)
		}
	}
	same(got, expected)
}

func largeMessages(r *run) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 12_800)
	message := &azservicebus.Message{Body: large}
	r.send("large", message, message)
	receiver := r.receiver("large")
	for range 2 {
		got := r.one(receiver)
		holds(bytes.Equal(got.Body, large), "%d octets", len(got.Body))
		r.complete(receiver, got)
	}
	err := refused("", r.trySend("large", &azservicebus.Message{Body: make([]byte, 300_000)}))
	holds(errors.Is(err, azservicebus.ErrMessageTooLarge) || strings.Contains(err.Error(), "message-size-exceeded"), "%v", err)
}

func timeToLive(r *run) {
	r.send("ttl", &azservicebus.Message{Body: []byte("short"), TimeToLive: pointer(time.Second)})
	time.Sleep(1500 * time.Millisecond)
	r.none(r.receiver("ttl"))
	dead := r.deadLetters("ttl")
	got := r.one(dead)
	same(*got.DeadLetterReason, "TTLExpiredException")
	r.complete(dead, got)
}

func duplicateDetection(r *run) {
	for _, body := range []string{"first", "second"} {
		r.send("duplicates", &azservicebus.Message{Body: []byte(body), MessageID: pointer("same")})
	}
	receiver := r.receiver("duplicates")
	r.take(receiver, "first")
	r.none(receiver)
}

func forwarding(r *run) {
	r.send("forward", text("f"))
	r.take(r.receiver("forwarded"), "f")
}

func topicAndSubscriptions(r *run) {
	red := &azservicebus.Message{Body: []byte("red"), Subject: pointer("red"), ApplicationProperties: map[string]any{"size": int64(5)}}
	blue := &azservicebus.Message{Body: []byte("blue"), Subject: pointer("blue")}
	r.send("topic", text("plain"), red, blue)
	for name, expected := range map[string][]string{"all": {"plain", "red", "blue"}, "red": {"red"}, "sql": {"blue"}} {
		receiver := must(r.client.NewReceiverForSubscription("topic", name, nil))
		for _, body := range expected {
			got := r.one(receiver)
			same(string(got.Body), body)
			if name == "sql" {
				same([]any{*got.To, got.ApplicationProperties["depth"]}, []any{"sea", "deep"})
			}
			check(receiver.DeadLetterMessage(r, got, &azservicebus.DeadLetterOptions{Reason: pointer("seen")}))
		}
		r.none(receiver)
		options := azservicebus.ReceiverOptions{SubQueue: azservicebus.SubQueueDeadLetter}
		dead := must(r.client.NewReceiverForSubscription("topic", name, &options))
		for _, body := range expected {
			got := r.one(dead)
			same([]string{string(got.Body), *got.DeadLetterReason}, []string{body, "seen"})
			r.complete(dead, got)
		}
	}
}

func missingEntity(r *run) {
	missing := azservicebus.CodeNotFound
	refused(missing, r.trySend("nowhere", text("x")))
	_, err := r.receiver("nowhere").ReceiveMessages(r, 1, nil)
	refused(missing, err)
	receiver := must(r.client.NewReceiverForSubscription("topic", "nowhere", nil))
	_, err = receiver.ReceiveMessages(r, 1, nil)
	refused(missing, err)
	_, err = r.client.AcceptSessionForQueue(r, "nowhere", "s", nil)
	refused(missing, err)
}
