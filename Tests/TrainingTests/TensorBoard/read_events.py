"""What TensorBoard itself finds in a folder of event files, as one JSON object: read_events.py FOLDER"""

import base64
import json
import sys

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing import plugin_event_accumulator


def main(folder):
    everything = dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0)
    events = event_accumulator.EventAccumulator(folder, size_guidance=everything).Reload()
    # The path of the web application, which turns every value into a tensor of a plugin.
    plugins = plugin_event_accumulator.EventAccumulator(folder).Reload()
    tags = events.Tags()
    json.dump(
        {
            "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
            "histograms": {
                tag: [
                    {
                        "step": e.step,
                        "min": e.histogram_value.min,
                        "max": e.histogram_value.max,
                        "num": e.histogram_value.num,
                        "sum": e.histogram_value.sum,
                        "sum_squares": e.histogram_value.sum_squares,
                        "limits": list(e.histogram_value.bucket_limit),
                        "counts": list(e.histogram_value.bucket),
                    }
                    for e in events.Histograms(tag)
                ]
                for tag in tags["histograms"]
            },
            "images": {
                tag: [
                    {
                        "step": e.step,
                        "width": e.width,
                        "height": e.height,
                        "png": base64.b64encode(e.encoded_image_string).decode(),
                    }
                    for e in events.Images(tag)
                ]
                for tag in tags["images"]
            },
            "plugins": {
                plugin: sorted(plugins.PluginTagToContent(plugin)) for plugin in plugins.ActivePlugins()
            },
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main(sys.argv[1])
