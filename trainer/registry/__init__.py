"""The registry of models, and the gate before it. Without TensorFlow."""
