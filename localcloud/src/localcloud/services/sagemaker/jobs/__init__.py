"""SageMaker jobs as processes, under the contract of the framework containers."""
