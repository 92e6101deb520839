// SPDX-License-Identifier: Apache-2.0

// Elections by etcd's own Go client and its concurrency package, used as its documentation does.
package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
)

var background = context.Background()

// All sessions, to be revoked at the end: leases that run out later would load the servers during the next measurement.
var opened struct {
	sync.Mutex
	sessions []*concurrency.Session
}

func closeAll() {
	var group sync.WaitGroup
	opened.Lock()
	defer opened.Unlock()
	for _, session := range opened.sessions {
		group.Go(func() { _ = session.Close() })
	}
	group.Wait()
}

func connect(o *options) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: strings.Split(o.store, ","), DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
	if err != nil {
		die("connect", err)
	}
	return client
}

func open(client *clientv3.Client, o *options) *concurrency.Session {
	session, err := concurrency.NewSession(client, concurrency.WithTTL((o.ttlMs+999)/1000))
	if err != nil {
		die("session", err)
	}
	opened.Lock()
	opened.sessions = append(opened.sessions, session)
	opened.Unlock()
	return session
}

// The lease as it was granted.
func ttlMs(session *concurrency.Session) int64 {
	answer, err := session.Client().TimeToLive(background, session.Lease())
	if err != nil {
		die("time to live", err)
	}
	return answer.GrantedTTL * 1000
}

// Leads as soon as it can: a server may die under the load, and then a call fails and is made again.
func campaign(election *concurrency.Election, o *options) {
	for {
		if election.Campaign(background, o.id) == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func resign(election *concurrency.Election) {
	for {
		limited, cancel := context.WithTimeout(background, 5*time.Second)
		err := election.Resign(limited)
		cancel()
		if err == nil || errors.Is(err, concurrency.ErrElectionNotLeader) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func cycles(client *clientv3.Client, o *options) *result {
	session := open(client, o)
	elections := make([]*concurrency.Election, o.elections)
	var group sync.WaitGroup
	for i := range elections {
		group.Go(func() {
			elections[i] = concurrency.NewElection(session, o.election(i))
			campaign(elections[i], o)
		})
	}
	group.Wait()
	if !readyAndGo() {
		return nil
	}
	r := begin(o)
	r.ttlMs = ttlMs(session)
	for _, election := range elections {
		go func() {
			for began := nowNs(); began < r.untilNs; {
				resign(election)
				campaign(election, o)
				now := nowNs()
				r.cycle(began, now)
				began = now
			}
		}()
	}
	time.Sleep(time.Duration(r.untilNs - nowNs()))
	return r
}

// The candidates of this process in one election; each has a lease of its own, all share the connection.
func handover(client *clientv3.Client, o *options) *result {
	elections := make([]*concurrency.Election, o.sessions)
	var group sync.WaitGroup
	for i := range elections {
		group.Go(func() { elections[i] = concurrency.NewElection(open(client, o), o.prefix) })
	}
	group.Wait()
	if !readyAndGo() {
		return nil
	}
	r := begin(o)
	for _, election := range elections {
		go func() {
			for !r.over() {
				campaign(election, o)
				r.instant(&r.led, nowNs())
				time.Sleep(time.Duration(o.holdUs) * time.Microsecond)
				r.instant(&r.resigned, nowNs())
				resign(election)
			}
		}()
	}
	time.Sleep(time.Duration(r.untilNs - nowNs()))
	return r
}

// Counts the elections renewed: an answered keep-alive renews all of its lease.
func keepAlives(session *concurrency.Session, carries int, r *result) {
	answers, err := session.Client().KeepAlive(background, session.Lease())
	if err != nil {
		die("keep-alive", err)
	}
	last := nowNs()
	for range answers {
		now := nowNs()
		r.mutex.Lock()
		if now <= r.untilNs {
			r.n += uint64(carries)
			r.gap(last, now)
		}
		r.mutex.Unlock()
		last = now
	}
	r.mutex.Lock()
	r.lost += uint64(carries)
	r.mutex.Unlock()
}

func hold(client *clientv3.Client, o *options) *result {
	sessions := make([]*concurrency.Session, o.sessions)
	var group sync.WaitGroup
	for i := range sessions {
		group.Go(func() {
			sessions[i] = open(client, o)
			for e := i; e < o.elections; e += o.sessions {
				campaign(concurrency.NewElection(sessions[i], o.election(e)), o)
			}
		})
	}
	group.Wait()
	if !readyAndGo() {
		return nil
	}
	r := begin(o)
	r.ttlMs = ttlMs(sessions[0])
	for i, session := range sessions {
		go keepAlives(session, (o.elections-i+o.sessions-1)/o.sessions, r)
	}
	time.Sleep(time.Duration(r.untilNs - nowNs()))
	return r
}

// Says "waiting" when its key stands in the election, "leading" when it leads, and then leads until it is killed.
func failover(client *clientv3.Client, o *options) {
	session := open(client, o)
	fmt.Printf("{\"event\":\"opened\",\"ttl_ms\":%d}\n", ttlMs(session))
	done := make(chan struct{})
	go func() {
		key := fmt.Sprintf("%s/%x", o.prefix, session.Lease())
		for {
			answer, err := client.Get(background, key, clientv3.WithCountOnly())
			if err == nil && answer.Count == 1 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		select {
		case <-done:
		default:
			say("waiting")
		}
	}()
	campaign(concurrency.NewElection(session, o.prefix), o)
	close(done)
	say("leading")
	_, _ = stdin.ReadString('\n')
}

func main() {
	o := parse()
	client := connect(o)
	var r *result
	switch o.mode {
	case "cycles":
		r = cycles(client, o)
	case "handover":
		r = handover(client, o)
	case "hold":
		r = hold(client, o)
	case "failover":
		failover(client, o)
	default:
		die(o.mode, errors.New("not a mode: cycles, handover, hold, failover"))
	}
	if r != nil {
		r.print()
	}
	closeAll()
}
