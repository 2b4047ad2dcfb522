"""Objects that come and go: dictionaries, texts, JSON, sorted lists."""

import json
import sys

rounds = int(sys.argv[1])
kept = {}
for turn in range(rounds):
    rows = [
        {"id": n, "name": f"row {n} of {turn}", "values": [n * k % 97 for k in range(8)]}
        for n in range(2000)
    ]
    text = json.dumps(rows)
    back = json.loads(text)
    assert back == rows
    back.sort(key=lambda row: (row["values"], row["name"]))
    kept[turn % 4] = {row["name"]: row for row in back}
    words = " ".join(row["name"] for row in back).split()
    assert len(words) == 4 * 2000
assert len(kept) == min(rounds, 4)
