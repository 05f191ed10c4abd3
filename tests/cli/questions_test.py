#!/usr/bin/env python3
"""`larder query`: questions about files, through the cache that the server uses.

usage: questions_test.py LARDER [unittest's options]
"""
import json
import select
import signal
import subprocess
import urllib.request

import program
from program import SECONDS_MAX

CONFIG = """store:
  path: cache
  size: 64MiB
sources:
  sales: {kind: files, path: "sales/*.csv"}
  shops: {kind: files, path: shops.csv}
"""
SALES = "day,city,amount\n2026-01-05,Oslo,120\n2026-01-05,Rome,80\n2026-01-06,Oslo,40\n"


class Questions(program.Case):
    COUNT = "SELECT city, sum(amount) AS total FROM sales GROUP BY city ORDER BY city"

    def setUp(self):
        super().setUp()
        (self.folder / "larder.yaml").write_text(CONFIG)
        (self.folder / "sales").mkdir()
        (self.folder / "sales" / "1.csv").write_text(SALES)
        (self.folder / "shops.csv").write_text("city,street\nOslo,Karl Johans gate\n")

    def query(self, *words, **how) -> program.Ended:
        ended = self.larder("query", *words, **how)
        self.assertEqual(ended.code, 0, ended.err)
        return ended

    def test_a_miss_and_then_hits(self):
        miss = self.query(self.COUNT)
        self.assertEqual(miss.json["rows"], [["Oslo", 160], ["Rome", 80]])
        self.assertEqual([column["name"] for column in miss.json["columns"]], ["city", "total"])
        self.assertRegex(miss.err, r"^2 rows · miss · [\d.]+ m?s\n$")
        hit = self.query(self.COUNT.lower() + "  -- the same")
        self.assertEqual(hit.json, miss.json)
        self.assertRegex(hit.err, r"^2 rows · hit · [\d.]+ m?s \(cost [\d.]+ m?s\) · age [\d.]+ \w+\n$")
        self.assertEqual(self.query(self.COUNT, "--quiet").err, "")

    def test_changed_files_are_read_anew(self):
        self.query(self.COUNT)
        (self.folder / "sales" / "2.csv").write_text("day,city,amount\n2026-02-01,Rome,60\n")
        changed = self.query(self.COUNT)
        self.assertEqual(changed.json["rows"], [["Oslo", 160], ["Rome", 140]])
        self.assertIn("miss", changed.err)

    def test_formats(self):
        self.assertEqual(self.query(self.COUNT, "--format", "csv").out, b"city,total\r\nOslo,160\r\nRome,80\r\n")
        self.assertEqual(self.query(self.COUNT, "--format", "arrow").out[:4], b"\xff\xff\xff\xff")
        table = self.query(self.COUNT, "--format", "table").text
        self.assertRegex(table, r"city[^\n]*total")
        self.assertRegex(table, r"Oslo[^\n]*160")
        self.refused(2, "--format is one of table, json, csv and arrow, not 'cvs' (did you mean 'csv'?)", "query",
                     self.COUNT, "--format", "cvs")
        code, shown = self.at_terminal("query", self.COUNT)
        self.assertEqual(code, 0)
        self.assertRegex(shown, r"Oslo[^\n]*160")
        self.assertRegex(shown, r"\n2 rows · hit · ")
        self.assertEqual(self.at_terminal("query", self.COUNT, "--format", "arrow")[0], 2)

    def test_parameters_keep_their_types(self):
        typed = ("SELECT typeof($1), typeof($2), typeof($3), typeof($4), typeof($5), typeof($6), $6")
        rows = self.query(typed, "--param", "15", "--param", "2.5", "--param", "true", "--param", "null", "--param",
                          '"7"', "--param", "Oslo's").json["rows"]
        self.assertEqual(rows[0][1:3] + rows[0][4:], ["DOUBLE", "BOOLEAN", "VARCHAR", "VARCHAR", "Oslo's"])
        self.assertIn(rows[0][0], ("INTEGER", "BIGINT"))
        self.assertEqual(self.query("SELECT amount FROM sales WHERE city = $1 AND amount < $2", "--param", "Oslo",
                                    "--param=100").json["rows"], [[40]])
        self.assertEqual(self.query("SELECT $1", "--param", "[a,b]").json["rows"], [["[a,b]"]])

    def test_max_age(self):
        self.query(self.COUNT)
        self.assertIn("hit", self.query(self.COUNT, "--max-age", "1h").err)
        self.assertIn("miss", self.query(self.COUNT, "--max-age", "0s").err)
        self.refused(2, "--max-age: 'soon' is no duration; write a number and one of ms, s, min, h, d, as in 30s or 1.5h",
                     "query", self.COUNT, "--max-age", "soon")

    def test_what_cannot_be_kept(self):
        self.assertRegex(self.query("SELECT random()").err, "^1 row · miss, not stored: not-repeatable · ")

    def test_kept_answers_are_listed(self):
        self.query("SELECT amount\nFROM sales WHERE city = $1", "--param", "Oslo")
        entry = self.good("ls").json
        self.assertEqual((entry["kind"], entry["sql"], entry["params"], entry["reads"], entry["rows"]),
                         ("query", "SELECT amount\nFROM sales WHERE city = $1", '["Oslo"]', ["sales"], 2))
        self.assertRegex(entry["key"], "^query:[0-9a-f]{64}$")
        self.assertRegex(self.at_terminal("ls")[1], r"query:[0-9a-f]{8}… +query .* 2 .*SELECT amount FROM sales WHERE")
        self.good("del", entry["key"])
        self.assertIn("miss", self.query("SELECT amount\nFROM sales WHERE city = $1", "--param", "Oslo").err)

    def test_only_the_named_source(self):
        self.query(self.COUNT, "--source", "sales")
        ended = self.larder("query", self.COUNT, "--source", "shops")
        self.assertIn(ended.code, (1, 9))
        self.assertEqual(ended.out, b"")

    def test_errors_are_one_line_and_an_exit_code(self):
        for code, sql in ((2, "SELEC 1"), (1, "SELECT * FROM nowhere"), (9, "SELECT * FROM read_csv('/etc/passwd')"),
                          (9, "DROP TABLE sales")):
            ended = self.larder("query", sql)
            self.assertEqual((ended.code, ended.out), (code, b""), (sql, ended.err))
            self.assertRegex(ended.err, r"^larder: [^\n]+")
        ended = self.larder("query", "SELECT 1", "--config", "none.yaml")
        self.assertEqual(ended.code, 1)
        self.assertIn("none.yaml", ended.err)
        (self.folder / "larder.yaml").write_text(CONFIG.replace("size:", "sise:"))
        ended = self.larder("query", "SELECT 1")
        self.assertEqual(ended.code, 2)
        self.assertRegex(ended.err, r"^larder: .*larder.yaml:3: .*'sise'.*'size'")

    def test_a_server_and_the_command_line_share_answers(self):
        server = subprocess.Popen([self.program, "serve", "--listen", "127.0.0.1:0", "--log-level", "off"], cwd=self.folder,
                                  env=self.environment, stdout=subprocess.PIPE, text=True)
        try:
            ready, _, _ = select.select([server.stdout], [], [], SECONDS_MAX)
            line = server.stdout.readline() if ready else ""
            self.assertRegex(line, r"^larder: http://127\.0\.0\.1:\d+/\n$")
            url = line.split()[1] + "api/v1/query"

            def ask(sql: str) -> str:
                body = json.dumps({"sql": sql, "format": "json"}).encode()
                request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
                    json.load(answer)
                    return answer.headers["Cache-Status"]

            self.assertEqual(ask(self.COUNT), "larder; fwd=miss; stored")
            self.assertIn("· hit ·", self.query(self.COUNT).err)
            self.assertIn("· miss ·", self.query("SELECT max(day) FROM sales").err)
            self.assertEqual(ask("SELECT max(day) FROM sales"), "larder; hit")
            self.assertEqual(self.good("stats").json["processes"], 2)
        finally:
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(SECONDS_MAX), 0)
            server.stdout.close()
        self.assertIn("· hit ·", self.query("SELECT max(day) FROM sales").err)


if __name__ == "__main__":
    program.main(__doc__)
