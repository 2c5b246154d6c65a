"""Checks an ONNX model, lets ONNX Runtime compute the logits of images and prints them as JSON.

usage: evaluate_onnx.py FILE PIXELS    PIXELS: float32, [N, H, W, 3], RGB in 0...255
"""

import json
import sys

import numpy
import onnx
import onnxruntime


def main():
    model = onnx.load(sys.argv[1])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    height, width = image.shape[2:]
    pixels = numpy.fromfile(sys.argv[2], numpy.float32).reshape(-1, height, width, 3)
    values = session.run(["logits"], {"image": numpy.ascontiguousarray(pixels.transpose(0, 3, 1, 2))})[0]
    print(json.dumps({
        "logits": values.astype(float).tolist(), "input": image.shape, "output": logits.shape,
        "metadata": session.get_modelmeta().custom_metadata_map}))


main()
