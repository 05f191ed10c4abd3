#!/usr/bin/env python3
"""Tags, evicting by them, lists by filter and backwards, numbers by tag and shard, settings.

usage: tags_test.py LARDER [unittest's options]
"""
import program


class Tags(program.Case):
    def setUp(self):
        super().setUp()
        self.good("set", "user:1", "a", "--tag", "red", "--tag", "green")
        self.good("set", "user:2", "b", "--tag", "red", "--pinned")
        self.good("set", "page:1", "c")

    def keys(self, *words) -> list:
        return [entry["key"] for entry in self.good("ls", *words).lines]

    def test_lists(self):
        self.assertEqual(self.keys(), ["user:1", "user:2", "page:1"])
        self.assertEqual(self.keys("--reverse"), ["page:1", "user:2", "user:1"])
        self.assertEqual(self.keys("--reverse", "--tag", "red"), ["user:2", "user:1"])
        self.assertEqual(self.keys("--tag", "green"), ["user:1"])
        self.assertEqual(self.keys("--pattern", "*:1"), ["user:1", "page:1"])
        self.assertEqual(self.keys("--pattern", "*:1", "--prefix", "user:", "--tag", "red"), ["user:1"])
        self.assertEqual(self.keys("--tag", "blue"), [])
        entries = self.good("ls").lines
        self.assertEqual([sorted(entry["tags"]) for entry in entries], [["green", "red"], ["red"], []])
        self.assertEqual([entry["pinned"] for entry in entries], [False, True, False])
        self.assertEqual(sorted(self.good("get", "user:1", "--json").json["tags"]), ["green", "red"])
        shown = self.at_terminal("ls", NO_COLOR="1")[1]
        self.assertRegex(shown, r"KEY .* TAGS\n")
        self.assertRegex(shown, r"user:1 .* (red, green|green, red)\n")
        limited = self.larder("ls", "--reverse", "--limit", "1")
        self.assertEqual((limited.json["key"], limited.err), ("page:1", "larder: there are more; --limit 0 shows all\n"))

    def test_evict(self):
        self.assertEqual(self.good("evict", "--tag", "green").json, {"evicted": 1})
        self.assertEqual(self.keys(), ["user:2", "page:1"])
        self.assertEqual(self.good("evict", "--prefix", "page:", "--pattern", "*2").json, {"evicted": 0})
        self.assertEqual(self.good("evict", "--pattern", "page:?").json, {"evicted": 1})
        self.good("set", "x", "1")
        self.assertEqual(self.at_terminal("evict", "--all"), (0, "2 entries evicted\n"))
        self.assertEqual(self.keys(), [])
        self.refused(2, "say what is to go: --tag, --prefix, --pattern, or --all", "evict")
        self.refused(2, "--all goes with none of --tag, --prefix and --pattern", "evict", "--all", "--tag", "red")
        self.refused(1, "none: no such directory; create it with 'larder set' or 'larder serve'", "evict", "--all",
                     "--store", "none")

    def test_refused_tags(self):
        self.assertEqual(self.larder("set", "a", "1", "--tag", "").code, 2)
        many = [word for number in range(17) for word in ("--tag", f"t{number}")]
        ended = self.larder("set", "a", "1", *many)
        self.assertEqual(ended.code in (2, 6), True, ended.err)
        self.assertNotIn("a", self.keys())

    def test_numbers(self):
        tags = self.good("stats", "--by", "tag").lines
        self.assertEqual([(tag["tag"], tag["entries"]) for tag in tags], [("green", 1), ("red", 2)])
        self.assertRegex(self.at_terminal("stats", "--by", "tag", NO_COLOR="1")[1], r"TAG +ENTRIES +BYTES\ngreen +1 +\d+ B\nred +2 ")
        shards = self.good("stats", "--by", "shard").lines
        whole = self.good("stats").json
        self.assertEqual([shard["shard"] for shard in shards], list(range(whole["shards"])))
        self.assertEqual(sum(shard["entries"] for shard in shards), 3)
        self.assertEqual(sum(shard["sets"] for shard in shards), 3)
        self.assertGreater(whole["pinned_bytes"], 0)
        self.assertRegex(self.at_terminal("stats", "--by", "shard", NO_COLOR="1")[1], r"SHARD +ENTRIES .*REPAIRS\n +0 +\d")
        self.good("evict", "--all")
        self.assertEqual(self.good("stats", "--by", "tag").text, "")
        self.assertEqual(self.at_terminal("stats", "--by", "tag"), (0, "no tags\n"))
        self.refused(2, "--by is tag or shard, not 'key'", "stats", "--by", "key")


class Settings(program.Case):
    def test_shown_and_changed(self):
        self.good("set", "a", "1")
        made = self.good("settings").json
        self.assertEqual((made["size_limit_bytes"], made["policy"], made["durability"], made["flush_every_ms"]),
                         (1 << 30, "s3-fifo", "timed", 1000))
        changed = self.good("settings", "size=2GiB", "policy=least-recently-used", "flush_every=5s", "entries=1000",
                            "durability=each").json
        self.assertEqual(changed, {**made, "size_limit_bytes": 2 << 30, "policy": "least-recently-used",
                                   "flush_every_ms": 5000, "entry_limit": 1000, "durability": "each"})
        self.assertEqual(self.good("settings").json, changed)
        self.assertEqual(self.good("stats").json["size_limit_bytes"], 2 << 30)
        shown = self.at_terminal("settings")[1]
        self.assertRegex(shown, r"\n  size +2 GiB\n  entries +1000\n  policy +least-recently-used\n")

    def test_refused(self):
        self.good("set", "a", "1")
        made = self.good("settings").json
        for sentence, *words in (
                ("'size' changes nothing; write it as KEY=VALUE", "size"),
                ("no setting 'sise' (did you mean 'size'?)", "sise=1GiB"),
                ("policy: 'lru' is none of s3-fifo, least-recently-stored, least-recently-used, least-frequently-used or "
                 "none", "policy=lru"),
                ("durability: 'eech' is none of none, timed or each (did you mean 'each'?)", "durability=eech"),
                ("entries: '-1' is no whole number", "entries=-1"),
                ("flush_every: '0s' is not between 1ms and 1h", "flush_every=0s"),
                ("shards is decided when a cache is made, and stays", "shards=4"),
                ("no setting 'sise' (did you mean 'size'?)", "policy=none", "sise=1GiB")):
            self.refused(2, sentence, "settings", *words)
        self.assertEqual(self.larder("settings", "size=1TiB").code, 2)
        self.assertEqual(self.good("settings").json, made)


if __name__ == "__main__":
    program.main(__doc__)
