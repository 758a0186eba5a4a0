"""A checkpoint becomes a network: load, zoo, ncnn, ONNX, tiling, the wrapper and the pair."""
