// SPDX-License-Identifier: Apache-2.0

// What the load programs share, as in bench/load.h: one command line, one way to start together, one JSON result.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/bits"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type options struct {
	store, mode, prefix, id                     string
	elections, sessions, seconds, ttlMs, holdUs int
}

func parse() *options {
	o := &options{}
	flag.StringVar(&o.store, "store", "", "HOST:PORT,...")
	flag.StringVar(&o.mode, "mode", "cycles", "cycles, handover, hold, failover")
	flag.StringVar(&o.prefix, "prefix", "bench", "the elections are PREFIX-0, PREFIX-1, ...")
	flag.StringVar(&o.id, "id", "bench", "what the candidates propose")
	flag.IntVar(&o.elections, "elections", 1, "elections at once")
	flag.IntVar(&o.sessions, "sessions", 1, "leases that carry them; in handover the candidates")
	flag.IntVar(&o.seconds, "seconds", 1, "")
	flag.IntVar(&o.ttlMs, "ttl-ms", 10000, "")
	flag.IntVar(&o.holdUs, "hold-us", 2000, "handover: how long one leads")
	flag.Parse()
	if o.store == "" || flag.NArg() != 0 {
		flag.Usage()
		os.Exit(1)
	}
	return o
}

func (o *options) election(i int) string { return fmt.Sprintf("%s-%d", o.prefix, i) }

func die(what string, err error) {
	fmt.Fprintf(os.Stderr, "bench: %s: %v\n", what, err)
	os.Exit(1)
}

// CLOCK_BOOTTIME: the same in every process of this host.
func nowNs() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		die("clock_gettime", err)
	}
	return uint64(t.Nano())
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		die("getrusage", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Not getrusage: its largest size is inherited from the process that forked this one.
func rssKb() (kb int64) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		die("status", err)
	}
	for line := range strings.Lines(string(text)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d", &kb); err == nil {
			return kb
		}
	}
	return -1
}

func say(what string) {
	fmt.Printf("{\"event\":%q,\"at_ns\":%d}\n", what, nowNs())
}

var stdin = bufio.NewReader(os.Stdin)

// Says "ready" and waits for the line that starts all programs together. False: nothing shall begin.
func readyAndGo() bool {
	say("ready")
	_, err := stdin.ReadString('\n')
	return err == nil
}

const subBits = 5

type result struct {
	mutex                          sync.Mutex
	beganNs, untilNs, lastNs       uint64
	cpuBegan                       time.Duration
	n, maxNs, gapNs, gapAtNs, lost uint64
	ttlMs                          int64
	latency                        map[uint64]uint64 // least value of a bucket: how many
	led, resigned                  []uint64
}

func begin(o *options) *result {
	now := nowNs()
	return &result{beganNs: now, untilNs: now + uint64(o.seconds)*1e9, lastNs: now, cpuBegan: cpuTime(),
		latency: map[uint64]uint64{}, led: []uint64{}, resigned: []uint64{}}
}

func (r *result) over() bool { return nowNs() >= r.untilNs }

func bucketNs(ns uint64) uint64 {
	shift := bits.Len64(ns) - 1 - subBits
	if shift <= 0 {
		return ns
	}
	return ns >> shift << shift
}

// With the mutex held.
func (r *result) gap(sinceNs, now uint64) {
	if now-sinceNs > r.gapNs {
		r.gapNs, r.gapAtNs = now-sinceNs, now
	}
}

// A cycle that ended now. Outside of the window nothing is counted.
func (r *result) cycle(beganNs, now uint64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if now > r.untilNs {
		return
	}
	r.n++
	r.latency[bucketNs(now-beganNs)]++
	r.maxNs = max(r.maxNs, now-beganNs)
	// Goroutines may arrive here in another order than they read the clock.
	if now > r.lastNs {
		r.gap(r.lastNs, now)
		r.lastNs = now
	}
}

func (r *result) instant(list *[]uint64, ns uint64) {
	r.mutex.Lock()
	*list = append(*list, ns)
	r.mutex.Unlock()
}

func (r *result) print() {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	latency := [][2]uint64{}
	for ns, count := range r.latency {
		latency = append(latency, [2]uint64{ns, count})
	}
	text, err := json.Marshal(map[string]any{
		"event": "result", "count": r.n, "seconds": float64(min(nowNs(), r.untilNs)-r.beganNs) / 1e9,
		"cpu_s": (cpuTime() - r.cpuBegan).Seconds(), "rss_kb": rssKb(), "max_ns": r.maxNs, "gap_ns": r.gapNs,
		"gap_at_ns": r.gapAtNs, "lost": r.lost, "ttl_ms": r.ttlMs, "latency": latency, "led_ns": r.led,
		"resigned_ns": r.resigned})
	if err != nil {
		die("json", err)
	}
	fmt.Println(string(text))
}
