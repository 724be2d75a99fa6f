// Boost.Fiber's answer to the rows it can do honestly. bench ROW N prints what ../../bench.c does;
// without arguments: the rows, each with what run.sh divides its N by.
//
// W=1 is the default round-robin scheduler; W=2 (CHANRT_WORKERS=2) is work_stealing on two threads.
// buffered_channel holds one less than its size, which must be a power of two: 16 means 15 here.
// Fibers are posted, not dispatched, as a goroutine is, on the default stacks with their allocator.
#include <boost/fiber/all.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/resource.h>
#include <thread>
#include <time.h>
#include <vector>

namespace fibers = boost::fibers;
using buffered = fibers::buffered_channel<std::int64_t>;
using unbuffered = fibers::unbuffered_channel<std::int64_t>;

struct row {
    const char *name;
    std::uint64_t (*run)(const row &r, std::int64_t n);
    int a, b, cap, shrink;
};

template <class F> static fibers::fiber start(F f) {
    return fibers::fiber(fibers::launch::post, f);
}

static std::uint64_t yields(const row &r, std::int64_t n) {
    std::vector<std::int64_t> turns(static_cast<std::size_t>(r.a));
    std::vector<fibers::fiber> all;
    for (auto &t : turns) {
        all.push_back(start([&t, n, &r] {
            for (std::int64_t i = 0; i < n / r.a; i++) boost::this_fiber::yield();
            t = n / r.a;
        }));
    }
    for (auto &f : all) f.join();
    std::uint64_t sum = 0;
    for (auto t : turns) sum += static_cast<std::uint64_t>(t);
    return sum;
}

static void play(unbuffered &in, unbuffered &out, std::int64_t n, bool serves, std::int64_t &sum) {
    if (serves) out.push(0);
    for (std::int64_t i = 1; i <= n; i++) {
        std::int64_t v = 0;
        in.pop(v);
        sum += v;
        if (!serves || i < n) out.push(v + 1);
    }
}

static std::uint64_t pingpong(const row &, std::int64_t n) {
    unbuffered there, back;
    std::int64_t sums[2] = {0, 0};
    auto x = start([&] { play(back, there, n, true, sums[0]); });
    auto y = start([&] { play(there, back, n, false, sums[1]); });
    x.join();
    y.join();
    return static_cast<std::uint64_t>(sums[0] + sums[1]);
}

static std::uint64_t pairs(const row &r, std::int64_t n) {
    buffered ch(static_cast<std::size_t>(r.cap));
    std::uint64_t sum = 0;
    for (std::int64_t i = 0; i < n; i++) {
        std::int64_t v = 0;
        ch.push(i);
        ch.pop(v);
        sum += static_cast<std::uint64_t>(v);
    }
    return sum;
}

template <class Channel> static std::uint64_t stream(Channel &ch, const row &r, std::int64_t n) {
    std::int64_t sums[4] = {0, 0, 0, 0};
    std::vector<fibers::fiber> senders, receivers;
    for (int i = 0; i < r.b; i++) {
        receivers.push_back(start([&ch, &sum = sums[i]] {
            for (std::int64_t v; ch.pop(v) == fibers::channel_op_status::success;) sum += v;
        }));
    }
    for (std::int64_t i = 0; i < r.a; i++) {
        senders.push_back(start([&ch, from = n * i / r.a, to = n * (i + 1) / r.a] {
            for (std::int64_t v = from; v < to; v++) ch.push(v);
        }));
    }
    for (auto &f : senders) f.join();
    ch.close();
    for (auto &f : receivers) f.join();
    return static_cast<std::uint64_t>(sums[0] + sums[1] + sums[2] + sums[3]);
}

static std::uint64_t stream_unbuffered(const row &r, std::int64_t n) {
    unbuffered ch;
    return stream(ch, r, n);
}

static std::uint64_t stream_buffered(const row &r, std::int64_t n) {
    buffered ch(static_cast<std::size_t>(r.cap));
    return stream(ch, r, n);
}

static std::uint64_t spawn_finish(const row &r, std::int64_t n) {
    std::vector<std::int32_t> slots(static_cast<std::size_t>(r.a));
    std::vector<fibers::fiber> batch(slots.size());
    for (std::int64_t i = 0; i < n / r.a; i++) {
        for (std::size_t j = 0; j < slots.size(); j++) {
            batch[j] = start([&slot = slots[j]] { slot++; });
        }
        for (auto &f : batch) f.join();
    }
    std::uint64_t sum = 0;
    for (auto s : slots) sum += static_cast<std::uint64_t>(s);
    return sum;
}

static std::uint64_t spawn_join(const row &, std::int64_t n) {
    unbuffered ch;
    std::uint64_t sum = 0;
    for (std::int64_t i = 0; i < n; i++) {
        std::int64_t v = 0;
        auto f = start([&ch, i] { ch.push(i); });
        ch.pop(v);
        f.join();
        sum += static_cast<std::uint64_t>(v);
    }
    return sum;
}

static const row rows[] = {
    {"yield2", yields, 2, 0, 0, 1},
    {"yield10", yields, 10, 0, 0, 1},
    {"yield1000", yields, 1000, 0, 0, 1},
    {"pingpong_same", pingpong, 0, 0, 0, 10},
    {"buf_pair", pairs, 0, 0, 16, 1},
    {"spsc0", stream_unbuffered, 1, 1, 0, 10},
    {"spsc16", stream_buffered, 1, 1, 16, 10},
    {"spsc128", stream_buffered, 1, 1, 128, 4},
    {"mpsc4_128", stream_buffered, 4, 1, 128, 4},
    {"mpmc4x4_128", stream_buffered, 4, 4, 128, 4},
    {"spawn_finish", spawn_finish, 1000, 0, 0, 20},
    {"spawn_join", spawn_join, 0, 0, 0, 5},
};

static std::int64_t now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

static std::int64_t cpu_time() {
    rusage u;
    getrusage(RUSAGE_SELF, &u);
    return ((u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + u.ru_utime.tv_usec
            + u.ru_stime.tv_usec) * 1000;
}

static long long peak_kib() {
    char line[256];
    long long kib = 0;
    std::FILE *f = std::fopen("/proc/self/status", "r");
    if (f == nullptr) return 0;
    while (std::fgets(line, sizeof line, f) != nullptr) {
        if (std::strncmp(line, "VmHWM:", 6) == 0) kib = std::atoll(line + 6);
    }
    std::fclose(f);
    return kib;
}

static void measure(const row &r, std::int64_t n) {
    std::int64_t cpu = cpu_time(), wall = now();
    std::uint64_t sum = r.run(r, n);
    wall = now() - wall;
    cpu = cpu_time() - cpu;
    std::printf("%s %.2f %.2f %lld %llu\n", r.name, double(wall) / double(n),
                double(cpu) / double(n), peak_kib(), static_cast<unsigned long long>(sum));
}

// The second thread lends itself to the stealing scheduler until the row is done.
static void measure_on_two(const row &r, std::int64_t n) {
    fibers::mutex lock;
    fibers::condition_variable ended;
    bool done = false;
    std::thread second([&] {
        fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(2u);
        std::unique_lock<fibers::mutex> held(lock);
        ended.wait(held, [&] { return done; });
    });
    fibers::use_scheduling_algorithm<fibers::algo::work_stealing>(2u);
    measure(r, n);
    lock.lock();
    done = true;
    lock.unlock();
    ended.notify_all();
    second.join();
}

int main(int argc, char **argv) {
    if (argc == 1) {
        for (const auto &r : rows) std::printf("%s %d\n", r.name, r.shrink);
        return 0;
    }
    std::int64_t n = argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 0;
    const char *workers = std::getenv("CHANRT_WORKERS");
    for (const auto &r : rows) {
        if (n < 1 || std::strcmp(argv[1], r.name) != 0) continue;
        if (workers != nullptr && std::atoi(workers) == 2) {
            measure_on_two(r, n);
        } else {
            measure(r, n);
        }
        return 0;
    }
    std::fputs("usage: bench [ROW N]   (no arguments: the rows)\n", stderr);
    return 2;
}
