"""Deploys a synthesized cloud assembly over boto3, as CloudFormation would, into the endpoint it is given."""
