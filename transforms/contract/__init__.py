"""The contract of all sides of a pipeline: the declaration, the manifests and where things lie.

These modules import neither Beam, TensorFlow nor Prefect, so that `braid validate` is quick and a
training image needs only them from this package. An import-linter contract holds that line.
"""
