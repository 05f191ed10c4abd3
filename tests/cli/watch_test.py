#!/usr/bin/env python3
"""watch: a line for each change, as it happens.

usage: watch_test.py LARDER [unittest's options]
"""
import select
import signal
import subprocess

import program
from program import SECONDS_MAX


class Watching(program.Case):
    def test_what_happened(self):
        self.good("set", "a", "1")
        self.good("set", "b", "1")
        self.good("del", "a")
        lines = self.good("watch", "--after", "0", "--idle", "1ms").lines
        last = {line["key"]: line["change"] for line in lines if "key" in line}
        self.assertEqual((last.get("b"), last.get("a", "deleted")), ("set", "deleted"))
        self.assertEqual(self.good("watch", "--idle", "1ms").text, "")

    def test_lost_is_one_of_those_that_are_counted(self):
        self.good("set", "a", "1")
        self.good("evict", "--all")
        self.assertEqual(self.good("watch", "--after", "0", "--count", "1").json["change"], "lost")

    def test_as_it_happens(self):
        self.good("set", "a", "1")
        watcher = subprocess.Popen([self.program, "watch"], cwd=self.folder, env=self.environment,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            seen = b""
            for turn in range(200):  # until the watcher stands at the feed
                self.good("set", f"key {turn}", "1")
                if select.select([watcher.stdout], [], [], 0.2)[0]:
                    seen = watcher.stdout.readline()
                    break
            self.assertRegex(seen, rb'^{"change":"set","key":"key \d+","sequence":\d+}\n$')
        finally:
            watcher.send_signal(signal.SIGTERM)
            _, err = watcher.communicate(timeout=SECONDS_MAX)
        self.assertEqual((watcher.returncode, err), (0, b""))

    def test_what_is_refused(self):
        self.refused(1, "cache: no such directory; create it with 'larder set' or 'larder serve'", "watch")
        self.good("set", "a", "1")
        self.assertEqual(self.larder("watch", "--after", "x").code, 2)
        self.assertEqual(self.larder("watch", "--idle", "soon").code, 2)


if __name__ == "__main__":
    program.main(__doc__)
