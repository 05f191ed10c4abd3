#!/usr/bin/env python3
"""`larder bench`: what it says, and that it leaves nothing behind.

usage: bench_test.py LARDER [unittest's options]
"""
import signal
import subprocess
import time

import program


class Bench(program.Case):
    def setUp(self):
        super().setUp()
        self.environment["TMPDIR"] = str(self.folder)

    def left(self) -> list:
        return sorted(path.name for path in self.folder.iterdir())

    def test_rows(self):
        rows = self.good("bench", "--each", "1ms", "--threads", "3").lines
        self.assertEqual({(row["operation"], row["value_bytes"], row["threads"]) for row in rows},
                         {(operation, size, threads) for operation in ("set", "get", "view")
                          for size in (100, 10240, 1048576) for threads in (1, 3)})
        for row in rows:
            self.assertGreater(row["operations_per_s"], 0, row)
            self.assertAlmostEqual(row["ns_per_operation"] * row["operations_per_s"], 1e9 * row["threads"], delta=1e3)
            self.assertEqual("bytes_per_s" in row, row["operation"] != "view", row)
            self.assertEqual("of_memcpy" in row, row["operation"] != "view" and row["value_bytes"] > 100, row)
            if "of_memcpy" in row:
                self.assertAlmostEqual(row["of_memcpy"], row["bytes_per_s"] / row["memcpy_bytes_per_s"])
        self.assertEqual(self.left(), [])

    def test_in_a_directory_of_the_users(self):
        (self.folder / "mine").mkdir()
        (self.folder / "mine" / "diary").write_text("mine")
        code, shown = self.at_terminal("bench", "mine", "--each", "1ms", "--threads", "1", columns=120)
        self.assertEqual(code, 0, shown)
        self.assertRegex(shown, r"1 of \d+: filling a cache with values of 100 B")
        self.assertRegex(shown, r"\nget +10 KiB +1 +\S+ [ kM]*\s+\S+ .?s +\S+ .iB +\S+ .iB +\d+ %\n")
        self.assertIn("In mine, which is ", shown)
        self.assertEqual([path.name for path in (self.folder / "mine").iterdir()], ["diary"])

    def test_what_is_refused(self):
        ended = self.larder("bench", "nowhere")
        self.assertEqual((ended.code, ended.out), (1, b""))
        self.assertRegex(ended.err, "^larder: nowhere: cannot make a directory there: No such file or directory\n$")
        self.refused(2, "--each: must be 1ms to 1min", "bench", "--each", "2min")
        self.assertEqual(self.larder("bench", "--threads", "1000").code, 2)
        self.assertEqual(self.left(), [])

    def test_stopped_it_leaves_nothing(self):
        run = subprocess.Popen([self.program, "bench", "--each", "30s"], cwd=self.folder, env=self.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        until = time.monotonic() + program.SECONDS_MAX
        while not any(path.is_dir() for path in self.folder.glob("larder-bench-*/*")) and time.monotonic() < until:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        out, err = run.communicate(timeout=program.SECONDS_MAX)
        self.assertEqual((run.returncode, out, err), (8, b"", b"larder: stopped; nothing was left behind\n"))
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    program.main(__doc__)
