package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
)

func serverBusyIsRetried(r *run) {
	r.fault("busy entity=busy op=send times=2")
	single := r.client
	r.retrying()
	r.send("busy", text("x"))
	r.take(r.receiver("busy"), "x")
	r.client = single
	r.fault("busy entity=busy op=send times=1")
	err := refused("", r.trySend("busy", text("x")))
	holds(strings.Contains(err.Error(), "com.microsoft:server-busy"), "%v", err)
}

func serverBusyOnRequest(r *run) {
	r.fault("busy entity=busy op=peek-message times=1")
	r.retrying()
	same(bodies(must(r.receiver("busy").PeekMessages(r, 1, nil))), []string{})
}

func quota(r *run) {
	var err error
	for range 6 {
		if err = r.trySend("quota", &azservicebus.Message{Body: make([]byte, 200_000)}); err != nil {
			break
		}
	}
	refused("", err)
	holds(strings.Contains(err.Error(), "amqp:resource-limit-exceeded"), "%v", err)
	receiver := r.deleting("quota")
	for range 5 {
		r.one(receiver)
	}
	r.none(receiver)
}

func detachForced(r *run) {
	r.retrying()
	sender := r.sender("forced")
	send := func(body string) { check(sender.SendMessage(r, text(body), nil)) }
	send("0")
	r.fault("detach entity=forced op=send times=1")
	send("1")
	r.fault("detach entity=forced op=now")
	send("2")
	r.fault("close entity=forced op=now")
	send("3")
	r.fault("reset entity=forced op=now")
	send("4")
	receiver := r.receiver("forced")
	for n := range 5 {
		r.fault("detach entity=forced op=now")
		r.take(receiver, fmt.Sprint(n))
	}
}

func cutInATransfer(r *run) {
	large := make([]byte, 200_000)
	r.send("cut", &azservicebus.Message{Body: large})
	r.fault("cut entity=cut times=1")
	wait, cancel := context.WithTimeout(r, 3*time.Second)
	defer cancel()
	messages, _ := r.receiver("cut").ReceiveMessages(wait, 1, nil)
	same(bodies(messages), []string{})
	r.retrying()
	r.fault("lose-lock entity=cut op=now")
	receiver := r.receiver("cut")
	got := r.one(receiver)
	same(len(got.Body), len(large))
	same(got.DeliveryCount, 2)
	r.complete(receiver, got)
}

func creditWithheld(r *run) {
	r.fault("withhold-credit entity=credit ms=1500 times=1")
	begun := time.Now()
	r.send("credit", text("x"))
	holds(time.Since(begun) >= 1400*time.Millisecond, "sent without credit")
	r.take(r.receiver("credit"), "x")
}

func lateAndMisroutedAnswers(r *run) {
	r.send("misrouted", text("x"))
	receiver := r.receiver("misrouted")
	r.fault("delay entity=misrouted op=peek-message ms=700 times=1")
	begun := time.Now()
	same(len(must(receiver.PeekMessages(r, 1, nil))), 1)
	holds(time.Since(begun) >= 700*time.Millisecond, "not late")
	r.fault("misroute entity=misrouted op=peek-message times=always")
	wait, cancel := context.WithTimeout(r, time.Second)
	defer cancel()
	_, err := receiver.PeekMessages(wait, 1, nil)
	holds(err != nil, "another's answer was taken")
	r.fault("clear")
	r.take(receiver, "x")
}

func tokens(r *run) {
	withToken := func(key string, lives time.Duration) error {
		resource := url.QueryEscape("sb://" + endpoint + "/token")
		expiry := time.Now().Add(lives).Unix()
		mac := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(mac, "%s\n%d", resource, expiry)
		signature := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		token := fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d&skn=RootManageSharedAccessKey", resource, signature, expiry)
		text := fmt.Sprintf("Endpoint=sb://%s;SharedAccessSignature=%s;UseDevelopmentEmulator=true", endpoint, token)
		r.client = r.newClient(text, azservicebus.ClientOptions{RetryOptions: once})
		return r.trySend("token", &azservicebus.Message{Body: []byte("x")})
	}
	own := r.client
	refused(azservicebus.CodeUnauthorizedAccess, withToken("wrong", time.Minute))
	refused(azservicebus.CodeUnauthorizedAccess, withToken("SAS_KEY_VALUE", -time.Minute))
	check(withToken("SAS_KEY_VALUE", time.Minute))
	r.client = own
	r.retrying()
	sender := r.sender("token")
	check(sender.SendMessage(r, text("before"), nil))
	r.fault("expire-token entity=token op=now")
	// This SDK treats a refused link as final, and needs a new sender for a new token.
	if err := sender.SendMessage(r, text("after"), nil); err != nil {
		refused(azservicebus.CodeUnauthorizedAccess, err)
		r.retrying()
		r.send("token", text("after"))
	}
	r.take(r.receiver("token"), "x", "before", "after")
}

func overTLS(r *run) {
	roots := x509.NewCertPool()
	holds(roots.AppendCertsFromPEM(must(os.ReadFile(caFile))), "no certificate in %s", caFile)
	text := strings.Replace(connectionString, endpoint, "127.0.0.1:"+tlsPort, 1)
	text = regexp.MustCompile(`UseDevelop[^;]*;`).ReplaceAllString(text, "")
	r.client = r.newClient(text, azservicebus.ClientOptions{RetryOptions: once, TLSConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}})
	r.send("send", &azservicebus.Message{Body: []byte("x")})
	r.take(r.receiver("send"), "x")
}
