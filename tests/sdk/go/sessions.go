package main

import (
	"context"
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

func renewLock(r *run) {
	r.send("renew", text("r"))
	receiver := r.receiver("renew")
	got := r.one(receiver)
	for range 3 {
		time.Sleep(time.Second)
		before := *got.LockedUntil
		check(receiver.RenewMessageLock(r, got, nil))
		holds(got.LockedUntil.After(before), "%v is not after %v", got.LockedUntil, before)
	}
	r.complete(receiver, got)
}

func messageLockLost(r *run) {
	r.send("lost", text("x"))
	receiver := r.receiver("lost")
	got := r.one(receiver)
	time.Sleep(1500 * time.Millisecond)
	refused(azservicebus.CodeLockLost, receiver.CompleteMessage(r, got, nil))
	refused(azservicebus.CodeLockLost, receiver.RenewMessageLock(r, got, nil))
	again := r.one(receiver)
	same(again.DeliveryCount, 2)
	r.fault("lose-lock entity=lost op=settle times=1")
	refused(azservicebus.CodeLockLost, receiver.CompleteMessage(r, again, nil))
	r.complete(receiver, r.one(receiver))
}

func sessionWithState(r *run) {
	r.send("session", inSession("1", "s"), inSession("2", "s"), inSession("other", "t"))
	receiver := r.accept("session", "s")
	same(receiver.SessionID(), "s")
	holds(receiver.LockedUntil().After(time.Now()), "locked until %v", receiver.LockedUntil())
	same(must(receiver.GetSessionState(r, nil)), nil)
	check(receiver.SetSessionState(r, []byte("half"), nil))
	r.take(receiver, "1", "2")
	before := receiver.LockedUntil()
	time.Sleep(10 * time.Millisecond)
	check(receiver.RenewSessionLock(r, nil))
	holds(receiver.LockedUntil().After(before), "%v is not after %v", receiver.LockedUntil(), before)
	_, err := r.client.AcceptSessionForQueue(r, "session", "s", nil)
	refused("", err)
	check(receiver.Close(r))
	again := r.accept("session", "s")
	same(string(must(again.GetSessionState(r, nil))), "half")
	check(again.SetSessionState(r, nil, nil))
	check(again.Close(r))
	other := r.accept("session", "t")
	r.take(other, "other")
}

func deferredInASession(r *run) {
	r.send("session", inSession("later", "deferred"))
	receiver := r.accept("session", "deferred")
	got := r.one(receiver)
	check(receiver.DeferMessage(r, got, nil))
	again := must(receiver.ReceiveDeferredMessages(r, []int64{*got.SequenceNumber}, nil))
	r.complete(receiver, again[0])
	_, err := receiver.ReceiveDeferredMessages(r, []int64{*got.SequenceNumber}, nil)
	refused(azservicebus.CodeNotFound, err)
}

func nextAvailableSession(r *run) {
	r.send("next", inSession("a1", "a"), inSession("b1", "b"))
	for _, session := range []string{"a", "b"} {
		receiver := must(r.client.AcceptNextSessionForQueue(r, "next", nil))
		same(receiver.SessionID(), session)
		r.take(receiver, session+"1")
		check(receiver.Close(r))
	}
	refused(azservicebus.CodeTimeout, r.noNextSession())
}

// noNextSession is the service's answer if no session becomes free. This SDK makes it wait one hundredth less than
// the deadline at most, and a busy machine may need that much for the answer.
func (r *run) noNextSession() (err error) {
	for range 3 {
		wait, cancel := context.WithTimeout(r, 2*time.Second)
		_, err = r.client.AcceptNextSessionForQueue(wait, "next", nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return err
}

func sessionRequired(r *run) {
	_, err := r.receiver("session").ReceiveMessages(r, 1, nil)
	refused("", err)
	_, err = r.client.AcceptSessionForQueue(r, "send", "s", nil)
	refused("", err)
	refused("", r.trySend("session", text("no session")))
}

func sessionLockLost(r *run) {
	r.send("session-lock", inSession("x", "s"))
	receiver := r.accept("session-lock", "s")
	got := r.one(receiver)
	time.Sleep(3 * time.Second)
	// With sessions, this SDK always retries for 45 seconds.
	wait, cancel := context.WithTimeout(r, time.Second)
	defer cancel()
	holds(receiver.CompleteMessage(wait, got, nil) != nil, "completed without its lock")
	// Its receiver has the session again.
	second := r.one(receiver)
	same(second.DeliveryCount, 2)
	r.complete(receiver, second)
}

func sessionsAreListed(r *run) {
	list := func(since *time.Time) []string {
		found := []string{}
		options := azservicebus.ListSessionsOptions{SessionStateUpdatedAfter: since}
		pager := r.client.NewListSessionsForQueuePager("session-list", &options)
		for pager.More() {
			found = append(found, must(pager.NextPage(r)).Sessions...)
		}
		return found
	}
	same(list(nil), []string{})
	r.send("session-list", inSession("1", "b"), inSession("2", "a"))
	same(list(nil), []string{"a", "b"})
	begun := time.Now()
	receiver := r.accept("session-list", "c")
	time.Sleep(10 * time.Millisecond)
	check(receiver.SetSessionState(r, []byte("x"), nil))
	same(list(nil), []string{"a", "b", "c"})
	same(list(&begun), []string{"c"})
	same(list(pointer(time.Now().Add(time.Minute))), []string{})
	_, err := r.client.NewListSessionsForQueuePager("send", nil).NextPage(r)
	refused("", err)
	_, err = r.client.NewListSessionsForQueuePager("nowhere", nil).NextPage(r)
	refused(azservicebus.CodeNotFound, err)
}
