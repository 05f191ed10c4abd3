#!/usr/bin/env python3
"""backup and restore.

usage: copies_test.py LARDER [unittest's options]
"""
import os

import program


class Copies(program.Case):
    def test_a_backup_is_a_cache(self):
        self.good("set", "a", "1", "--tag", "red")
        self.good("set", "b", "2")
        self.assertEqual(self.good("backup", "copy").json["backup"], "copy")
        self.good("set", "a", "later")
        self.assertEqual(self.good("get", "a", "--store", "copy").out, b"1")
        self.assertEqual([entry["key"] for entry in self.good("ls", "--store", "copy", "--tag", "red").lines], ["a"])
        restored = self.good("restore", "copy", "--store", "new").json
        self.assertEqual((restored["entries"], restored["findings"]), (2, []))
        self.assertEqual(self.good("get", "a", "--store", "new").out, b"1")
        self.assertEqual(self.good("check", "--store", "new").json["findings"], [])

    def test_damage_is_said_and_left_out(self):
        self.good("set", "good", "1")
        self.good("set", "bad", "unlike anything else")
        self.good("backup", "copy")
        log = self.folder / "copy" / "log"
        with log.open("r+b", buffering=0) as file:
            at = 0
            while True:  # over gigabytes of holes
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                page = os.pread(file.fileno(), 4096, at)
                if b"unlike anything" in page:
                    break
                at += 4096
            os.pwrite(file.fileno(), b"damaged", at + page.index(b"unlike anything"))
        restored = self.larder("restore", "copy", "--store", "new")
        self.assertEqual(restored.code, 4)
        self.assertIn("bad", restored.text)
        self.assertEqual(self.good("get", "good", "--store", "new").out, b"1")
        self.assertEqual(self.larder("get", "bad", "--store", "new").code, 1)
        self.assertEqual(self.good("check", "--store", "new").json["findings"], [])

    def test_what_is_refused(self):
        self.good("set", "a", "1")
        (self.folder / "taken").mkdir()
        (self.folder / "taken" / "diary").write_text("mine")
        self.assertEqual(self.larder("backup", "taken").code, 1)
        self.assertEqual(self.larder("restore", "cache", "--store", "taken").code, 1)
        self.assertEqual(self.larder("restore", "none", "--store", "new").code, 1)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["cache", "taken"])
        self.assertEqual([path.name for path in (self.folder / "taken").iterdir()], ["diary"])


if __name__ == "__main__":
    program.main(__doc__)
