"""The declaration of a model: ``models/<name>/model.yaml``, read and checked.

Importing this package brings nothing in: functions and jobs read a declaration as JSON, and need no reader of YAML.
"""
