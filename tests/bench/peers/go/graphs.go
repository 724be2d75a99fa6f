package main

import "sync"

func fibTask(n int, out chan<- int64) { out <- fib(n) }

func fib(n int) int64 {
	if n < 2 {
		return int64(n)
	}
	ch := make(chan int64, 1)
	go fibTask(n-1, ch)
	v := fib(n - 2)
	return v + <-ch
}

func fibCalls(n int) int64 {
	if n < 2 {
		return 1
	}
	return 1 + fibCalls(n-1) + fibCalls(n-2)
}

func fibs(b *bench) uint64 {
	var sum int64
	for i := int64(0); i < b.n; i++ {
		sum += fib(b.a)
	}
	b.end()
	b.ops = float64(b.n * fibCalls(b.a))
	return uint64(sum)
}

func skynet(num, size int64, out chan<- int64) {
	if size == 1 {
		out <- num
		return
	}
	ch := make(chan int64)
	part := size / 10
	for i := int64(0); i < 10; i++ {
		go skynet(num+i*part, part, ch)
	}
	var sum int64
	for i := 0; i < 10; i++ {
		sum += <-ch
	}
	out <- sum
}

func skynets(b *bench) uint64 {
	ch := make(chan int64)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		go skynet(0, int64(b.a), ch)
		sum += <-ch
	}
	tasks := int64(0)
	for level := int64(b.a); level > 0; level /= 10 {
		tasks += level
	}
	b.ops = float64(b.n * tasks)
	return uint64(sum)
}

func filter(in <-chan int64, out chan<- int64, prime int64) {
	for v := range in {
		if v%prime != 0 {
			out <- v
		}
	}
	close(out)
}

func generate(limit int64, out chan<- int64) {
	for v := int64(2); v <= limit; v++ {
		out <- v
	}
	close(out)
}

// sieve finds the primes up to a. Messages are counted outside the measured part.
func sieve(b *bench) uint64 {
	limit := int64(b.a)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		in := make(chan int64)
		go generate(limit, in)
		for {
			prime, ok := <-in
			if !ok {
				break
			}
			sum += prime
			out := make(chan int64)
			go filter(in, out, prime)
			in = out
		}
	}
	b.end()
	b.ops = float64(b.n * sieveMessages(limit))
	return uint64(sum)
}

// sieveMessages: a number crosses one channel for each prime up to the one that drops it, and a
// prime also the channel it is found on.
func sieveMessages(limit int64) int64 {
	var primes []int64
	var messages int64
	for v := int64(2); v <= limit; v++ {
		k := 0
		for k < len(primes) && v%primes[k] != 0 {
			k++
		}
		messages += int64(k) + 1
		if k == len(primes) {
			primes = append(primes, v)
		}
	}
	return messages
}

func pass(in <-chan int64, out chan<- int64) {
	for v := range in {
		out <- v + 1
	}
	close(out)
}

// ring has a members, the calling task among them. The first lap touches every stack and is not
// measured.
func ring(b *bench) uint64 {
	first := make(chan int64)
	last := first
	for i := 1; i < b.a; i++ {
		next := make(chan int64)
		go pass(last, next)
		last = next
	}
	laps := max(b.n/int64(b.a), 1)
	var v int64
	for lap := int64(-1); lap < laps; lap++ {
		if lap == 0 {
			b.begin()
		}
		first <- v + 1
		v = <-last
	}
	b.end()
	close(first)
	<-last
	b.ops = float64(laps * int64(b.a))
	return uint64(v)
}

func link(left chan<- int64, right <-chan int64) { left <- 1 + <-right }

// daisy builds and runs the chain a times; the last time is measured.
func daisy(b *bench) uint64 {
	var v int64
	for i := 0; i < b.a; i++ {
		b.begin()
		leftmost := make(chan int64)
		left := leftmost
		for j := int64(0); j < b.n; j++ {
			right := make(chan int64)
			go link(left, right)
			left = right
		}
		left <- 1
		v = <-leftmost
	}
	b.end()
	return uint64(v)
}

// work is a chain of dependent operations, about 1 us per round of 600 on a 3.5 GHz core, so that
// compilers cannot differ by much.
func work(v uint64, us int) uint64 {
	for i := 0; i < us*600; i++ {
		v ^= v << 13
		v ^= v >> 7
		v ^= v << 17
	}
	return v
}

func workman(jobs <-chan uint64, results chan<- uint64, us int, wg *sync.WaitGroup) {
	for v := range jobs {
		results <- work(v, us)
	}
	wg.Done()
}

func collect(results <-chan uint64, n int64, out *uint64, wg *sync.WaitGroup) {
	var sum uint64
	for i := int64(0); i < n; i++ {
		sum += <-results
	}
	*out = sum
	wg.Done()
}

func fanout(b *bench) uint64 {
	jobs, results := make(chan uint64, 16), make(chan uint64, 16)
	var sum uint64
	var wg sync.WaitGroup
	wg.Add(b.b + 1)
	for i := 0; i < b.b; i++ {
		go workman(jobs, results, b.a, &wg)
	}
	go collect(results, b.n, &sum, &wg)
	for i := int64(1); i <= b.n; i++ {
		jobs <- uint64(i)
	}
	close(jobs)
	wg.Wait()
	return sum
}
