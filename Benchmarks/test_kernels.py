"""Of Benchmarks/kernels.py: `make check-benchmarks`."""
import unittest

import kernels

MEASURED = {"relu": {
    "reference": {"ratio": 1, "gb_per_second": 20}, "avx2": {"ratio": 5.0, "gb_per_second": 100},
    "avx512": {"ratio": 9.87, "gb_per_second": 197}}}


class CompareTests(unittest.TestCase):
    def test_fast_enough(self):
        self.assertEqual(kernels.compare(MEASURED, {"avx2": {"relu": 5.0}, "avx512": {"relu": 4}}), [])

    def test_too_slow(self):
        complaints = kernels.compare(MEASURED, {"avx2": {"relu": 5.1}, "avx512": {"relu": 4}})
        self.assertEqual(complaints, ["relu, avx2: 5.00 times the reference, at least 5.1 expected"])

    def test_kernel_without_threshold(self):
        self.assertEqual(len(kernels.compare(MEASURED, {"avx2": {"relu": 1}})), 1)

    def test_threshold_without_kernel(self):
        thresholds = {"avx2": {"relu": 1, "gone": 1}, "avx512": {"relu": 1}}
        self.assertEqual(kernels.unmeasured(MEASURED, thresholds), ["gone, avx2: a threshold without a kernel"])

    def test_threshold_of_a_set_that_the_processor_lacks(self):
        self.assertEqual(kernels.unmeasured(MEASURED, {"neon": {"relu": 3}}), [])

    def test_recording_rounds_down_and_keeps_others(self):
        thresholds = kernels.recorded(MEASURED, {"portable": {"relu": 1}, "avx2": {"relu": 1, "other": 2}}, 0.6)
        self.assertEqual(
            thresholds, {"portable": {"relu": 1}, "avx2": {"relu": 3.0, "other": 2}, "avx512": {"relu": 5.9}})

    def test_table(self):
        lines = kernels.table(MEASURED, {"avx2": {"relu": 4}}).splitlines()
        self.assertEqual(lines[0], "| kernel | reference | avx2 | avx512 |")
        self.assertEqual(lines[2], "| relu | 20.00 GB/s | 5.00 (4) | 9.87 (none) |")


if __name__ == "__main__":
    unittest.main()
