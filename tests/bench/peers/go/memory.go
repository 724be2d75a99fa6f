package main

import (
	"os"
	"runtime"
	"sync"
)

func resident() int64 { return statusKiB("VmRSS", "VmPTE") * 1024 }

func parker(ch <-chan int64, armed, done *sync.WaitGroup) {
	armed.Done()
	<-ch
	done.Done()
}

// parked measures n tasks blocked in a receive: the time to get there, or with a = 1 the bytes.
func parked(b *bench) uint64 {
	ch := make(chan int64)
	var armed, done sync.WaitGroup
	before := resident()
	armed.Add(int(b.n))
	done.Add(int(b.n))
	b.begin()
	for i := int64(0); i < b.n; i++ {
		go parker(ch, &armed, &done)
	}
	armed.Wait()
	b.end()
	if b.a != 0 {
		b.value = float64(resident()-before) / float64(b.n)
	}
	close(ch)
	done.Wait()
	return uint64(b.n)
}

// unstarted measures tasks that no worker has run yet: one worker, and the parent never yields.
func unstarted(b *bench) uint64 {
	if runtime.GOMAXPROCS(0) != 1 {
		os.Exit(77)
	}
	var ran int64
	var wg sync.WaitGroup
	before := resident()
	wg.Add(int(b.n))
	for i := int64(0); i < b.n; i++ {
		go func() {
			ran++
			wg.Done()
		}()
	}
	b.end()
	b.value = float64(resident()-before) / float64(b.n)
	wg.Wait()
	return uint64(ran)
}
