package main

import (
	"context"
	"sync"
	"time"
)

func ctxPairs(b *bench) uint64 {
	top, stop := context.WithCancel(context.Background())
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		var c context.Context
		var cancel context.CancelFunc
		if b.a == 1 {
			c, cancel = context.WithTimeout(top, time.Second)
		} else {
			c, cancel = context.WithCancel(top)
		}
		if b.a == 2 && c.Done() != nil {
			sum++
		}
		cancel()
		if c.Err() == context.Canceled {
			sum++
		}
	}
	if top.Err() != nil {
		sum++
	}
	stop()
	return sum
}

func ctxTree(b *bench) uint64 {
	c := make([]context.Context, b.a)
	cancel := make([]context.CancelFunc, b.a)
	var sum uint64
	for r := int64(0); r < b.n/int64(b.a); r++ {
		for i := range c {
			up := context.Background()
			if i > 0 {
				up = c[(i-1)/10]
			}
			c[i], cancel[i] = context.WithCancel(up)
			c[i].Done()
		}
		cancel[0]()
		for i := range c {
			if c[i].Err() == context.Canceled {
				sum++
			}
			cancel[i]()
		}
	}
	b.ops = float64(sum)
	return sum
}

var keys [8]int64

func ctxValues(b *bench) uint64 {
	c := context.Background()
	for i := 0; i < b.a; i++ {
		keys[i] = int64(i + 1)
		c = context.WithValue(c, &keys[i], &keys[i])
	}
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		sum += uint64(*c.Value(&keys[0]).(*int64))
	}
	return sum
}

func ctxLooks(b *bench) uint64 {
	c, cancel := context.WithCancel(context.Background())
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		if c.Err() == nil {
			sum++
		}
	}
	cancel()
	return sum
}

// group is what x/sync's errgroup is made of: a wait group, a once, a channel as semaphore.
type group struct {
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	places chan struct{}
	once   sync.Once
	err    error
}

func (g *group) run(f func() error) {
	defer g.done()
	if err := f(); err != nil {
		g.once.Do(func() {
			g.err = err
			g.cancel(err)
		})
	}
}

func (g *group) done() {
	if g.places != nil {
		<-g.places
	}
	g.wg.Done()
}

func (g *group) start(f func() error) {
	if g.places != nil {
		g.places <- struct{}{}
	}
	g.wg.Add(1)
	go g.run(f)
}

func (g *group) wait() error {
	g.wg.Wait()
	g.cancel(g.err)
	return g.err
}

func touchSlot(slot *int32) error {
	*slot++
	return nil
}

func groups(b *bench) uint64 {
	slots := make([]int32, b.a)
	rounds := b.n / int64(b.a)
	for r := int64(0); r < rounds; r++ {
		var g group
		_, g.cancel = context.WithCancelCause(context.Background())
		if b.c != 0 {
			g.places = make(chan struct{}, b.c)
		}
		for i := range slots {
			g.start(func() error { return touchSlot(&slots[i]) })
		}
		if g.wait() != nil {
			panic("a task failed")
		}
	}
	b.end()
	var sum uint64
	for _, s := range slots {
		sum += uint64(s)
	}
	b.ops = float64(sum)
	return sum
}
