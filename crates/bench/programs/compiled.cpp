/* Something to compile: what a compiler is busy with, expanding templates and optimising what comes out. */

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

template <int N>
struct Node {
    std::map<std::string, std::vector<int>> words;
    std::unordered_map<int, std::unique_ptr<Node<N - 1>>> below;

    std::string text(int key)
    {
        std::ostringstream out;
        for (auto &word : words) {
            std::sort(word.second.begin(), word.second.end(), [key](int one, int other) {
                return (one ^ (key + N)) < (other ^ (key + N));
            });
            out << word.first << ' ' << word.second.size() << '\n';
        }
        auto &next = below[key];
        if (!next)
            next.reset(new Node<N - 1>());
        return out.str() + next->text(key + 1);
    }
};

template <>
struct Node<0> {
    std::string text(int key) { return std::to_string(key); }
};

std::string tree(int key)
{
#ifdef QUICK
    return Node<1>().text(key);
#else
    return Node<5>().text(key);
#endif
}
