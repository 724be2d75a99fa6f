package main

import (
	"os"
	"runtime"
	"sync"
)

func yielder(turns int64, out *int64, wg *sync.WaitGroup) {
	for i := int64(0); i < turns; i++ {
		runtime.Gosched()
	}
	*out = turns
	wg.Done()
}

func yields(b *bench) uint64 {
	turns := make([]int64, b.a)
	var wg sync.WaitGroup
	wg.Add(b.a)
	for i := range turns {
		go yielder(b.n/int64(b.a), &turns[i], &wg)
	}
	wg.Wait()
	var sum int64
	for _, t := range turns {
		sum += t
	}
	b.ops = float64(sum)
	return uint64(sum)
}

// player is either end of the table: the one that serves sends first.
func player(in <-chan int64, out chan<- int64, n int64, serves bool, sum *int64, wg *sync.WaitGroup) {
	var total int64
	if serves {
		out <- 0
	}
	for i := int64(1); i <= n; i++ {
		v := <-in
		total += v
		if !serves || i < n {
			out <- v + 1
		}
	}
	*sum = total
	wg.Done()
}

func pinger(in <-chan int64, out chan<- int64, n int64, sum *int64, wg *sync.WaitGroup) {
	var total, v int64
	for i := int64(0); i < n; i++ {
		out <- v
		v = <-in + 1
		total += v - 1
	}
	*sum = total
	wg.Done()
}

func ponger(in <-chan int64, out chan<- int64, n int64, sum *int64, wg *sync.WaitGroup) {
	var total int64
	for i := int64(0); i < n; i++ {
		v := <-in
		total += v
		out <- v + 1
	}
	*sum = total
	wg.Done()
}

func pingpong(b *bench) uint64 {
	there, back := make(chan int64), make(chan int64)
	var sums [2]int64
	var wg sync.WaitGroup
	wg.Add(2)
	if b.a == 0 {
		go player(back, there, b.n, true, &sums[0], &wg)
		go player(there, back, b.n, false, &sums[1], &wg)
	} else {
		go pinger(back, there, b.n, &sums[0], &wg)
		go ponger(there, back, b.n, &sums[1], &wg)
	}
	wg.Wait()
	return uint64(sums[0] + sums[1])
}

func pingpongMany(b *bench) uint64 {
	each := b.n / int64(b.a)
	sums := make([]int64, 2*b.a)
	var wg sync.WaitGroup
	wg.Add(2 * b.a)
	for i := 0; i < b.a; i++ {
		there, back := make(chan int64), make(chan int64)
		go pinger(back, there, each, &sums[2*i], &wg)
		go ponger(there, back, each, &sums[2*i+1], &wg)
	}
	wg.Wait()
	b.end()
	b.ops = float64(each * int64(b.a))
	var sum int64
	for _, s := range sums {
		sum += s
	}
	return uint64(sum)
}

func pingpongCross(b *bench) uint64 {
	if runtime.GOMAXPROCS(0) < 2 {
		os.Exit(77)
	}
	there, back := make(chan int64), make(chan int64)
	var sums [2]int64
	var wg sync.WaitGroup
	wg.Add(2)
	bound := func(in <-chan int64, out chan<- int64, serves bool, sum *int64) {
		runtime.LockOSThread()
		player(in, out, b.n, serves, sum, &wg)
	}
	go bound(back, there, true, &sums[0])
	go bound(there, back, false, &sums[1])
	wg.Wait()
	return uint64(sums[0] + sums[1])
}

func touch(slot *int32, wg *sync.WaitGroup) {
	*slot++
	wg.Done()
}

// spawnFinish runs n tasks in batches of a; a = 0 means all of them in one.
func spawnFinish(b *bench) uint64 {
	batch := int64(b.a)
	if batch == 0 {
		batch = b.n
	}
	slots := make([]int32, batch)
	var wg sync.WaitGroup
	rounds := b.n / batch
	for r := int64(0); r < rounds; r++ {
		wg.Add(int(batch))
		for i := range slots {
			go touch(&slots[i], &wg)
		}
		wg.Wait()
	}
	b.end()
	b.ops = float64(rounds * batch)
	var sum uint64
	for _, s := range slots {
		sum += uint64(s)
	}
	return sum
}

func answer(v int64, out chan<- int64) { out <- v }

func spawnJoin(b *bench) uint64 {
	ch := make(chan int64)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		go answer(i, ch)
		sum += <-ch
	}
	return uint64(sum)
}

func wgPairs(b *bench) uint64 {
	var wg sync.WaitGroup
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		wg.Add(1)
		sum++
		wg.Done()
	}
	wg.Wait()
	return sum
}

type gate struct{ armed, open, through sync.WaitGroup }

func passGate(g *gate, slot *int32) {
	g.armed.Done()
	g.open.Wait()
	*slot++
	g.through.Done()
}

func wgGate(b *bench) uint64 {
	var g gate
	slots := make([]int32, b.a)
	rounds := b.n / int64(b.a)
	for r := int64(0); r < rounds; r++ {
		g.armed.Add(b.a)
		g.open.Add(1)
		g.through.Add(b.a)
		for i := range slots {
			go passGate(&g, &slots[i])
		}
		g.armed.Wait()
		g.open.Done()
		g.through.Wait()
	}
	b.end()
	b.ops = float64(rounds * int64(b.a))
	var sum uint64
	for _, s := range slots {
		sum += uint64(s)
	}
	return sum
}
