package main

import (
	"container/list"
	"runtime"
	"sync"
)

func mutexes(b *bench) uint64 {
	var m sync.Mutex
	var count int64
	var wg sync.WaitGroup
	wg.Add(b.a)
	for i := 0; i < b.a; i++ {
		go func(n int64) {
			for i := int64(0); i < n; i++ {
				m.Lock()
				count++
				m.Unlock()
			}
			wg.Done()
		}(b.n / int64(b.a))
	}
	wg.Wait()
	return uint64(count)
}

func tables(b *bench) uint64 {
	var rw sync.RWMutex
	var value, sum int64
	seen := make([]int64, b.a)
	var wg sync.WaitGroup
	wg.Add(b.a)
	for i := range seen {
		go func(n, every int64, out *int64) {
			var sum int64
			for i := int64(1); i <= n; i++ {
				if every != 0 && i%every == 0 {
					rw.Lock()
					value++
					rw.Unlock()
				} else {
					rw.RLock()
					if value >= 0 {
						sum++
					}
					rw.RUnlock()
				}
			}
			*out = sum
			wg.Done()
		}(b.n/int64(b.a), int64(b.b), &seen[i])
	}
	wg.Wait()
	for _, s := range seen {
		sum += s
	}
	return uint64(sum + 1000*value)
}

func condPingpong(b *bench) uint64 {
	var m sync.Mutex
	c := [2]*sync.Cond{sync.NewCond(&m), sync.NewCond(&m)}
	var turns int64
	var wg sync.WaitGroup
	wg.Add(2)
	for side := int64(0); side < 2; side++ {
		go func(side, n int64) {
			m.Lock()
			for i := int64(0); i < n; i++ {
				for turns%2 != side {
					c[side].Wait()
				}
				turns++
				c[1-side].Signal()
			}
			m.Unlock()
			wg.Done()
		}(side, b.n)
	}
	wg.Wait()
	return uint64(turns)
}

// weighted is golang.org/x/sync's semaphore.Weighted without the context, which the rows do not
// use: a mutex, a list of waiters, a channel for each; first come, first served.
type weighted struct {
	mu        sync.Mutex
	size, cur int64
	waiters   list.List
}

type weightedWaiter struct {
	n     int64
	ready chan struct{}
}

func (s *weighted) acquire(n int64) {
	s.mu.Lock()
	if s.size-s.cur >= n && s.waiters.Len() == 0 {
		s.cur += n
		s.mu.Unlock()
		return
	}
	w := weightedWaiter{n, make(chan struct{})}
	s.waiters.PushBack(w)
	s.mu.Unlock()
	<-w.ready
}

func (s *weighted) release(n int64) {
	s.mu.Lock()
	s.cur -= n
	if s.cur < 0 {
		panic("released more than held")
	}
	for {
		next := s.waiters.Front()
		if next == nil {
			break
		}
		w := next.Value.(weightedWaiter)
		if s.size-s.cur < w.n {
			break
		}
		s.cur += w.n
		s.waiters.Remove(next)
		close(w.ready)
	}
	s.mu.Unlock()
}

func permits(b *bench) uint64 {
	s := &weighted{size: int64(b.b)}
	sums := make([]int64, b.a)
	var wg sync.WaitGroup
	wg.Add(b.a)
	for i := range sums {
		go func(n int64, yields bool, out *int64) {
			var sum int64
			for i := int64(0); i < n; i++ {
				s.acquire(1)
				sum++
				if yields {
					runtime.Gosched()
				}
				s.release(1)
			}
			*out = sum
			wg.Done()
		}(b.n/int64(b.a), b.c != 0, &sums[i])
	}
	wg.Wait()
	var sum int64
	for _, v := range sums {
		sum += v
	}
	return uint64(sum)
}
