"""Of Benchmarks/exchange.py and Benchmarks/hidden.py: `make check-benchmarks`."""
import unittest

import exchange
import hidden


def span(rank, category, name, begin, milliseconds):
    return {"ph": "X", "pid": rank, "cat": category, "name": name, "ts": 1000 * begin, "dur": 1000 * milliseconds}


class MediansTests(unittest.TestCase):
    def test_steps_last_from_one_wait_for_images_to_the_next(self):
        events = [span(0, "phase", "wait for images", begin, 1) for begin in (0, 100, 220)]
        events += [span(0, "reduce", "bucket 1", 10, 30), span(0, "reduce", "bucket 2", 45, 20), span(0, "reduce", "bucket 1", 110, 70),
                   span(0, "reduce", "allReduceDouble", 20, 5), span(0, "wait", "wait: allReduceDouble", 20, 6),
                   span(0, "phase", "wait for sums", 90, 8), span(0, "phase", "wait for sums", 205, 10)]
        found = hidden.medians(events)
        self.assertEqual(found["step"], 110)
        self.assertEqual(found["gradients"], 60)
        self.assertEqual(found["wait for sums"], 9)
        self.assertEqual(found["wait for statistics"], 3)

    def test_no_two_steps(self):
        self.assertEqual(hidden.medians([span(0, "phase", "wait for images", 0, 1)]), {})


class RowTests(unittest.TestCase):
    RUN = {"step": 150, "wait for sums": 20, "wait for statistics": 10, "gradients": 100}

    def test_hidden_is_what_the_step_is_not_longer_by(self):
        self.assertEqual(exchange.row(2, 1, "plain, float32", [self.RUN], 110),
                         "| 2 × 1 | plain, float32 | 150 ms | 110 ms | 30 ms | 100 ms | 60 % |")

    def test_nothing_travels_in_a_window_of_one_host(self):
        self.assertTrue(exchange.row(1, 2, "window, float32", [self.RUN | {"gradients": 0}], 110).endswith("| 0 ms |  |"))

    def test_layout(self):
        self.assertEqual(exchange.parse("2x3"), (2, 3))


if __name__ == "__main__":
    unittest.main()
