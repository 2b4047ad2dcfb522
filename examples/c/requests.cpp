/* A server in small, in C++: each request's containers live in an arena that is empty again when it is answered; what
 * stays, a session's, is under a tag of its own.
 *
 *     make -C examples/c && examples/c/requests
 */
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "tagheap.hpp"

namespace {

using Words = std::pmr::vector<std::pmr::string>;
using Counts = std::pmr::map<std::pmr::string, int>;

Words split(const char *text, std::pmr::memory_resource *memory) {
    Words words(memory);
    for (; *text != 0; ++text) {
        if (*text == ' ' || words.empty()) words.emplace_back();
        if (*text != ' ') words.back() += *text;
    }
    return words;
}

/* All that is needed on the way to an answer goes with the arena. */
void answer(const char *request, Counts &seen, tagheap::pool &arena) {
    const Words words = split(request, &arena);
    for (const std::pmr::string &word : words) ++seen[word];
    std::printf("request \"%s\": %zu words, %zu bytes in the arena\n", request, words.size(), arena.usage().used);
}

int serve() {
    tagheap::heap heap = tagheap::heap::reserve();
    tagheap::pool arena = tagheap::pool::bump(heap, th_tag_named("request"));
    tagheap::tagged session(heap, th_tag_named("session"));
    Counts seen(&session);

    for (const char *request : {"load the harbour and its ships", "draw the ships in the harbour", "save the harbour"}) {
        answer(request, seen, arena);
        arena.reset();
    }
    std::printf("\"harbour\" was asked for %d times\n\n%s", seen["harbour"], heap.table().c_str());
    return 0;
}

} // namespace

int main() {
    try {
        return serve();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
