package main

import (
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

func timerStops(b *bench) uint64 {
	var stopped uint64
	for i := int64(0); i < b.n; i++ {
		if time.NewTimer(time.Second).Stop() {
			stopped++
		}
	}
	return stopped
}

func feed(ch chan<- int64, n int64) {
	for i := int64(0); i < n; i++ {
		ch <- i
	}
}

// timeouts receives with a timeout of a second, in the fastest idiom: one timer, reset each time.
// a = 0: the value is buffered already; a = 1: the receiver blocks until the sender comes.
func timeouts(b *bench) uint64 {
	ch := make(chan int64, 1-b.a)
	if b.a != 0 {
		go feed(ch, b.n)
	}
	t := time.NewTimer(time.Second)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		if b.a == 0 {
			ch <- i
		}
		t.Reset(time.Second)
		select {
		case v := <-ch:
			sum += v
		case <-t.C:
		}
	}
	t.Stop()
	return uint64(sum)
}

// due spreads n deadlines over 10 ns each, in shuffled order.
func due(i, n int64) time.Duration { return time.Duration(i * 7919 % n * 10) }

// timersFire measures arming n timers and their firing, without the wait between the two.
func timersFire(b *bench) uint64 {
	const head = 300 * time.Millisecond
	slots := make([]int32, b.n)
	var wg sync.WaitGroup
	wg.Add(int(b.n))
	start := now()
	for i := range slots {
		slot := &slots[i]
		time.AfterFunc(start+head+due(int64(i), b.n)-now(), func() {
			*slot++
			wg.Done()
		})
	}
	armed := now()
	wg.Wait()
	b.end()
	idle := max(start+head-armed, 0)
	b.value = float64((b.wall - idle).Nanoseconds()) / float64(b.n)
	var sum uint64
	for _, s := range slots {
		sum += uint64(s)
	}
	return sum
}

func sleeper(until time.Duration, armed, done *sync.WaitGroup) {
	armed.Done()
	time.Sleep(until - now())
	done.Done()
}

// sleepers is the same with n tasks that sleep.
func sleepers(b *bench) uint64 {
	const head = 400 * time.Millisecond
	var armed, done sync.WaitGroup
	armed.Add(int(b.n))
	done.Add(int(b.n))
	start := now()
	for i := int64(0); i < b.n; i++ {
		go sleeper(start+head+due(i, b.n), &armed, &done)
	}
	armed.Wait()
	parked := now()
	done.Wait()
	b.end()
	idle := max(start+head-parked, 0)
	b.value = float64((b.wall - idle).Nanoseconds()) / float64(b.n)
	return uint64(b.n)
}

func percentile(late []time.Duration, p int) float64 {
	sort.Slice(late, func(i, j int) bool { return late[i] < late[j] })
	return float64(late[(len(late)-1)*p/100].Nanoseconds())
}

// sleepLate reports percentile b of how late a sleep of a microseconds ends.
func sleepLate(b *bench) uint64 {
	want := time.Duration(b.a) * time.Microsecond
	late := make([]time.Duration, b.n)
	early := uint64(0)
	for i := range late {
		start := now()
		time.Sleep(want)
		late[i] = now() - start - want
		if late[i] < 0 {
			early++
		}
	}
	b.end()
	b.value = percentile(late, b.b)
	return early
}

func yieldsOn(stop *atomic.Bool, wg *sync.WaitGroup) {
	for !stop.Load() {
		runtime.Gosched()
	}
	wg.Done()
}

// sleepBusy is sleepLate beside four tasks that yield.
func sleepBusy(b *bench) uint64 {
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Add(4)
	for i := 0; i < 4; i++ {
		go yieldsOn(&stop, &wg)
	}
	early := sleepLate(b)
	stop.Store(true)
	wg.Wait()
	return early
}
