#!/usr/bin/env python3
"""Entries, lists of them, what is refused, and help.

usage: entries_test.py LARDER [unittest's options]
"""
import base64
import json
import os
import signal
import subprocess
import time

import program
from program import SECONDS_MAX


class Entries(program.Case):
    def test_a_value_goes_in_and_comes_out(self):
        self.assertEqual(self.good("set", "user:7", "Ada").out, b"")
        self.assertEqual(self.good("get", "user:7").out, b"Ada")
        self.good("set", "user:7", "Eve")
        self.assertEqual(self.good("get", "user:7").out, b"Eve")

    def test_bytes_are_kept_as_they_are(self):
        every = bytes(range(256)) * 9
        self.good("set", "all", "-", stdin=every)
        self.assertEqual(self.good("get", "all").out, every)
        self.good("set", "all", stdin=b"by a pipe, without a word for it")
        self.assertEqual(self.good("get", "all").out, b"by a pipe, without a word for it")
        self.good("set", "none", "")
        self.assertEqual(self.good("get", "none").out, b"")

    def test_get_in_json(self):
        self.good("set", "a", "é", "--ttl", "5min")
        entry = self.good("get", "a", "--json").json
        self.assertEqual((entry["key"], entry["value"], entry["bytes"]), ("a", "é", 2))
        self.assertAlmostEqual(entry["expires_ms"] - entry["stored_ms"], 300_000, delta=100)
        self.good("set", "b", "-", stdin=b"\xff\0")
        entry = self.good("get", "b", "--json").json
        self.assertEqual((base64.b64decode(entry["value_base64"]), entry["expires_ms"]), (b"\xff\0", 0))
        self.assertNotIn("value", entry)

    def test_a_missing_entry_is_exit_1_and_a_sentence(self):
        self.good("set", "a", "1")
        self.refused(1, "cache: no entry 'b'", "get", "b")
        self.refused(1, "cache: no entry '\\x1b[2J'", "get", "\x1b[2J")

    def test_an_entry_expires(self):
        self.good("set", "a", "1", "--ttl", "1ms")
        time.sleep(0.01)
        self.refused(1, "cache: no entry 'a'", "get", "a")

    def test_del_counts(self):
        for key in "abc":
            self.good("set", key, "1")
        self.assertEqual(self.good("del", "a", "b", "nobody").json, {"deleted": 2})
        self.refused(1, "cache: no entry 'a'", "get", "a")
        self.assertEqual(self.at_terminal("del", "c", "c"), (0, "1 entry deleted, 1 not there\n"))

    def test_keys_arrive_as_they_were_typed(self):
        keys = ["[a,b]", "++", "{}", "%%", "get", "--", "-x", "a=b", "", "\x01", "\x01++", "é", "-7", "a b", "'q'", "[", "[]"]
        good = [key for key in keys if key]
        for key in good:
            self.good("set", "--", key, "value of " + key)
        self.assertEqual([entry["key"] for entry in self.good("ls").lines], good)
        for key in good:
            self.assertEqual(self.good("get", "--", key).text, "value of " + key)
        for key in ["[a,b]", "++", "{}", "get", "a=b", "-7"]:
            self.assertEqual(self.good("get", key).text, "value of " + key)
        self.assertEqual(self.good("del", "[a,b]", "++", "{}").json, {"deleted": 3})
        self.assertEqual(self.good("del", "--", *good).json, {"deleted": len(good) - 3})
        self.refused(2, "the key is empty", "set", "", "1")

    def test_values_arrive_as_they_were_typed(self):
        for value in ["[a,b]", "++", "{}", "-7", "a=b", "\x01", "\n", "get"]:
            self.good("set", "key", value)
            self.assertEqual(self.good("get", "key").text, value)

    def test_the_directory_can_be_named(self):
        self.good("set", "a", "here", "--store", "deep/er/cache")
        self.good("set", "a", "there", LARDER_STORE="other")
        self.assertEqual(self.good("get", "--store", "deep/er/cache", "a").text, "here")
        self.assertEqual(self.good("get", "a", LARDER_STORE="other").text, "there")
        self.assertEqual(self.good("get", "a", "--store=deep/er/cache", LARDER_STORE="other").text, "here")

    def test_two_processes_share_at_once(self):
        script = 'for i in $(seq 40); do "$0" set "$1:$i" "$1" || exit 1; done'
        writers = [subprocess.Popen(["bash", "-c", script, self.program, name], cwd=self.folder, env=self.environment)
                   for name in ("one", "two")]
        self.assertEqual([writer.wait(SECONDS_MAX) for writer in writers], [0, 0])
        found = {entry["key"] for entry in self.good("ls").lines}
        self.assertEqual(found, {f"{name}:{i}" for name in ("one", "two") for i in range(1, 41)})
        self.assertEqual(self.good("check").json["findings"], [])

    def test_a_killed_writer_leaves_a_good_cache(self):
        self.good("set", "first", "1")
        writer = subprocess.Popen([self.program, "set", "second", "-"], cwd=self.folder, env=self.environment,
                                  stdin=subprocess.PIPE)
        writer.stdin.write(b"half of it")
        writer.stdin.flush()
        writer.send_signal(signal.SIGKILL)
        writer.stdin.close()
        self.assertEqual(writer.wait(SECONDS_MAX), -signal.SIGKILL)
        self.assertEqual(self.good("get", "first").text, "1")
        self.refused(1, "cache: no entry 'second'", "get", "second")
        self.assertEqual(self.good("check").json["findings"], [])


class LargeValues(program.Case):
    """They pass through the program, and are never in its memory whole."""
    PART_BYTES, PARTS = 1 << 20, 96

    @classmethod
    def part(cls, number: int) -> bytes:
        return number.to_bytes(8, "big") * (cls.PART_BYTES // 8)

    def start(self, *words, **pipes) -> subprocess.Popen:
        return subprocess.Popen([self.program, *words], cwd=self.folder, env=self.environment, **pipes)

    def set_large(self, key: str, parts: int) -> int:
        """The most memory that the program had, in bytes."""
        run = self.start("set", key, "-", stdin=subprocess.PIPE)
        for number in range(parts):
            run.stdin.write(self.part(number))
        return self.ended(run, run.stdin)

    def get_large(self, key: str, parts: int) -> int:
        run = self.start("get", key, stdout=subprocess.PIPE)
        for number in range(parts):
            self.assertTrue(run.stdout.read(self.PART_BYTES) == self.part(number), number)
        self.assertEqual(run.stdout.read(1), b"")
        return self.ended(run, run.stdout)

    def ended(self, run: subprocess.Popen, pipe) -> int:
        pipe.close()
        _, status, used = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(run.returncode, 0)
        return used.ru_maxrss * 1024

    def left(self) -> list:
        return sorted((self.folder / "cache" / "blobs").iterdir())

    def wait_for_a_file(self) -> None:
        end = time.monotonic() + SECONDS_MAX
        while not ((self.folder / "cache" / "blobs").exists() and self.left()):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def test_memory_does_not_grow_with_them(self):
        self.good("set", "first", "1")
        self.good("settings", "durability=none")  # the disk's speed is not what is looked at
        for turn in (self.set_large, self.get_large):
            little, much = turn("small", 1), turn("large", self.PARTS)
            self.assertLess(much - little, self.PARTS * self.PART_BYTES // 4, turn)

    def test_one_that_is_refused_leaves_nothing(self):
        self.good("set", "a", "before")
        self.good("settings", "size=16MiB")
        ended = self.larder("set", "a", "-", stdin=bytes(20 << 20))
        self.assertEqual(ended.code, 6)
        self.assertEqual(self.good("get", "a").out, b"before")
        self.assertEqual(self.left(), [])
        self.assertEqual((self.good("stats").json["blob_bytes"], self.good("check").json["findings"]), (0, []))

    def test_who_is_stopped_leaves_nothing_for_long(self):
        self.good("set", "a", "before")
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            run = self.start("set", "a", "-", stdin=subprocess.PIPE)
            run.stdin.write(bytes(20 << 20))
            run.stdin.flush()
            self.wait_for_a_file()
            run.send_signal(stop)
            self.assertNotEqual(run.wait(SECONDS_MAX), 0)
            run.stdin.close()
            self.assertEqual(self.good("get", "a").out, b"before")  # whoever opens it next tidies up
            self.assertEqual(self.left(), [], stop)
        self.assertEqual((self.good("stats").json["blob_bytes"], self.good("check").json["findings"]), (0, []))

    def test_who_reads_no_further_harms_nobody(self):
        self.set_large("a", 8)
        run = self.start("get", "a", stdout=subprocess.PIPE)
        self.assertEqual(run.stdout.read(8), self.part(0)[:8])
        run.stdout.close()
        self.assertEqual(run.wait(SECONDS_MAX), -signal.SIGPIPE)
        self.good("del", "a")
        self.assertEqual(self.left(), [])


class Lists(program.Case):
    def test_ls_lists_in_the_order_of_storing(self):
        for key in ("b", "a", "user:1", "user:2"):
            self.good("set", key, "four")
        entries = self.good("ls").lines
        self.assertEqual([entry["key"] for entry in entries], ["b", "a", "user:1", "user:2"])
        self.assertEqual({entry["kind"] for entry in entries}, {"value"})
        self.assertEqual({entry["bytes"] for entry in entries}, {4})
        self.assertEqual([entry["key"] for entry in self.good("ls", "--prefix", "user:").lines], ["user:1", "user:2"])
        self.assertEqual(self.good("ls", "--prefix", "[").lines, [])

    def test_ls_says_when_there_is_more(self):
        for i in range(5):
            self.good("set", str(i), "")
        cut = self.larder("ls", "--limit", "3")
        self.assertEqual((cut.code, len(cut.lines), cut.err), (0, 3, "larder: there are more; --limit 0 shows all\n"))
        self.assertEqual(len(self.good("ls", "--limit", "5").lines), 5)
        self.assertEqual(len(self.good("ls", "--limit", "0").lines), 5)

    def test_ls_leaves_no_trace(self):
        self.good("set", "a", "1")
        self.good("ls")
        stats = self.good("stats").json
        self.assertEqual((stats["hits"], stats["misses"]), (0, 0))

    def test_a_key_that_is_no_text(self):
        self.good("set", b"\xff\x01", "1")
        entry = self.good("ls").json
        self.assertEqual((entry["key"], base64.b64decode(entry["key_base64"])), ("\ufffd\x01", b"\xff\x01"))
        self.assertIn("\\xff\\x01", self.at_terminal("ls")[1])

    def test_a_table_at_a_terminal(self):
        self.good("set", "user:7", "Ada", "--ttl", "2d")
        self.good("set", "x" * 60, "-", stdin=bytes(1536))
        code, shown = self.at_terminal("ls")
        heading, first, second = shown.splitlines()
        self.assertEqual((code, heading.split()), (0, ["\x1b[1mKEY", "KIND", "SIZE", "AGE", "EXPIRES\x1b[0m"]))
        self.assertRegex(first, r"^user:7 +value +3 B +[\d.]+ m?s  in 2 d$")
        self.assertRegex(second, r"^x{39}…  value  1.5 KiB +[\d.]+ m?s$")

    def test_colour_only_where_it_is_wanted(self):
        self.good("set", "a", "1")
        self.assertIn("\x1b[", self.at_terminal("ls")[1])
        self.assertNotIn("\x1b[", self.at_terminal("ls", NO_COLOR="1")[1])
        self.assertNotIn("\x1b[", self.at_terminal("ls", TERM="dumb")[1])
        self.assertEqual(json.loads(self.at_terminal("ls", "--json")[1])["key"], "a")

    def test_an_empty_cache(self):
        self.good("set", "a", "1")
        self.good("del", "a")
        self.assertEqual(self.good("ls").out, b"")
        self.assertEqual(self.at_terminal("ls"), (0, "no entries\n"))

    def test_stats(self):
        self.good("set", "a", "1")
        self.good("get", "a")
        self.larder("get", "b")
        stats = self.good("stats").json
        self.assertEqual((stats["path"], stats["entries"], stats["hits"], stats["misses"], stats["sets"]),
                         ("cache", 1, 1, 1, 1))
        self.assertEqual(stats["size_limit_bytes"], 1 << 30)
        code, shown = self.at_terminal("stats", NO_COLOR="1")
        self.assertEqual(code, 0)
        self.assertRegex(shown, r"^cache\n  entries     1\n")
        self.assertIn("hits        1 (50.0 %)\n", shown)
        self.assertIn("limit       1 GiB\n", shown)

    def test_check_finds_and_repairs(self):
        for i in range(20):
            self.good("set", f"key:{i}", "a value to be found among the bytes")
        self.assertEqual(self.good("check").json["entries"], 20)
        self.assertRegex(self.at_terminal("check")[1], r"^20 entries right, [\d.]+ \w+\n$")
        log = self.folder / "cache" / "log"
        with open(log, "r+b") as file:
            file.seek(place_of(file, b"a value to be found"))
            file.write(b"A")
        ended = self.larder("check")
        self.assertEqual((ended.code, ended.json["entries"], ended.json["repaired"]), (4, 19, 0))
        findings = ended.json["findings"]
        self.assertRegex(findings[0], r"^cache/log: damaged record .*\d")
        self.assertEqual(ended.err, f"larder: cache: damaged, {len(findings)} findings; "
                                    "'larder check --repair' puts right what can be\n")
        ended = self.good("check", "--repair")
        self.assertEqual((ended.json["repaired"], ended.json["findings"]), (len(findings), findings))
        self.assertEqual((self.good("check").json["entries"], self.good("check").json["findings"]), (19, []))


def place_of(file, words: bytes) -> int:
    """Where they are in a file of some gigabytes that is nearly all holes."""
    end = 0
    while True:
        begin = os.lseek(file.fileno(), end, os.SEEK_DATA)
        end = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        at = os.pread(file.fileno(), end - begin, begin).find(words)
        if at >= 0:
            return begin + at


class Readers(program.Case):
    """Who may read the files and not write them."""

    def reading(self, *words) -> program.Ended:
        somebody = {"user": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
        try:
            return program.Ended(subprocess.run([self.program, *words], cwd=self.folder, env=self.environment,
                                                capture_output=True, timeout=SECONDS_MAX, **somebody))
        except PermissionError:
            self.skipTest("the program is where only root may read")

    def test_a_reader_reads_and_checks(self):
        self.good("set", "a", "1")
        for path in [self.folder, *self.folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        self.addCleanup(lambda: [path.chmod(0o755) for path in (self.folder, self.folder / "cache")])
        self.assertEqual(self.reading("get", "a").out, b"1")
        checked = self.reading("check")
        self.assertEqual((checked.code, checked.err), (0, ""))
        self.assertEqual((checked.json["entries"], checked.json["findings"]), (1, []))
        self.assertEqual(self.reading("check", "--repair").code, 9)
        self.assertEqual(self.reading("set", "a", "2").code, 9)


class Refusals(program.Case):
    def test_a_cache_that_is_not_there(self):
        for words in (["get", "a"], ["del", "a"], ["ls"], ["stats"], ["check"]):
            self.refused(1, "cache: no such directory; create it with 'larder set' or 'larder serve'", *words)
        self.assertEqual(list(self.folder.iterdir()), [], "asking must not create anything")

    def test_a_directory_that_is_no_cache(self):
        (self.folder / "notes").mkdir()
        (self.folder / "notes" / "diary").write_text("mine")
        for words in (["get", "a"], ["ls"], ["check"]):
            ended = self.larder(*words, "--store", "notes")
            self.assertEqual(ended.code, 1)
            self.assertRegex(ended.err, "^larder: notes: .+\n$")
        self.refused(1, "notes: holds other files (diary) and no cache; name a directory that is new or empty", "set", "a",
                     "1", "--store", "notes")
        self.assertEqual([path.name for path in (self.folder / "notes").iterdir()], ["diary"])
        self.refused(2, "--store names no directory", "ls", "--store", "")

    def test_damage_is_said_and_not_served(self):
        self.good("set", "a", "1")
        (self.folder / "cache" / "ctl").write_bytes(b"something else" * 1000)
        ended = self.larder("get", "a")
        self.assertIn(ended.code, (3, 4))
        self.assertRegex(ended.err, "^larder: cache.*: .+\n$")

    def test_wrong_words_are_exit_2_and_a_guess(self):
        self.refused(2, "no command 'gte' (did you mean 'get'?); see 'larder --help'", "gte", "a")
        self.refused(2, "no command 'frobnicate'; see 'larder --help'", "frobnicate")
        self.refused(2, "set: no option '--tll' (did you mean '--ttl'?); see 'larder set --help'", "set", "a", "1",
                     "--tll", "5s")
        self.refused(2, "get: no option '-x'; see 'larder get --help'", "get", "-x")
        self.refused(2, "get: unexpected 'b'; see 'larder get --help'", "get", "a", "b")
        self.refused(2, "get: key is required; see 'larder get --help'", "get")
        self.refused(2, "ls: '--json' belongs after the command's name; see 'larder ls --help'", "--json", "ls")
        self.refused(2, "--ttl: '5' is no duration; write a number and one of ms, s, min, h, d, as in 30s or 1.5h",
                     "set", "a", "1", "--ttl", "5")
        self.refused(2, "--ttl: an entry must live for a while; leave it out for one without end", "set", "a", "1",
                     "--ttl", "0s")
        for words in (["ls", "--limit", "x"], ["ls", "--limit", "-1"], ["ls", "--prefix"], ["stats", "x"]):
            self.assertEqual(self.larder(*words).code, 2, words)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_large_value(self):
        value = bytes(range(256)) * (20 << 12)
        self.good("set", "a", "-", stdin=value)
        self.assertEqual(self.good("get", "a").out, value)

    def test_a_value_too_large(self):
        self.good("set", "a", "1")
        self.good("settings", "size=16MiB")
        ended = self.larder("set", "a", "-", stdin=bytes(13 << 20))
        self.assertEqual(ended.code, 6)
        self.assertRegex(ended.err, "^larder: .*bytes.*\n$")

    def test_a_full_device(self):
        self.good("set", "a", "1")
        with open("/dev/full", "wb") as full:
            for words in (["get", "a"], ["ls"], ["--version"], ["--help"]):
                ended = subprocess.run([self.program, *words], cwd=self.folder, env=self.environment, stdout=full,
                                       stderr=subprocess.PIPE, timeout=SECONDS_MAX)
                self.assertEqual(ended.returncode, 11, words)
                self.assertEqual(ended.stderr.decode(), "larder: standard output: No space left on device\n")


class Help(program.Case):
    def test_version(self):
        self.assertRegex(self.good("--version").text, r"^larder \d+\.\d+\.\d+\n$")

    def test_help_names_every_command(self):
        help_text = self.good("--help").text
        for name in ("get", "set", "del", "evict", "ls", "stats", "settings", "check", "watch", "backup", "restore", "bench", "query", "serve"):
            self.assertRegex(help_text, rf"\n  {name} +\w")
            own = self.good(name, "--help").text
            self.assertIn(f"\nUsage: larder {name}", own)
            self.assertIn("\nFor example:\n  larder " + name, own)
            self.assertLessEqual(max(map(len, own.splitlines())), 120)

    def test_no_command_is_a_mistake(self):
        ended = self.larder()
        self.assertEqual((ended.code, ended.out), (2, b""))
        self.assertIn("Usage: larder COMMAND", ended.err)


if __name__ == "__main__":
    program.main(__doc__)
