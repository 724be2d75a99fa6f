package main

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func echo(in <-chan int64, out chan<- int64) {
	for v := range in {
		out <- v + 1
	}
}

// foreign runs on the main thread, which main has bound, or on a thread of its own (a = 1); with
// a = 2 the other end has one, too.
func foreign(b *bench) uint64 {
	there, back := make(chan int64), make(chan int64)
	go func() {
		if b.a == 2 {
			runtime.LockOSThread()
		}
		echo(there, back)
	}()
	var sum int64
	trips := func() {
		b.begin()
		for i := int64(0); i < b.n; i++ {
			there <- i
			sum += <-back
		}
		b.end()
	}
	if b.a == 0 {
		trips()
	} else {
		done := make(chan bool)
		go func() {
			runtime.LockOSThread()
			trips()
			close(done)
		}()
		<-done
	}
	close(there)
	return uint64(sum)
}

// poke: the main thread sends the time to a task that waits, each time a microseconds after the
// last answer. Reports percentile b of how long it took.
func poke(b *bench) uint64 {
	in, out := make(chan time.Duration), make(chan time.Duration)
	go func() {
		for sent := range in {
			out <- now() - sent
		}
	}()
	took := make([]time.Duration, b.n)
	b.begin()
	for i := range took {
		until := now() + time.Duration(b.a)*time.Microsecond
		if b.a >= 200 {
			t := syscall.NsecToTimespec(int64(b.a) * 1000)
			syscall.Nanosleep(&t, nil)
		}
		for now() < until {
		}
		in <- now()
		took[i] = <-out
	}
	b.end()
	close(in)
	b.value = percentile(took, b.b)
	return uint64(b.n)
}

func hogging(stop *atomic.Bool, until time.Duration, wg *sync.WaitGroup) {
	v := uint64(1)
	for !stop.Load() && now() < until {
		v = work(v, 10)
	}
	wg.Done()
}

// The hog, one more task that sleeps, and the pair.
type hogged struct {
	stop, slept atomic.Bool
	late        []time.Duration
	there, back chan int64
	wg          sync.WaitGroup
}

func (h *hogged) dozer(naps int) {
	for len(h.late) < naps && !h.stop.Load() {
		start := now()
		time.Sleep(time.Millisecond)
		h.late = append(h.late, now()-start-time.Millisecond)
	}
	h.slept.Store(true)
	h.wg.Done()
}

func (h *hogged) start(naps int) {
	if runtime.GOMAXPROCS(0) < 2 {
		os.Exit(77)
	}
	h.late = make([]time.Duration, 0, naps)
	h.there, h.back = make(chan int64), make(chan int64)
	h.wg.Add(2)
	go hogging(&h.stop, now()+10*time.Second, &h.wg)
	go h.dozer(naps)
	go echo(h.there, h.back)
}

func (h *hogged) end() {
	h.stop.Store(true)
	close(h.there)
	h.wg.Wait()
}

// hog: n round trips of the pair. a = 0: time per round trip; 1: its 99th percentile.
func hog(b *bench) uint64 {
	var h hogged
	var sum int64
	trips := make([]time.Duration, b.n)
	h.start(10000)
	b.begin()
	for i := range trips {
		start := now()
		h.there <- int64(i)
		sum += <-h.back
		trips[i] = now() - start
	}
	b.end()
	h.end()
	if b.a == 1 {
		b.value = percentile(trips, 99)
	}
	return uint64(sum)
}

// hogNaps: the pair goes on until the other one has slept n times, which gives every
// implementation as many naps. Reports the 99th percentile of their lateness; the naps count.
func hogNaps(b *bench) uint64 {
	var h hogged
	h.start(int(b.n))
	b.begin()
	for i := int64(0); !h.slept.Load(); i++ {
		h.there <- i
		<-h.back
	}
	b.end()
	h.end()
	b.value = percentile(h.late, 99)
	return uint64(len(h.late))
}

func yielding(stop *atomic.Bool, turns *int64, wg *sync.WaitGroup) {
	for !stop.Load() {
		*turns++
		runtime.Gosched()
	}
	wg.Done()
}

// bystander: the time between turns of a task that only yields, beside a ping-pong pair.
func bystander(b *bench) uint64 {
	var stop atomic.Bool
	var wg sync.WaitGroup
	var turns, sum int64
	there, back := make(chan int64), make(chan int64)
	wg.Add(1)
	go yielding(&stop, &turns, &wg)
	go echo(there, back)
	for i := int64(0); i < b.n; i++ {
		there <- i
		sum += <-back
	}
	b.end()
	stop.Store(true)
	close(there)
	wg.Wait()
	b.value = float64(b.wall.Nanoseconds()) / float64(turns+1)
	return uint64(sum)
}
