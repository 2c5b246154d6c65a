"""Of Benchmarks/reproduce/imagenet.py: `make check-benchmarks`."""
import io
import os
import pickle
import unittest

try:
    import numpy

    import imagenet
except ImportError as missing:
    raise unittest.SkipTest(f"{missing}: make onnx-environment brings it") from missing


def layers(count):
    return {f"Conv_{index}": {"kernel": numpy.arange(2 * 3 * 4 * 5, dtype=numpy.float32).reshape(2, 3, 4, 5) + index,
                              "bias": numpy.full(5, index, dtype=numpy.float32)} for index in range(count)}


class ImageNetTests(unittest.TestCase):
    def test_names_and_order(self):
        found = imagenet.renamed(layers(2), [0, 3])
        self.assertEqual(sorted(found), ["features.0.bias", "features.0.weight", "features.3.bias", "features.3.weight"])
        weight = found["features.3.weight"]
        self.assertEqual(weight.shape, (5, 4, 2, 3))
        # Output 4, input 1, row 1, column 2 of [row, column, input, output].
        self.assertEqual(weight[4, 1, 1, 2], layers(2)["Conv_1"]["kernel"][1, 2, 1, 4])
        self.assertTrue(weight.flags.c_contiguous)
        self.assertEqual(found["features.3.bias"].tolist(), [1] * 5)

    def test_another_network(self):
        with self.assertRaisesRegex(ValueError, "2 convolutions are expected"):
            imagenet.renamed(layers(3), [0, 3])

    def test_another_file(self):
        with self.assertRaisesRegex(ValueError, "digest"):
            imagenet.tensors(pickle.dumps({"AlexNet_0": layers(5)}), "alexnet")

    def test_arrays_are_read_and_nothing_is_run(self):
        read = imagenet.ArraysOnly(io.BytesIO(pickle.dumps(layers(1)))).load()
        self.assertEqual(read["Conv_0"]["kernel"].tolist(), layers(1)["Conv_0"]["kernel"].tolist())

        class Malicious:
            def __reduce__(self):
                return os.getenv, ("HOME",)

        with self.assertRaisesRegex(pickle.UnpicklingError, "is no array"):
            imagenet.ArraysOnly(io.BytesIO(pickle.dumps(Malicious()))).load()


if __name__ == "__main__":
    unittest.main()
