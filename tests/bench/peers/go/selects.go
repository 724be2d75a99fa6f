package main

import "sync"

type picker func(c []chan int64) (int, int64)

func pick2(c []chan int64) (int, int64) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	}
}

func pick4(c []chan int64) (int, int64) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	case v := <-c[2]:
		return 2, v
	case v := <-c[3]:
		return 3, v
	}
}

func pick8(c []chan int64) (int, int64) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	case v := <-c[2]:
		return 2, v
	case v := <-c[3]:
		return 3, v
	case v := <-c[4]:
		return 4, v
	case v := <-c[5]:
		return 5, v
	case v := <-c[6]:
		return 6, v
	case v := <-c[7]:
		return 7, v
	}
}

// pick64 is written out because reflect.Select would cost Go an allocation per call.
func pick64(c []chan int64) (int, int64) {
	select {
	case v := <-c[0]:
		return 0, v
	case v := <-c[1]:
		return 1, v
	case v := <-c[2]:
		return 2, v
	case v := <-c[3]:
		return 3, v
	case v := <-c[4]:
		return 4, v
	case v := <-c[5]:
		return 5, v
	case v := <-c[6]:
		return 6, v
	case v := <-c[7]:
		return 7, v
	case v := <-c[8]:
		return 8, v
	case v := <-c[9]:
		return 9, v
	case v := <-c[10]:
		return 10, v
	case v := <-c[11]:
		return 11, v
	case v := <-c[12]:
		return 12, v
	case v := <-c[13]:
		return 13, v
	case v := <-c[14]:
		return 14, v
	case v := <-c[15]:
		return 15, v
	case v := <-c[16]:
		return 16, v
	case v := <-c[17]:
		return 17, v
	case v := <-c[18]:
		return 18, v
	case v := <-c[19]:
		return 19, v
	case v := <-c[20]:
		return 20, v
	case v := <-c[21]:
		return 21, v
	case v := <-c[22]:
		return 22, v
	case v := <-c[23]:
		return 23, v
	case v := <-c[24]:
		return 24, v
	case v := <-c[25]:
		return 25, v
	case v := <-c[26]:
		return 26, v
	case v := <-c[27]:
		return 27, v
	case v := <-c[28]:
		return 28, v
	case v := <-c[29]:
		return 29, v
	case v := <-c[30]:
		return 30, v
	case v := <-c[31]:
		return 31, v
	case v := <-c[32]:
		return 32, v
	case v := <-c[33]:
		return 33, v
	case v := <-c[34]:
		return 34, v
	case v := <-c[35]:
		return 35, v
	case v := <-c[36]:
		return 36, v
	case v := <-c[37]:
		return 37, v
	case v := <-c[38]:
		return 38, v
	case v := <-c[39]:
		return 39, v
	case v := <-c[40]:
		return 40, v
	case v := <-c[41]:
		return 41, v
	case v := <-c[42]:
		return 42, v
	case v := <-c[43]:
		return 43, v
	case v := <-c[44]:
		return 44, v
	case v := <-c[45]:
		return 45, v
	case v := <-c[46]:
		return 46, v
	case v := <-c[47]:
		return 47, v
	case v := <-c[48]:
		return 48, v
	case v := <-c[49]:
		return 49, v
	case v := <-c[50]:
		return 50, v
	case v := <-c[51]:
		return 51, v
	case v := <-c[52]:
		return 52, v
	case v := <-c[53]:
		return 53, v
	case v := <-c[54]:
		return 54, v
	case v := <-c[55]:
		return 55, v
	case v := <-c[56]:
		return 56, v
	case v := <-c[57]:
		return 57, v
	case v := <-c[58]:
		return 58, v
	case v := <-c[59]:
		return 59, v
	case v := <-c[60]:
		return 60, v
	case v := <-c[61]:
		return 61, v
	case v := <-c[62]:
		return 62, v
	case v := <-c[63]:
		return 63, v
	}
}

var pickers = map[int]picker{2: pick2, 4: pick4, 8: pick8, 64: pick64}

func makeChans(k int) []chan int64 {
	c := make([]chan int64, k)
	for i := range c {
		c[i] = make(chan int64)
	}
	return c
}

// selectReady selects over a channels that are closed, so ready without a refill: all of them
// when b is set, else the last one. Which one is chosen is random, so the first form only counts.
func selectReady(b *bench) uint64 {
	c := makeChans(b.a)
	for i := range c {
		if b.b != 0 || i == b.a-1 {
			close(c[i])
		}
	}
	pick := pickers[b.a]
	var sum int64
	b.begin()
	for i := int64(0); i < b.n; i++ {
		which, v := pick(c)
		if b.b != 0 {
			sum += 1 + v
		} else {
			sum += int64(which) + v
		}
	}
	b.end()
	return uint64(sum)
}

func cycler(c []chan int64, n int64) {
	for i, at := int64(0), 0; i < n; i++ {
		c[at] <- i
		if at++; at == len(c) {
			at = 0
		}
	}
}

func selectBlock(b *bench) uint64 {
	c := makeChans(b.a)
	pick := pickers[b.a]
	var sum int64
	go cycler(c, b.n)
	for i := int64(0); i < b.n; i++ {
		_, v := pick(c)
		sum += v
	}
	return uint64(sum)
}

func mixedSender(c []chan int64, from, to int64, wg *sync.WaitGroup) {
	for i := from; i < to; i++ {
		select {
		case c[0] <- i:
		case c[1] <- i:
		case c[2] <- i:
		case c[3] <- i:
		}
	}
	wg.Done()
}

func mixedReceiver(c []chan int64, n int64, out *int64, wg *sync.WaitGroup) {
	var sum int64
	for i := int64(0); i < n; i++ {
		_, v := pick4(c)
		sum += v
	}
	*out = sum
	wg.Done()
}

func selectBoth(b *bench) uint64 {
	c := makeChans(4)
	half := b.n / 2
	var sums [2]int64
	var wg sync.WaitGroup
	wg.Add(4)
	go mixedSender(c, 0, half, &wg)
	go mixedSender(c, half, 2*half, &wg)
	go mixedReceiver(c, half, &sums[0], &wg)
	go mixedReceiver(c, half, &sums[1], &wg)
	wg.Wait()
	b.ops = float64(2 * half)
	return uint64(sums[0] + sums[1])
}

func tryRecv(b *bench) uint64 {
	ch := make(chan int64, 16)
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		select {
		case <-ch:
		default:
			sum++
		}
	}
	return sum
}

func trySend(b *bench) uint64 {
	ch := make(chan int64, 1)
	ch <- 0
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		select {
		case ch <- i:
		default:
			sum++
		}
	}
	return sum
}

func trySelect(b *bench) uint64 {
	x, y := make(chan int64, 16), make(chan int64, 16)
	var sum uint64
	for i := int64(0); i < b.n; i++ {
		select {
		case <-x:
		case <-y:
		default:
			sum++
		}
	}
	return sum
}
