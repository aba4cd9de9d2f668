"""Encodes images with NumPy and onnxruntime alone; run it where bundle/ lies."""

import numpy as np, onnxruntime

images = np.load("bundle/golden.npz")["examples"]  # (64, 28, 28, 1) float32 in [0, 1]
session = onnxruntime.InferenceSession("bundle/encoder.onnx")
latents = session.run(["latents"], {"images": images})[0]
print("encoded", images.shape, "as", latents.shape)
