#!/usr/bin/env python3
"""Ratios and tables say what was measured."""
import unittest

import rows


class Rows(unittest.TestCase):
    def test_a_ratio_is_of_medians_and_its_spread_of_rounds(self):
        made = rows.row("b", "w", "time", "ns", [1, 2, 30], "other", [4, 4, 40])
        self.assertEqual((made["value"], made["rival_value"], made["ratio"]), (2, 4, 0.5))
        self.assertEqual(made["spread"], 0.5)  # from 1/4 to 3/4, around 1/2

    def test_without_a_rival_there_is_no_ratio(self):
        made = rows.row("b", "w", "time", "ns", [1])
        self.assertEqual((made["value"], made["rival"], made["ratio"]), (1, None, None))

    def test_a_table_has_a_column_a_rival_and_a_line_a_workload(self):
        text = rows.tables([rows.row("b", "w", "time", "ns", [50], "x", [100]),
                            rows.row("b", "w", "time", "ns", [50], "y", [5000]),
                            rows.row("b", "v", "time", "ns", [5], "y", [10])]).splitlines()
        self.assertEqual(text[1].split(), ["b:", "time,", "ns", "larder", "x", "y"])
        self.assertEqual(text[3].split(), ["w", "50.0", "100", "(0.5)", "5,000", "(0.01)"])
        self.assertEqual(text[4].split(), ["v", "5", "10.0", "(0.5)"])


if __name__ == "__main__":
    unittest.main()
