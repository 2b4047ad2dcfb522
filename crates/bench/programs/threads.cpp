/* Threads that build maps of strings, hand them to one another, and take apart what they were handed. */

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int THREADS = 8;
constexpr int WORDS = 200;

using Words = std::map<std::string, std::vector<int>>;

/* What lies in front of a thread. */
struct Desk {
    std::mutex mutex;
    std::condition_variable there;
    std::deque<std::unique_ptr<Words>> handed;

    void hand(std::unique_ptr<Words> words)
    {
        {
            std::lock_guard<std::mutex> guard(mutex);
            handed.push_back(std::move(words));
        }
        there.notify_one();
    }

    std::unique_ptr<Words> take()
    {
        std::unique_lock<std::mutex> guard(mutex);
        there.wait(guard, [this] { return !handed.empty(); });
        auto words = std::move(handed.front());
        handed.pop_front();
        return words;
    }
};

std::unique_ptr<Words> build(unsigned &seed)
{
    std::unique_ptr<Words> words(new Words());
    for (int word = 0; word < WORDS; word++) {
        seed = seed * 1664525 + 1013904223;
        std::string name = "a word of some length, number " + std::to_string(word);
        std::vector<int> &places = (*words)[name];
        for (unsigned place = 0; place <= seed >> 27; place++)
            places.push_back(word);
    }
    return words;
}

} // namespace

int main(int count, char **arguments)
{
    int rounds = count > 1 ? std::atoi(arguments[1]) : 1;
    std::vector<Desk> desks(THREADS);
    std::vector<long> sums(THREADS);
    std::vector<std::thread> threads;
    for (int nth = 0; nth < THREADS; nth++)
        threads.emplace_back([&, nth] {
            unsigned seed = nth;
            for (int round = 0; round < rounds; round++) {
                desks[(nth + 1) % THREADS].hand(build(seed));
                auto words = desks[nth].take();
                for (const auto &word : *words)
                    sums[nth] += word.second.empty() ? -1000 : word.second.back();
            }
        });
    for (auto &thread : threads)
        thread.join();
    /* Each map holds each word once. */
    long expected = long(rounds) * WORDS * (WORDS - 1) / 2;
    for (long sum : sums)
        if (sum != expected) {
            std::fprintf(stderr, "threads: %ld in place of %ld\n", sum, expected);
            return 1;
        }
    return 0;
}
