// Shows: a task is a lambda or any function, what it takes is moved into it, a channel frees
//        itself, and an exception may be handled across everything that waits.
// Go:    go func() { results <- len(text) }()
//        go count(text, results)
#include "../../chanrt.h"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

// A function like any other. Its arguments are moved in, and destroyed when the task ends.
static void count(std::unique_ptr<std::string> text, chanrt::channel<size_t> results) {
    results.send(text->size());
}

static int parse(const std::string &text) {
    if (text.empty()) throw std::invalid_argument("nothing to parse");
    return std::stoi(text);
}

int main() {
    chanrt::channel<size_t> results(1);     // counts its references; the last one frees it
    std::string text = "captured by value";
    go([text, results] { results.send(text.size()); });
    std::printf("%zu characters\n", chan_get(results.get()));
    go(count, std::unique_ptr<std::string>(new std::string("moved")), results);
    std::printf("%zu characters\n", chan_get(results.get()));

    // What has a copy or move of its own does not go through a channel by value: the compiler
    // refuses. Its pointer does, and belongs to who receives it.
    chanrt::channel<std::string *> lines(4);
    go([lines] {
        for (const char *line : { "17", "", "25" })
            lines.send(std::unique_ptr<std::string>(new std::string(line)).release());
        lines.close();
    });
    waitgroup wg = {};
    wg_go(&wg, [lines] {
        for (std::string *line : lines) {
            std::unique_ptr<std::string> owner(line);
            try {
                std::printf("%d\n", parse(*line));
            } catch (const std::invalid_argument &e) {
                task_sleep(CHANRT_MILLISECOND); // goes on here, on whatever thread
                std::printf("%s\n", e.what());
            }
        }
    });
    wg_wait(&wg);

    task_group group;                       // its tasks return int: 0, or an error
    group_init(&group, nullptr);
    int answers[3] = {};
    for (int i = 0; i < 3; i++)
        group_go(&group, [&answers, i] { return answers[i] = i * i, 0; });
    int err = group_wait(&group);           // what the lambdas refer to must outlive them
    std::printf("%d: %d %d %d\n", err, answers[0], answers[1], answers[2]);
    return chanrt_shutdown(CHANRT_SECOND);
}

// Output:
// 17 characters
// 5 characters
// 17
// nothing to parse
// 25
// 0: 0 1 4
