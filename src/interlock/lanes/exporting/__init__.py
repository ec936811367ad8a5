"""What exported lanes share: canonical safetensors and ONNX, the fresh-process check, latency."""
