package main

import "sync"

type msg64 struct {
	v   int64
	pad [7]int64
}
type msg256 struct {
	v   int64
	pad [31]int64
}

func pairs(b *bench) uint64 {
	ch := make(chan int64, b.c)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		ch <- i
		sum += <-ch
	}
	return uint64(sum)
}

func seq(b *bench) uint64 {
	ch := make(chan int64, b.n)
	var sum int64
	for i := int64(0); i < b.n; i++ {
		ch <- i
	}
	for i := int64(0); i < b.n; i++ {
		sum += <-ch
	}
	return uint64(sum)
}

// stream sends the numbers below n from a tasks to b tasks. The loops are written out once per
// element type because a generic one would call through a dictionary.
func stream(b *bench, send func(from, to int64), receive func() int64, closed func()) uint64 {
	sums := make([]int64, b.b)
	var senders, receivers sync.WaitGroup
	senders.Add(b.a)
	receivers.Add(b.b)
	for i := range sums {
		go func(out *int64) {
			*out = receive()
			receivers.Done()
		}(&sums[i])
	}
	for i := int64(0); i < int64(b.a); i++ {
		go func(from, to int64) {
			send(from, to)
			senders.Done()
		}(b.n*i/int64(b.a), b.n*(i+1)/int64(b.a))
	}
	senders.Wait()
	closed()
	receivers.Wait()
	var sum int64
	for _, s := range sums {
		sum += s
	}
	return uint64(sum)
}

func stream8(b *bench) uint64 {
	ch := make(chan int64, b.c)
	return stream(b, func(from, to int64) {
		for i := from; i < to; i++ {
			ch <- i
		}
	}, func() (sum int64) {
		for v := range ch {
			sum += v
		}
		return sum
	}, func() { close(ch) })
}

func stream64(b *bench) uint64 {
	ch := make(chan msg64, b.c)
	return stream(b, func(from, to int64) {
		var m msg64
		for m.v = from; m.v < to; m.v++ {
			ch <- m
		}
	}, func() (sum int64) {
		for m := range ch {
			sum += m.v
		}
		return sum
	}, func() { close(ch) })
}

func stream256(b *bench) uint64 {
	ch := make(chan msg256, b.c)
	return stream(b, func(from, to int64) {
		var m msg256
		for m.v = from; m.v < to; m.v++ {
			ch <- m
		}
	}, func() (sum int64) {
		for m := range ch {
			sum += m.v
		}
		return sum
	}, func() { close(ch) })
}
