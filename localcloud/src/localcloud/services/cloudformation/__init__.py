"""CloudFormation: its API over the engine that deploys assemblies."""
