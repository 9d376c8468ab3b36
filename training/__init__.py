"""What runs inside the SageMaker jobs: training a candidate and evaluating it.

Nothing is imported here: the command that checks whether a job's packages are installed runs before they are.
"""
