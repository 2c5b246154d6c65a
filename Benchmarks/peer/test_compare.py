"""Of Benchmarks/peer/compare.py: `make check-benchmarks`."""
import unittest

import compare


def report(images_per_second, parameters=61_100_840, memory=700.0):
    return {"images_per_second": images_per_second, "parameters": parameters, "peak_memory_mb": memory,
            "step_cpu_ms_median": 1000 / images_per_second, "others": 0.02}


def reports(**changes):
    result = {
        compare.OURS: [report(30), report(20), report(24)], compare.TWIN: [report(18, parameters=61_700_000)] * 3,
        compare.DEFAULT: [report(8)] * 3, compare.TUNED: [report(10)],
        compare.CHANNELS_LAST: [report(12), report(11), report(16)]}
    result.update(changes)
    return result


class CompareTests(unittest.TestCase):
    def test_load(self):
        text = "cpu  10 1 5 100 20 2 3 4 50 6\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
        self.assertEqual(compare.busy_and_total(text), (25, 145))

    def test_ratios_are_those_of_medians_to_the_strongest(self):
        row = compare.comparison("alexnet", 1, 2, reports(), 0.01, 0.03)
        self.assertEqual((row["ours"], row["peer_default"], row["peer_tuned"]), (24, 8, 12))
        self.assertEqual(row["peer_tuned_variant"], compare.CHANNELS_LAST)
        self.assertEqual((row["ratio_to_default"], row["ratio_to_tuned"]), (3, 2))
        self.assertEqual(row["interpretable_to_ordinary"], 0.75)

    def test_the_faster_layout_is_the_strongest_after_the_first_round(self):
        first = {compare.TUNED: [report(10)], compare.CHANNELS_LAST: [report(9)]}
        self.assertEqual(compare.strongest(first), compare.TUNED)
        # It went on, and one slow round later it is still the one that was compared.
        first[compare.TUNED].append(report(7))
        first[compare.TUNED].append(report(7))
        self.assertEqual(compare.strongest(first), compare.TUNED)

    def test_another_network_is_no_peer(self):
        with self.assertRaises(SystemExit):
            compare.comparison("alexnet", 1, 1, reports(**{compare.DEFAULT: [report(8, parameters=61)]}), 0, 0)

    def test_table(self):
        row = compare.comparison("alexnet", 1, 2, reports(), 0.01, 0.03)
        line = compare.table([row]).splitlines()[2]
        self.assertIn("| alexnet | 1 × 2 | 24.00 | 8.00 | 12.00 (channels last) | **3.00** | **2.00** | 0.75 |", line)
        self.assertIn("| 1 %, 2 %, 3 % |", line)

    def test_ranks_against_threads(self):
        rows = [{"network": "alexnet", "ranks": 1, "threads": 2, "ours": 20},
                {"network": "alexnet", "ranks": 2, "threads": 1, "ours": 19},
                {"network": "vgg16", "ranks": 2, "threads": 1, "ours": 3}]
        self.assertEqual(compare.ranks_against_threads(rows),
                         ["alexnet: 2 ranks × 1 thread reach 0.95 of one process with 2 threads"])

    def test_commands_name_the_same_work(self):
        options = compare.parsed(["--icnn", "icnn", "--peer-python", "python", "--mpirun", "mpirun --bind-to none"])
        ours = compare.command(compare.OURS, "vgg16", 2, 1, options)
        self.assertEqual(ours[:7], ["mpirun", "--bind-to", "none", "-np", "2", "icnn", "bench"])
        self.assertEqual(ours[-1], "--ordinary")
        peer = compare.command(compare.TUNED, "vgg16", 2, 1, options)
        self.assertEqual(peer[-4:], ["--processes", "2", "--variant", "tuned"])
        for option in ("--network", "--batch-size", "--threads", "--steps", "--warmup-steps"):
            self.assertEqual(ours[ours.index(option) + 1], peer[peer.index(option) + 1])

    def test_settings(self):
        self.assertEqual(compare.setting("2x1"), (2, 1))
        for text in ("2", "0x1", "axb"):
            with self.assertRaises(compare.argparse.ArgumentTypeError):
                compare.setting(text)


if __name__ == "__main__":
    unittest.main()
