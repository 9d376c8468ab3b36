"""The resource types that can be deployed, one module for each service."""
