"""What the prediction function needs, and nothing heavier: contract, request, scorer, answer, capture.

Only the standard library, numpy and (when a model is loaded) onnxruntime are imported here.
"""
