"""A Lambda service without the cloud around it, for whichever test asks for one."""

from support.lambdas import aws, lambda_, layer_cache, make_lambda

__all__ = ["aws", "lambda_", "layer_cache", "make_lambda"]
